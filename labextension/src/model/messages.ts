import type { ApiError } from '../api/errors';
import type { Dataset, Fold, Health, Runner, ServerMessage, Submission, User } from '../api/types';
import type { Connection } from './state';

/** What the panel learns by other ways than the websocket. */
export type Learned =
  | { type: 'connection'; connection: Connection; at: number; trouble?: ApiError }
  | { type: 'user'; user: User; mayWrite: boolean }
  | { type: 'health'; health: Health }
  | { type: 'runners'; runners: Runner[] }
  | { type: 'dataset'; dataset: Dataset }
  | { type: 'submission'; submission: Submission }
  | { type: 'submissions'; submissions: Submission[]; next: string | null }
  | { type: 'folds'; folds: Fold[] }
  /** Things that have to be read again, or are being read again now. */
  | { type: 'stale'; on: boolean; submissions: readonly number[]; datasets: readonly number[] }
  | { type: 'gone'; kind: 'dataset' | 'submission'; id: number };

export type Message = ServerMessage | Learned;
