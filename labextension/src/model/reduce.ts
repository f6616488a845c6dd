/**
 * The next state from the last one and what has happened: pure, so that it can be tested alone.
 *
 * Several messages are reduced at once, because each map is copied at most once per call; a burst
 * of events then costs one copy and one rendering.
 */
import type { ApiError } from '../api/errors';
import type { Dataset, Fold, IEvent, ISnapshot, Submission } from '../api/types';
import { afterEvent } from './foldruns';
import type { Message } from './messages';
import { isRunning, type Connection, type IState, type ITally } from './state';

/** Return the state after some messages. */
export function reduce(state: IState, messages: readonly Message[]): IState {
  const draft = new Draft(state);
  for (const message of messages) {
    draft.take(message);
  }
  return draft.result;
}

type Maps = 'datasets' | 'submissions' | 'folds' | 'tallies' | 'runners';
type ValueOf<M> = M extends ReadonlyMap<number, infer V> ? V : never;

/** A state being made: copies each map when it is first written to. */
class Draft {
  constructor(base: IState) {
    this.result = base;
  }

  result: IState;

  take(message: Message): void {
    switch (message.type) {
      case 'hello':
        this._set({ protocol: message.protocol, version: message.version });
        break;
      case 'snapshot':
        this._snapshot(message);
        break;
      case 'event':
        this._event(message);
        break;
      case 'resync':
        // The socket asks for a snapshot; until it comes, nothing after this can be trusted.
        this._set({ seq: null });
        break;
      case 'log':
        break;
      case 'connection':
        this._connection(message.connection, message.at, message.trouble);
        break;
      case 'user':
        this._set({ user: message.user, mayWrite: message.mayWrite });
        break;
      case 'health':
        this._set({ health: message.health });
        break;
      case 'runners':
        this._set({ runners: new Map(message.runners.map(runner => [runner.id, runner])) });
        break;
      case 'dataset':
        this._write('datasets').set(message.dataset.id, message.dataset);
        break;
      case 'submission':
        this._submission(message.submission);
        break;
      case 'submissions':
        message.submissions.forEach(submission => this._submission(submission));
        this._set({ moreSubmissions: message.next });
        break;
      case 'folds':
        message.folds.forEach(fold => this._fold(fold));
        break;
      case 'stale':
        message.submissions.forEach(id => this._mark('stale', id, message.on));
        message.datasets.forEach(id => this._mark('staleDatasets', id, message.on));
        break;
      case 'gone':
        this._gone(message.kind, message.id);
        break;
    }
  }

  private _set(part: Partial<IState>): void {
    this.result = { ...this.result, ...part };
  }

  private readonly _copied = new Set<Maps>();

  private _write<K extends Maps>(name: K): Map<number, ValueOf<IState[K]>> {
    if (!this._copied.has(name)) {
      this._copied.add(name);
      this._set({ [name]: new Map(this.result[name] as ReadonlyMap<number, unknown>) });
    }
    return this.result[name] as unknown as Map<number, ValueOf<IState[K]>>;
  }

  private _mark(name: 'stale' | 'staleDatasets', id: number, on: boolean): void {
    if (this.result[name].has(id) !== on) {
      const marks = new Set(this.result[name]);
      if (on) {
        marks.add(id);
      } else {
        marks.delete(id);
      }
      this._set({ [name]: marks });
    }
  }

  private _connection(connection: Connection, at: number, trouble?: ApiError): void {
    const was = this.result.lostAt;
    this._set({
      connection,
      trouble: trouble ?? null,
      lostAt: connection === 'live' ? null : was === null && this.result.seq !== null ? at : was
    });
  }

  private _snapshot(snapshot: ISnapshot): void {
    const before = this.result.submissions;
    // Submissions that were fetched page by page stay; the newest come with every snapshot.
    const oldest = Math.min(...snapshot.submissions.map(item => item.databoard_s_id));
    const kept = [...before].filter(([id]) => id < oldest);
    const full = snapshot.submissions.length >= SNAPSHOT_MAX;
    this._set({
      seq: snapshot.seq,
      datasets: new Map(snapshot.rawdata.map(item => [item.id, item])),
      submissions: new Map(
        snapshot.submissions
          .map(item => [item.databoard_s_id, item] as const)
          .concat(full ? kept : [])
      ),
      moreSubmissions: full ? (this.result.moreSubmissions ?? String(oldest)) : null,
      folds: new Map(),
      tallies: new Map(),
      runners: new Map(snapshot.runners.map(item => [item.id, item])),
      stale: new Set(full ? kept.map(([id]) => id) : []),
      staleDatasets: new Set()
    });
    this._copied.clear();
    snapshot.folds.forEach(fold => this._fold(fold));
  }

  private _event(event: IEvent): void {
    const { seq } = this.result;
    if (seq === null || event.seq <= seq) {
      return;
    }
    this._set({ seq: event.seq });
    const id = Number(event.ref);
    const deleted = event.data.deleted === true;
    switch (event.kind) {
      case 'fold':
        if (deleted) {
          this._withoutFold(id);
        } else {
          this._foldEvent(id, event.data as unknown as Fold);
        }
        break;
      case 'rawdata':
        if (deleted) {
          this._gone('dataset', id);
        } else {
          this._datasetEvent(id, event.data as Partial<Dataset>);
        }
        break;
      case 'submission':
        if (deleted) {
          this._gone('submission', id);
        } else {
          // The event does not say everything of a new submission.
          this._submissionEvent(id, event.data as Partial<Submission>);
        }
        break;
      case 'task':
      case 'runner':
        break;
    }
  }

  private _foldEvent(id: number, data: Fold): void {
    const before = this.result.folds.get(id);
    const fold = afterEvent(before, data);
    this._fold(fold);
    const submission = data.databoard_s;
    const scored = fold.state === 'TESTED' || fold.state === 'ERROR';
    if (submission !== null && (!before || scored || before.state === 'ERROR')) {
      // Scores and reasons are summed up by the server, as are folds that are not known here.
      this._mark('stale', submission, true);
    }
  }

  private _fold(fold: Fold): void {
    const before = this.result.folds.get(fold.databoard_sf_id);
    this._write('folds').set(fold.databoard_sf_id, fold);
    this._tally(before, fold);
  }

  private _withoutFold(id: number): void {
    const before = this.result.folds.get(id);
    if (before) {
      this._write('folds').delete(id);
      this._tally(before, undefined);
      if (before.databoard_s !== null) {
        this._mark('stale', before.databoard_s, true);
      }
    }
  }

  private _tally(before: Fold | undefined, after: Fold | undefined): void {
    const id = (after ?? before)?.databoard_s;
    if (id === null || id === undefined) {
      return;
    }
    const tallies = this._write('tallies');
    const { known, counts }: ITally = tallies.get(id) ?? { known: 0, counts: {} };
    const next: Record<string, number> = { ...counts };
    const add = (fold: Fold | undefined, n: number) => {
      if (fold) {
        next[fold.state] = (next[fold.state] ?? 0) + n;
        // Beside the states: how many of them a runner works on.
        next.RUNNING = (next.RUNNING ?? 0) + (isRunning(fold) ? n : 0);
      }
    };
    add(before, -1);
    add(after, 1);
    tallies.set(id, { known: known + (after ? 1 : 0) - (before ? 1 : 0), counts: next });
  }

  private _datasetEvent(id: number, data: Partial<Dataset>): void {
    const before = this.result.datasets.get(id);
    if (before) {
      this._write('datasets').set(id, { ...before, ...data });
    }
    this._mark('staleDatasets', id, true);
  }

  private _submissionEvent(id: number, data: Partial<Submission>): void {
    const before = this.result.submissions.get(id);
    if (before) {
      this._write('submissions').set(id, { ...before, ...data });
    }
    this._mark('stale', id, true);
  }

  private _submission(submission: Submission): void {
    this._write('submissions').set(submission.databoard_s_id, submission);
  }

  private _gone(kind: 'dataset' | 'submission', id: number): void {
    if (kind === 'submission') {
      this._write('submissions').delete(id);
      this._write('tallies').delete(id);
      this._mark('stale', id, false);
    } else {
      this._write('datasets').delete(id);
      this._mark('staleDatasets', id, false);
    }
    const own = (fold: Fold) => (kind === 'submission' ? fold.databoard_s : fold.raw_data) === id;
    const dead = [...this.result.folds.values()].filter(own);
    dead.forEach(fold => this._withoutFold(fold.databoard_sf_id));
    if (kind === 'submission') {
      this._write('tallies').delete(id);
      this._mark('stale', id, false);
    } else {
      for (const [key, submission] of this.result.submissions) {
        if (submission.raw_data === id) {
          this._write('submissions').delete(key);
          this._mark('stale', key, false);
        }
      }
    }
  }
}

/** As many submissions as a snapshot holds at most. */
export const SNAPSHOT_MAX = 1000;
