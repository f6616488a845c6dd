import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';
import type { Api } from '../api/client';
import { asApiError } from '../api/errors';
import type { ILogText, ServerMessage, Standing, Submission } from '../api/types';
import { Link, type ISocket } from './link';
import type { IState } from './state';
import { Store, type Schedule } from './store';

export interface IModelOptions {
  api: Api;
  /** Opens the events' websocket. */
  open: (since: number | null) => ISocket;
  /** Asks whether this person may change anything; without it, the server alone says so. */
  mayWrite?: () => Promise<boolean>;
  schedule?: Schedule;
}

/** How long changed things are gathered before they are read again, in milliseconds. */
const GATHER = 400;
/** How often runners and health are asked for while somebody looks. */
const LOOK = 10_000;
/** As many submissions at a time are fetched one by one; beyond that, a page of them. */
const ONE_BY_ONE = 8;
const PAGE = 100;

/** The panel's one model: the store, what feeds it, and what keeps it complete. */
export class Model implements IDisposable {
  constructor(options: IModelOptions) {
    this.api = options.api;
    this.store = new Store(options.schedule);
    this._link = new Link({
      probe: async () => {
        const [user, mayWrite] = await Promise.all([
          this.api.me(),
          options.mayWrite?.() ?? Promise.resolve(true)
        ]);
        this.store.take({ type: 'user', user, mayWrite });
      },
      open: options.open,
      since: () => this.state.seq,
      onMessage: message => this._take(message),
      onChange: (connection, trouble) => {
        if (connection !== this.state.connection || trouble) {
          this.store.take({ type: 'connection', connection, at: Date.now(), trouble });
        }
      }
    });
    this.store.changed.connect(this._onChanged, this);
  }

  readonly api: Api;
  readonly store: Store;

  get state(): IState {
    return this.store.state;
  }

  get changed(): ISignal<Store, IState> {
    return this.store.changed;
  }

  /** Text that a running fold prints, as it comes. */
  get printed(): ISignal<this, ILogText> {
    return this._printed;
  }

  /** Connect where that is of use: a server that refused is asked again by a person alone. */
  begin(): void {
    const { connection } = this.state;
    if (connection !== 'missing' && connection !== 'forbidden') {
      this._link.connect();
    }
  }

  /** Connect, or try again now. */
  connect(): void {
    this._link.connect();
  }

  /**
   * Keep runners and health current as long as somebody looks at them.
   *
   * They are not asked for otherwise, because the question alone brings up the server's pool.
   */
  look(): IDisposable {
    this._lookers += 1;
    if (this._lookers === 1) {
      void this._lookNow();
      this._looking = setInterval(() => {
        if (!document.hidden) {
          void this._lookNow();
        }
      }, LOOK);
    }
    let over = false;
    return {
      get isDisposed() {
        return over;
      },
      dispose: () => {
        if (!over) {
          over = true;
          this._lookers -= 1;
          if (this._lookers === 0) {
            clearInterval(this._looking);
          }
        }
      }
    };
  }

  /** Fetch the next older submissions. */
  async moreSubmissions(): Promise<void> {
    const cursor = this.state.moreSubmissions;
    if (cursor !== null) {
      const { items, next } = await this.api.submissions({ limit: PAGE, cursor });
      this.store.take({ type: 'submissions', submissions: items, next });
    }
  }

  /** Fetch older submissions that a filter lets through; returns where more of them begin. */
  async search(query: {
    text: string;
    dataset: number | null;
    standing: Standing | '';
    owner?: string;
    cursor?: string;
  }): Promise<string | null> {
    const { items, next } = await this.api.submissions({
      limit: PAGE,
      cursor: query.cursor,
      text: query.text || undefined,
      owner: query.owner,
      standing: query.standing || undefined,
      raw_data: query.dataset ?? undefined
    });
    items.forEach(submission => this.store.take({ type: 'submission', submission }));
    return next;
  }

  /** Fetch all folds of a submission, page by page. */
  async loadFolds(submission: number): Promise<void> {
    let cursor: string | undefined;
    do {
      const { items, next } = await this.api.folds({ submission, limit: 1000, cursor });
      this.store.take({ type: 'folds', folds: items });
      cursor = next ?? undefined;
    } while (cursor !== undefined);
  }

  /** Fetch a submission, also one that is not among those shown. */
  async loadSubmission(id: number): Promise<Submission> {
    const submission = await this.api.submission(id);
    this.store.take({ type: 'submission', submission });
    return submission;
  }

  get isDisposed(): boolean {
    return this._link.isDisposed;
  }

  dispose(): void {
    this._link.dispose();
    clearTimeout(this._gathering);
    clearInterval(this._looking);
    Signal.clearData(this);
    Signal.clearData(this.store);
  }

  private _take(message: ServerMessage): void {
    if (message.type === 'log') {
      this._printed.emit(message);
    } else {
      this.store.take(message);
    }
    if (message.type === 'event' && message.kind === 'runner') {
      this._lookSoon = this._lookers > 0;
    }
  }

  private async _lookNow(): Promise<void> {
    this._lookSoon = false;
    const { connection } = this.state;
    if (connection === 'missing' || connection === 'forbidden' || connection === 'offline') {
      return;
    }
    try {
      const [health, runners] = await Promise.all([this.api.health(), this.api.runners()]);
      this.store.take({ type: 'health', health }, { type: 'runners', runners });
    } catch {
      // The link meets the same trouble, and tells of it.
    }
  }

  private _onChanged(_: Store, state: IState): void {
    const incomplete = state.stale.size > 0 || state.staleDatasets.size > 0 || this._lookSoon;
    if (incomplete && this._gathering === undefined && state.connection === 'live') {
      this._gathering = setTimeout(() => {
        void this._complete().finally(() => {
          this._gathering = undefined;
          // What changed meanwhile is still marked.
          if (this.state.stale.size > 0 || this.state.staleDatasets.size > 0) {
            this._onChanged(this.store, this.state);
          }
        });
      }, this._pause);
    }
  }

  /** Read again what events said only a part of. */
  private async _complete(): Promise<void> {
    const submissions = [...this.state.stale];
    const datasets = [...this.state.staleDatasets];
    // Unmarked before they are read: what changes while the answer is underway marks them again.
    this.store.take({ type: 'stale', on: false, submissions, datasets });
    this.store.flush();
    if (this._lookers > 0) {
      void this._lookNow();
    }
    try {
      await Promise.all([
        this._completeSubmissions(submissions),
        ...datasets.map(id => this._completeDataset(id))
      ]);
      this._pause = GATHER;
    } catch {
      this._pause = LOOK;
      this.store.take({ type: 'stale', on: true, submissions, datasets });
    }
    this.store.flush();
  }

  private async _completeDataset(id: number): Promise<void> {
    try {
      this.store.take({ type: 'dataset', dataset: await this.api.dataset(id) });
    } catch (reason) {
      this._lost('dataset', id, reason);
    }
  }

  private async _completeSubmissions(ids: readonly number[]): Promise<void> {
    let rest = ids;
    if (ids.length > ONE_BY_ONE) {
      const cursor = String(Math.max(...ids) + 1);
      const { items } = await this.api.submissions({ limit: PAGE, cursor });
      const found = new Map(items.map(item => [item.databoard_s_id, item]));
      for (const id of ids) {
        const submission = found.get(id);
        if (submission) {
          this.store.take({ type: 'submission', submission });
        }
      }
      rest = ids.filter(id => !found.has(id));
    }
    await Promise.all(rest.map(id => this._completeSubmission(id)));
  }

  private async _completeSubmission(id: number): Promise<void> {
    try {
      await this.loadSubmission(id);
    } catch (reason) {
      this._lost('submission', id, reason);
    }
  }

  private _lost(kind: 'dataset' | 'submission', id: number, reason: unknown): void {
    if (asApiError(reason).trouble !== 'notfound') {
      throw reason;
    }
    this.store.take({ type: 'gone', kind, id });
  }

  private readonly _link: Link;
  private readonly _printed = new Signal<this, ILogText>(this);
  private _lookers = 0;
  private _pause = GATHER;
  private _looking: ReturnType<typeof setInterval> | undefined;
  private _lookSoon = false;
  private _gathering: ReturnType<typeof setTimeout> | undefined;
}
