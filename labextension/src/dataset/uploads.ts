import { Signal, type ISignal } from '@lumino/signaling';
import type { Api } from '../api/client';
import { asApiError, type ApiError } from '../api/errors';
import type { NewDataset, Upload } from '../api/types';

/** The split that is asked for as soon as a dataset is there. */
export interface ISplit {
  heldOut: number;
  randomState: number;
}

export interface INewUpload {
  /** The dataset; its files come from `files` and `onServer`. */
  dataset: Omit<NewDataset, 'files' | 'uploads' | 'server_files'>;
  files: readonly File[];
  /** Files that the server has already: name -> path below its root folder. */
  onServer?: Readonly<Record<string, string>>;
  /** A split to ask for afterwards; "custom" for what the dataset's own code does. */
  split: ISplit | 'custom' | null;
}

export type UploadState = 'sending' | 'creating' | 'failed';

/** A dataset on its way to the server. */
export interface IUploading {
  readonly id: number;
  readonly name: string;
  readonly sent: number;
  readonly size: number;
  readonly state: UploadState;
  readonly trouble: ApiError | null;
}

/** Remembers unfinished uploads by file, so that the same file goes on after a reload. */
export interface IMemory {
  get(key: string): string | null;
  set(key: string, id: string): void;
  forget(key: string): void;
}

const PART = 2 * 1024 * 1024;
const RETRIES = 6;

/** Which file it is: the same name, size and time of change make the same file. */
function keyOf(file: File): string {
  return `datarun:upload:${file.name}:${file.size}:${file.lastModified}`;
}

interface IJob {
  view: IUploading;
  readonly what: INewUpload;
  abort: AbortController;
}

/** Sends datasets: in parts, resumed after whatever interrupts them. */
export class Uploads {
  constructor(
    private readonly _api: Api,
    private readonly _memory: IMemory,
    private readonly _pause: (ms: number) => Promise<void> = ms =>
      new Promise(resolve => setTimeout(resolve, ms))
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** A dataset is on the server now. */
  get created(): ISignal<this, { id: number; name: string }> {
    return this._created;
  }

  /** A dataset is on the server, but its split could not be asked for. */
  get unsplit(): ISignal<this, ApiError> {
    return this._unsplit;
  }

  get items(): readonly IUploading[] {
    return this._items;
  }

  /** Begin to send a dataset. */
  start(what: INewUpload): void {
    const id = ++this._last;
    const size = what.files.reduce((sum, file) => sum + file.size, 0);
    const { name } = what.dataset;
    const view: IUploading = { id, name, sent: 0, size, state: 'sending', trouble: null };
    this._jobs.set(id, { view, what, abort: new AbortController() });
    this._tell();
    void this._run(id);
  }

  /** Go on with one that failed. */
  resume(id: number): void {
    const job = this._jobs.get(id);
    if (job?.view.state === 'failed') {
      job.abort = new AbortController();
      this._show(job, { state: 'sending', trouble: null });
      void this._run(id);
    }
  }

  /** Give one up; what the server has of it is deleted. */
  cancel(id: number): void {
    const job = this._jobs.get(id);
    if (job) {
      this._jobs.delete(id);
      job.abort.abort();
      this._tell();
      for (const file of job.what.files) {
        const upload = this._memory.get(keyOf(file));
        this._memory.forget(keyOf(file));
        if (upload !== null) {
          void this._api.deleteUpload(upload).catch(() => undefined);
        }
      }
    }
  }

  private async _run(id: number): Promise<void> {
    const job = this._jobs.get(id);
    if (!job) {
      return;
    }
    try {
      const uploads: Record<string, string> = {};
      let before = 0;
      for (const file of job.what.files) {
        uploads[file.name] = await this._send(job, file, before);
        before += file.size;
      }
      this._show(job, { state: 'creating', sent: before });
      const { dataset: facts, onServer = {} } = job.what;
      const { id: dataset } = await this._api.createDataset({
        ...facts,
        uploads,
        ...(Object.keys(onServer).length > 0 ? { server_files: onServer } : {})
      });
      job.what.files.forEach(file => this._memory.forget(keyOf(file)));
      this._jobs.delete(id);
      this._tell();
      this._created.emit({ id: dataset, name: job.view.name });
      await this._split(dataset, job.what.split);
    } catch (reason) {
      if (this._jobs.get(id) === job && !job.abort.signal.aborted) {
        this._show(job, { state: 'failed', trouble: asApiError(reason) });
      }
    }
  }

  private async _split(dataset: number, split: INewUpload['split']): Promise<void> {
    try {
      if (split === 'custom') {
        await this._api.customSplit(dataset);
      } else if (split !== null) {
        await this._api.split(dataset, split.heldOut, split.randomState);
      }
    } catch (reason) {
      this._unsplit.emit(asApiError(reason));
    }
  }

  private async _send(job: IJob, file: File, before: number): Promise<string> {
    let upload = await this._begin(file);
    let failures = 0;
    while (!upload.complete) {
      this._show(job, { sent: before + upload.offset });
      const part = file.slice(upload.offset, upload.offset + PART);
      try {
        upload = await this._api.sendPart(upload.id, upload.offset, part, job.abort.signal);
        failures = 0;
      } catch (reason) {
        const trouble = asApiError(reason);
        failures += 1;
        if (job.abort.signal.aborted || !trouble.transient || failures > RETRIES) {
          throw reason;
        }
        await this._pause(500 * 2 ** failures);
        upload = await this._api.upload(upload.id).catch(() => upload);
      }
    }
    return upload.id;
  }

  private async _begin(file: File): Promise<Upload> {
    const known = this._memory.get(keyOf(file));
    if (known !== null) {
      try {
        return await this._api.upload(known);
      } catch (reason) {
        if (asApiError(reason).trouble !== 'notfound') {
          throw reason;
        }
      }
    }
    const upload = await this._api.createUpload(file.name, file.size);
    this._memory.set(keyOf(file), upload.id);
    return upload;
  }

  private _show(job: IJob, part: Partial<IUploading>): void {
    job.view = { ...job.view, ...part };
    this._tell();
  }

  private _tell(): void {
    this._items = [...this._jobs.values()].map(job => job.view);
    this._changed.emit();
  }

  private _items: readonly IUploading[] = [];
  private _last = 0;
  private readonly _jobs = new Map<number, IJob>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _unsplit = new Signal<this, ApiError>(this);
  private readonly _created = new Signal<this, { id: number; name: string }>(this);
}
