import type { Fold } from '../api/types';

/** A fold of which nothing is known yet. */
const BLANK: Fold = {
  databoard_sf_id: 0,
  databoard_s: null,
  state: 'TODO',
  new: true,
  raw_data: 0,
  owner: '',
  stage: 'QUEUED',
  attempt: 0,
  reason: null,
  detail: '',
  limits: {},
  scores: {},
  created: 0
};

/** What a fold that is run again has lost, beside what its event says. */
const FRESH: Partial<Fold> = {
  user_line: null,
  position: null,
  eta_s: null,
  dispatched_at: null,
  started_at: null,
  ended_at: null,
  train_cpu_time: 0,
  validation_cpu_time: 0,
  test_cpu_time: 0,
  train_memory: 0,
  validation_memory: 0,
  test_memory: 0
};

/** Whether two views of a fold are of the same run of it. */
function sameRun(before: Fold, after: Fold): boolean {
  const ended = before.state === 'TESTED' || before.state === 'ERROR';
  return !(ended && after.state === 'TODO');
}

/** A fold after an event that says a part of it. */
export function afterEvent(before: Fold | undefined, data: Fold): Fold {
  const fold: Fold = before ? { ...before, ...data } : { ...BLANK, ...data };
  return before && !sameRun(before, fold) ? { ...fold, ...FRESH, ...data } : fold;
}
