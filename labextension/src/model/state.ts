import type { ApiError } from '../api/errors';
import type {
  Counts,
  Dataset,
  Fold,
  FoldState,
  Health,
  Runner,
  Standing,
  Submission,
  User
} from '../api/types';

/** How the panel stands to the server. */
export type Connection =
  /** Nothing is known yet. */
  | 'connecting'
  /** The websocket is open and everything shown is current. */
  | 'live'
  /** The server is away: what is shown is old, and the panel tries again. */
  | 'offline'
  /** The Jupyter server has no datarun. Not tried again unasked. */
  | 'missing'
  /** This person may not use datarun here. Not tried again unasked. */
  | 'forbidden'
  /** datarun cannot start. */
  | 'broken';

/** The folds of one submission that are known here, by state. */
export interface ITally {
  known: number;
  counts: Readonly<Counts>;
}

/** Everything that the panel knows. Never changed in place: `reduce` returns the next one. */
export interface IState {
  connection: Connection;
  /** When the connection was lost, in milliseconds since 1970. */
  lostAt: number | null;
  /** Why, when it is not live. */
  trouble: ApiError | null;
  /** Number of the last event that is contained; null before the first snapshot. */
  seq: number | null;
  protocol: number | null;
  version: string;
  user: User | null;
  /** Whether the Jupyter server lets this person change anything of datarun. */
  mayWrite: boolean;
  health: Health | null;
  datasets: ReadonlyMap<number, Dataset>;
  submissions: ReadonlyMap<number, Submission>;
  /** More submissions than these are on the server, from this cursor on. */
  moreSubmissions: string | null;
  folds: ReadonlyMap<number, Fold>;
  tallies: ReadonlyMap<number, ITally>;
  runners: ReadonlyMap<number, Runner>;
  /** Submissions whose own facts (counts, scores, files) must be read again. */
  stale: ReadonlySet<number>;
  /** Datasets of which only a part is known. */
  staleDatasets: ReadonlySet<number>;
}

export const EMPTY: IState = {
  connection: 'connecting',
  lostAt: null,
  trouble: null,
  seq: null,
  protocol: null,
  version: '',
  user: null,
  mayWrite: true,
  health: null,
  datasets: new Map(),
  submissions: new Map(),
  moreSubmissions: null,
  folds: new Map(),
  tallies: new Map(),
  runners: new Map(),
  stale: new Set(),
  staleDatasets: new Set()
};

export const FOLD_STATES: readonly FoldState[] = [
  'TODO',
  'TRAINED',
  'VALIDATED',
  'TESTED',
  'ERROR'
];

/** A submission's folds by state: from the folds where all are known, else as the server counts. */
export function countsOf(state: IState, submission: Submission): Readonly<Counts> {
  const tally = state.tallies.get(submission.databoard_s_id);
  return tally && tally.known >= submission.n_folds ? tally.counts : submission.counts;
}

/** What a person wants to know first of a submission; `empty`: it has no folds. */
export type Word = Standing | 'empty';

export interface IProgress {
  word: Word;
  total: number;
  ended: number;
  failed: number;
  counts: Readonly<Counts>;
}

/** Sum up a submission. */
export function progressOf(state: IState, submission: Submission): IProgress {
  const counts = countsOf(state, submission);
  const total = FOLD_STATES.reduce((sum, name) => sum + (counts[name] ?? 0), 0);
  const failed = counts.ERROR ?? 0;
  const ended = (counts.TESTED ?? 0) + failed;
  const underway = (counts.TRAINED ?? 0) + (counts.VALIDATED ?? 0);
  let word: Word = 'running';
  if (total === 0) {
    word = 'empty';
  } else if (ended === total) {
    const cancelled = submission.reasons.CANCELLED ?? 0;
    word = failed === 0 ? 'done' : failed === cancelled ? 'cancelled' : 'failed';
  } else if (ended === 0 && underway === 0 && !runs(state, submission.databoard_s_id)) {
    word = 'waiting';
  }
  return { word, total, ended, failed, counts };
}

function runs(state: IState, submission: number): boolean {
  return (state.tallies.get(submission)?.counts.RUNNING ?? 0) > 0;
}

/** Whether a fold has come to its end. */
export function hasEnded(fold: Pick<Fold, 'state'>): boolean {
  return fold.state === 'TESTED' || fold.state === 'ERROR';
}

/** Whether a runner works on a fold now. */
export function isRunning(fold: Pick<Fold, 'stage'>): boolean {
  return fold.stage === 'RUNNING' || fold.stage === 'TRAINED' || fold.stage === 'VALIDATED';
}

/** Folds over all that is known here, for the status bar. */
export interface ITotals {
  running: number;
  waiting: number;
}

/** Count what is underway. */
export function totalsOf(state: IState): ITotals {
  let running = 0;
  let unfinished = 0;
  for (const submission of state.submissions.values()) {
    const { total, ended } = progressOf(state, submission);
    unfinished += total - ended;
    running += state.tallies.get(submission.databoard_s_id)?.counts.RUNNING ?? 0;
  }
  return { running, waiting: Math.max(0, unfinished - running) };
}
