/** A JupyterLab server with datarun, of its own: port, folders, settings, runners. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TOKEN = 'ui-tests';
const START = 60_000;

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
    private readonly _folder: string
  ) {}

  /** Start a server. */
  static async start(): Promise<Server> {
    const folder = mkdtempSync(join(tmpdir(), 'datarun-ui-'));
    const server = new Server(await freePort(), folder);
    await server.up();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** Address of JupyterLab, with a workspace of its own and the way in. */
  lab(workspace: string): string {
    return `${this.url}lab/workspaces/${workspace}?token=${TOKEN}&reset`;
  }

  /** Ask the server's REST interface. */
  async ask(path: string, body?: unknown): Promise<Response> {
    return fetch(`${this.url}runapp/${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { Authorization: `token ${TOKEN}`, 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body)
    });
  }

  /** Start, or start again on the same port with the same data. */
  async up(): Promise<void> {
    const at = (name: string) => join(this._folder, name);
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
        '--LabApp.news_url=',
        '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate',
        '--LabApp.extension_manager=readonly'
      ],
      {
        stdio: ['ignore', log, log],
        env: {
          ...process.env,
          DATARUN_DATA_DIR: at('data'),
          DATARUN_RUNTIME_DIR: at('runtime'),
          JUPYTER_CONFIG_DIR: at('config'),
          JUPYTER_DATA_DIR: at('jupyter'),
          JUPYTER_RUNTIME_DIR: at('jupyter-runtime'),
          JUPYTERLAB_SETTINGS_DIR: at('settings'),
          JUPYTERLAB_WORKSPACES_DIR: at('workspaces')
        }
      }
    );
    const deadline = Date.now() + START;
    for (;;) {
      const answer = await this.ask('user/me/').catch(() => null);
      if (answer?.ok) {
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
