/**
 * The server's objects under the names that the panel uses. Their shapes are generated from the
 * server's own description (`npm run api`); only what travels on the websocket is written here.
 */
import type { components } from './schema';

type Schemas = components['schemas'];

export type FoldState = Schemas['State'];
export type Standing = Schemas['Standing'];
export type Stage = Schemas['Stage'];
export type Reason = NonNullable<Schemas['Reason']>;
export type Priority = 'L' | 'H';
export type Limits = Schemas['Limits'];
export type StoredFile = Schemas['File'];
export type Counts = Schemas['Counts'];
export type Dataset = Schemas['DatasetFull'];
export type Preview = Schemas['Preview'];
export type Upload = Schemas['Upload'];
export type CrossValidation = Schemas['CrossValidation'];
export type NewDataset = Schemas['NewDataset'];
export type NewSubmission = Schemas['NewSubmission'];
export type Submission = Schemas['Submission'];
export type Fold = Schemas['FoldSummary'];
export type FoldFull = Schemas['FoldFull'];
export type FoldLog = Schemas['FoldLog'];
export type PreflightFailed = Schemas['PreflightFailed'];
export type UserLine = NonNullable<Schemas['UserLine']>;
export type Runner = Schemas['Runner'];
export type Health = Schemas['Health'];
export type Problem = Health['problems'][number];
export type User = Schemas['User'];

/** The protocol of the websocket that this panel speaks. */
export const PROTOCOL = 1;

export interface IHello {
  type: 'hello';
  protocol: number;
  version: string;
  seq: number;
}

export interface ISnapshot {
  type: 'snapshot';
  seq: number;
  folds: Fold[];
  rawdata: Dataset[];
  submissions: Submission[];
  runners: Runner[];
}

export type EventKind = 'fold' | 'task' | 'rawdata' | 'submission' | 'runner';

export interface IEvent {
  type: 'event';
  seq: number;
  at: number;
  kind: EventKind;
  ref: string;
  /** The changed fields of the thing, or `deleted`. */
  data: { deleted?: boolean; [field: string]: unknown };
}

export interface ILogText {
  type: 'log';
  databoard_sf_id: number;
  attempt: number;
  text: string;
}

export interface IResync {
  type: 'resync';
  seq: number;
}

/** What the server says on the websocket. */
export type ServerMessage = IHello | ISnapshot | IEvent | ILogText | IResync;
