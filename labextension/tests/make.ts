import type { Dataset, Fold, IEvent, ISnapshot, Stage, Submission } from '../src/api/types';

export function fold(id: number, stage: Stage = 'QUEUED', more: Partial<Fold> = {}): Fold {
  const state = ['TRAINED', 'VALIDATED', 'TESTED', 'ERROR'].includes(stage) ? stage : 'TODO';
  return {
    databoard_sf_id: id,
    databoard_s: 1,
    state: state as Fold['state'],
    stage,
    new: true,
    raw_data: 1,
    owner: 'ada',
    attempt: 0,
    reason: null,
    detail: '',
    limits: {},
    scores: {},
    created: 0,
    ...more
  };
}

export function submission(id: number, more: Partial<Submission> = {}): Submission {
  return {
    databoard_s_id: id,
    name: `model ${id}`,
    raw_data: 1,
    files: [],
    files_path: '',
    hash_files: '',
    owner: 'ada',
    cv: '',
    created: 0,
    n_folds: 2,
    counts: { TODO: 2 },
    reasons: {},
    scores: {},
    ...more
  };
}

export function dataset(id: number, more: Partial<Dataset> = {}): Dataset {
  return {
    id,
    name: `data ${id}`,
    files_path: '',
    workflow_elements: 'classifier',
    target_column: 'y',
    kind: 'standard',
    owner: 'ada',
    split_state: 'DONE',
    split_error: '',
    n_train: 120,
    n_test: 30,
    columns: [],
    limits: {},
    created: 0,
    files: [],
    classes: [],
    counts: {},
    ...more
  };
}

export function snapshot(more: Partial<ISnapshot> = {}): ISnapshot {
  return {
    type: 'snapshot',
    seq: 10,
    folds: [],
    rawdata: [],
    submissions: [],
    runners: [],
    ...more
  };
}

export function event(seq: number, kind: IEvent['kind'], ref: number, data: object): IEvent {
  return { type: 'event', seq, at: 0, kind, ref: String(ref), data: { ...data } };
}
