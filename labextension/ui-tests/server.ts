/** A JupyterLab server with datarun, of its own: port, folders, settings, runners. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';

/** A file as it travels. */
export function pack(text: string): string {
  return deflateSync(Buffer.from(text)).toString('base64');
}

const TOKEN = 'ui-tests';
const START = 120_000;
const BUILT = join(__dirname, '..', 'dist');

/** As much of a submission as the tests look at. */
export interface ISubmission {
  raw_data: number;
  counts: Record<string, number>;
  n_folds: number;
}

/** How a server differs from the usual one. */
export interface IDifference {
  /** Whether datarun's extension is enabled, which somebody may have forgotten. */
  extension?: boolean;
  /** Python that is run with the server's configuration as `c`. */
  config?: string;
  /** A data folder that is there already, and stays. */
  dataDir?: string;
  /** More of its environment. */
  environ?: Readonly<Record<string, string>>;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

export class Server {
  private constructor(
    readonly port: number,
    private readonly _folder: string,
    private readonly _difference: IDifference
  ) {}

  /** Start a server. */
  static async start(difference: IDifference = {}): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), 'datarun-ui-'));
    const notifications = join(folder, 'settings', '@jupyterlab', 'apputils-extension');
    mkdirSync(notifications, { recursive: true });
    writeFileSync(
      join(notifications, 'notification.jupyterlab-settings'),
      '{"fetchNews": "false", "checkForUpdates": false}'
    );
    // What is tested is what was built last, however the package was installed.
    mkdirSync(join(folder, 'labextensions'));
    symlinkSync(BUILT, join(folder, 'labextensions', 'datarun'));
    mkdirSync(join(folder, 'config'));
    writeFileSync(join(folder, 'config', 'jupyter_server_config.py'), difference.config ?? '');
    const server = new Server(await freePort(), folder, difference);
    await server.up();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** Address of JupyterLab, with a workspace of its own and the way in. */
  lab(workspace: string, token = TOKEN): string {
    return `${this.url}lab/workspaces/${workspace}?token=${token}`;
  }

  /** Put a file into the server's root folder. */
  write(name: string, text: string): void {
    writeFileSync(join(this._folder, name), text);
  }

  /** Ask the server's REST interface. */
  async ask(path: string, body?: unknown): Promise<Response> {
    return fetch(`${this.url}runapp/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { Authorization: `token ${TOKEN}`, 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body)
    });
  }

  /** Have a dataset, split; return its number. */
  async dataset(name: string, csv: string): Promise<number> {
    const made = await this.ask('rawdata/', {
      name,
      target_column: 'species',
      workflow_elements: 'classifier',
      files: { [`${name}.csv`]: pack(csv) }
    });
    const { id } = (await made.json()) as { id: number };
    await this.ask('rawdata/split/', { raw_data_id: id, held_out_test: 0.2, random_state: 42 });
    await this.until(async () => {
      const answer = await this.ask(`rawdata/${id}/?view=full`);
      return ((await answer.json()) as { split_state: string }).split_state === 'DONE';
    }, `the split of ${name}`);
    return id;
  }

  /** Submit a classifier; return the number of the submission. */
  async submit(dataset: number, name: string, code: string, folds = 3): Promise<number> {
    const made = await this.ask('submission/', {
      raw_data: dataset,
      name,
      files: { 'classifier.py': pack(code) },
      cv: { kind: 'stratified', n_splits: folds }
    });
    return ((await made.json()) as { databoard_s_id: number }).databoard_s_id;
  }

  /** Cancel a submission. */
  async cancel(submission: number): Promise<void> {
    await this.ask(`submission/${submission}/cancel/`, {});
  }

  /** Wait until all folds of a submission have ended. */
  async ended(submission: number): Promise<void> {
    await this.until(async () => {
      const { counts, n_folds } = await this.submission(submission);
      return (counts.TESTED ?? 0) + (counts.ERROR ?? 0) === n_folds;
    }, `the end of submission ${submission}`);
  }

  /** What the server says of a submission. */
  async submission(id: number): Promise<ISubmission> {
    return (await (await this.ask(`submission/${id}/`)).json()) as ISubmission;
  }

  /** When the last fold of a submission ended, so far. */
  async lastEnd(submission: number): Promise<number> {
    const answer = await this.ask(`submissionfold/?submission=${submission}&view=summary`);
    const folds = (await answer.json()) as { ended_at: number | null }[];
    return Math.max(...folds.map(({ ended_at }) => ended_at ?? 0));
  }

  /** Ask again and again until something holds. */
  async until(holds: () => Promise<boolean>, what: string): Promise<void> {
    const deadline = Date.now() + 240_000;
    while (!(await holds())) {
      if (Date.now() > deadline) {
        throw new Error(`Waited in vain for ${what}.`);
      }
      await new Promise(resolve => setTimeout(resolve, 250));
    }
  }

  /** Start, or start again on the same port with the same data. */
  async up(): Promise<void> {
    const at = (name: string) => join(this._folder, name);
    const { extension = true, dataDir = at('data'), environ = {} } = this._difference;
    const log = openSync(at('server.log'), 'a');
    this._process = spawn(
      'jupyter',
      [
        'lab',
        '--no-browser',
        '--allow-root',
        `--ServerApp.port=${this.port}`,
        '--ServerApp.port_retries=0',
        `--ServerApp.root_dir=${this._folder}`,
        `--IdentityProvider.token=${TOKEN}`,
        `--ServerApp.jpserver_extensions={'datarun_ext': ${extension ? 'True' : 'False'}}`,
        '--LabApp.expose_app_in_browser=True',
        '--LabApp.extension_manager=readonly',
        `--LabApp.extra_labextensions_path=${at('labextensions')}`
      ],
      {
        stdio: ['ignore', log, log],
        env: {
          ...process.env,
          DATARUN_DATA_DIR: dataDir,
          DATARUN_RUNTIME_DIR: at('runtime'),
          JUPYTER_CONFIG_DIR: at('config'),
          JUPYTER_DATA_DIR: at('jupyter'),
          JUPYTER_RUNTIME_DIR: at('jupyter-runtime'),
          JUPYTERLAB_SETTINGS_DIR: at('settings'),
          JUPYTERLAB_WORKSPACES_DIR: at('workspaces'),
          ...environ
        }
      }
    );
    const deadline = Date.now() + START;
    for (;;) {
      const answer = await this.ask('user/me/').catch(() => null);
      if (answer && answer.ok === extension) {
        return;
      }
      if (Date.now() > deadline || this._process.exitCode !== null) {
        throw new Error(`The server did not start; see ${at('server.log')}.`);
      }
      await new Promise(resolve => setTimeout(resolve, 200));
    }
  }

  /** Stop, and wait until it has. */
  async down(): Promise<void> {
    const child = this._process;
    if (child && child.exitCode === null) {
      const over = new Promise(resolve => child.once('exit', resolve));
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await over;
      clearTimeout(hard);
    }
  }

  /** Stop for good and remove the data. */
  async dispose(): Promise<void> {
    await this.down();
    rmSync(this._folder, { recursive: true, force: true });
  }

  private _process: ChildProcess | null = null;
}
