import { describe, expect, it } from 'vitest';
import { ApiError } from '../src/api/errors';
import { reduce, SNAPSHOT_MAX } from '../src/model/reduce';
import { countsOf, EMPTY, progressOf, totalsOf } from '../src/model/state';
import { dataset, event, fold, snapshot, submission } from './make';

const BEGUN = reduce(EMPTY, [
  { type: 'hello', protocol: 1, version: '1.0.0', seq: 10 },
  snapshot({
    folds: [fold(1), fold(2)],
    rawdata: [dataset(1)],
    submissions: [submission(1)]
  })
]);

function only(state = BEGUN) {
  const found = state.submissions.get(1);
  if (!found) {
    throw new Error('submission 1 is gone');
  }
  return found;
}

describe('snapshot', () => {
  it('replaces what was known, so that nothing deleted meanwhile stays', () => {
    const later = reduce(BEGUN, [snapshot({ seq: 20, submissions: [submission(2)] })]);
    expect([...later.submissions.keys()]).toEqual([2]);
    expect(later.folds.size).toBe(0);
    expect(later.seq).toBe(20);
  });

  it('keeps older submissions that were fetched page by page when it is full itself', () => {
    const newest = Array.from({ length: SNAPSHOT_MAX }, (_, n) => submission(5000 + n));
    const full = reduce(EMPTY, [
      snapshot({ submissions: newest }),
      { type: 'submissions', submissions: [submission(7)], next: '7' },
      snapshot({ seq: 30, submissions: newest })
    ]);
    expect(full.submissions.size).toBe(SNAPSHOT_MAX + 1);
    expect(full.moreSubmissions).toBe('7');
    expect([...full.stale]).toEqual([7]);
  });

  it('says that there are more when it is full', () => {
    const newest = Array.from({ length: SNAPSHOT_MAX }, (_, n) => submission(5000 + n));
    expect(reduce(EMPTY, [snapshot({ submissions: newest })]).moreSubmissions).toBe('5000');
    expect(BEGUN.moreSubmissions).toBeNull();
  });
});

describe('fold events', () => {
  it('move the counts of a submission whose folds are all known', () => {
    const state = reduce(BEGUN, [
      event(11, 'fold', 1, fold(1, 'RUNNING')),
      event(12, 'fold', 1, fold(1, 'TRAINED')),
      event(13, 'fold', 2, fold(2, 'ERROR', { reason: 'USER_ERROR' }))
    ]);
    expect(countsOf(state, only(state))).toMatchObject({ TODO: 0, TRAINED: 1, ERROR: 1 });
    expect(progressOf(state, only(state))).toMatchObject({ word: 'running', ended: 1, failed: 1 });
    expect(state.seq).toBe(13);
  });

  it('are not taken twice, nor out of their order', () => {
    const once = reduce(BEGUN, [event(11, 'fold', 1, fold(1, 'TESTED'))]);
    const twice = reduce(once, [
      event(11, 'fold', 1, fold(1, 'TESTED')),
      event(10, 'fold', 1, fold(1, 'RUNNING'))
    ]);
    expect(twice).toBe(once);
  });

  it('wait for the snapshot after a resync', () => {
    const state = reduce(BEGUN, [
      { type: 'resync', seq: 99 },
      event(100, 'fold', 1, fold(1, 'TESTED'))
    ]);
    expect(state.seq).toBeNull();
    expect(state.folds.get(1)?.state).toBe('TODO');
  });

  it('leave the counting to the server while some folds are not known', () => {
    const begun = reduce(EMPTY, [
      snapshot({
        folds: [fold(1)],
        submissions: [submission(1, { n_folds: 500, counts: { TESTED: 499, TODO: 1 } })]
      })
    ]);
    const state = reduce(begun, [event(11, 'fold', 900, fold(900, 'RUNNING'))]);
    expect(countsOf(state, only(state))).toEqual({ TESTED: 499, TODO: 1 });
    expect(state.stale.has(1)).toBe(true);
  });

  it('clear what a fold had from its last run', () => {
    const ended = fold(1, 'ERROR', {
      user_line: { file: 'a.py', line: 3, text: 'x' },
      train_memory: 9
    });
    const failed = reduce(BEGUN, [{ type: 'folds', folds: [ended] }]);
    const again = reduce(failed, [event(11, 'fold', 1, { ...fold(1), user_line: undefined })]);
    expect(again.folds.get(1)?.train_memory).toBe(0);
    expect(countsOf(again, only(again))).toMatchObject({ TODO: 2, ERROR: 0 });
  });

  it('change nothing in place', () => {
    const before = JSON.stringify([...BEGUN.folds]);
    reduce(BEGUN, [event(11, 'fold', 1, fold(1, 'TESTED'))]);
    expect(JSON.stringify([...BEGUN.folds])).toBe(before);
  });

  it('keep the maps that they do not touch, so that nothing else renders', () => {
    const state = reduce(BEGUN, [event(11, 'fold', 1, fold(1, 'RUNNING'))]);
    expect(state.datasets).toBe(BEGUN.datasets);
    expect(state.runners).toBe(BEGUN.runners);
    expect(state.folds).not.toBe(BEGUN.folds);
  });
});

describe('deleting', () => {
  it('a dataset takes its submissions and folds along', () => {
    const state = reduce(BEGUN, [event(11, 'rawdata', 1, { id: 1, deleted: true })]);
    expect(state.datasets.size + state.submissions.size + state.folds.size).toBe(0);
    expect(state.stale.size).toBe(0);
  });

  it('a submission takes its folds along', () => {
    const state = reduce(BEGUN, [event(11, 'submission', 1, { deleted: true })]);
    expect(state.submissions.size + state.folds.size + state.tallies.size).toBe(0);
    expect(state.datasets.size).toBe(1);
  });

  it('a fold leaves the rest, and has the submission read again', () => {
    const state = reduce(BEGUN, [event(11, 'fold', 2, { deleted: true })]);
    expect([...state.folds.keys()]).toEqual([1]);
    expect(state.stale.has(1)).toBe(true);
  });
});

describe('new things', () => {
  it('are read when an event names them', () => {
    const state = reduce(BEGUN, [
      event(11, 'rawdata', 2, { id: 2, name: 'new' }),
      event(12, 'submission', 9, { databoard_s_id: 9 })
    ]);
    expect([...state.staleDatasets]).toEqual([2]);
    expect([...state.stale]).toEqual([9]);
  });

  it('that change while they are read are read again', () => {
    const asked = reduce(BEGUN, [
      event(11, 'submission', 1, { name: 'renamed' }),
      { type: 'stale', on: false, submissions: [1], datasets: [] },
      event(12, 'fold', 1, fold(1, 'TESTED')),
      { type: 'submission', submission: submission(1) }
    ]);
    expect(asked.stale.has(1)).toBe(true);
  });
});

describe('connection', () => {
  it('remembers when it was lost, until it is live again', () => {
    const trouble = new ApiError('offline', 'away');
    const lost = reduce(BEGUN, [
      { type: 'connection', connection: 'offline', at: 500, trouble },
      { type: 'connection', connection: 'offline', at: 900, trouble }
    ]);
    expect(lost.lostAt).toBe(500);
    expect(lost.submissions.size).toBe(1);
    const live = reduce(lost, [{ type: 'connection', connection: 'live', at: 1000 }]);
    expect([live.lostAt, live.trouble]).toEqual([null, null]);
  });
});

describe('totals', () => {
  it('count what runs and what waits', () => {
    const state = reduce(BEGUN, [event(11, 'fold', 1, fold(1, 'RUNNING'))]);
    expect(totalsOf(state)).toEqual({ running: 1, waiting: 1 });
  });
});

describe('progress', () => {
  it('is cancelled when nothing failed but by cancelling', () => {
    const one = submission(1, { counts: { ERROR: 2 }, reasons: { CANCELLED: 2 } });
    expect(progressOf(EMPTY, one).word).toBe('cancelled');
    const other = submission(1, { counts: { ERROR: 2 }, reasons: { CANCELLED: 1, CRASHED: 1 } });
    expect(progressOf(EMPTY, other).word).toBe('failed');
  });

  it('waits until a runner has begun', () => {
    expect(progressOf(BEGUN, only()).word).toBe('waiting');
    const begun = reduce(BEGUN, [event(11, 'fold', 1, fold(1, 'RUNNING'))]);
    expect(progressOf(begun, only(begun)).word).toBe('running');
  });
});
