import { describe, expect, it } from 'vitest';
import { errorOf } from '../src/api/errors';
import { toEach } from '../src/model/several';
import { dedented } from '../src/ui/format';
import { toggled } from '../src/ui/selection';

describe('choosing rows', () => {
  const ids = [9, 7, 5, 3];

  it('takes one more, and leaves one out again', () => {
    const one = toggled(ids, new Set(), 7, null);
    expect([...one]).toEqual([7]);
    expect([...toggled(ids, one, 7, null)]).toEqual([]);
  });

  it('takes all in between, upwards too', () => {
    expect([...toggled(ids, new Set([3]), 7, 3)].sort()).toEqual([3, 5, 7]);
    expect([...toggled(ids, new Set([9]), 5, 9)].sort()).toEqual([5, 7, 9]);
  });

  it('takes one alone when where it began is gone', () => {
    expect([...toggled(ids, new Set(), 5, 100)]).toEqual([5]);
  });
});

describe('doing something to each', () => {
  it('goes on after one that fails, and says each reason once', async () => {
    const done: number[] = [];
    const outcome = await toEach([1, 2, 3, 4, 5, 6], async id => {
      if (id % 2 === 0) {
        throw new Error('It has ended.');
      }
      done.push(id);
    });
    expect(done.sort()).toEqual([1, 3, 5]);
    expect(outcome).toEqual({ done: 3, left: 3, reasons: ['It has ended.'] });
  });

  it('does no more than a few at once', async () => {
    let now = 0;
    let most = 0;
    await toEach([...Array(20).keys()], async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise(resolve => setTimeout(resolve, 1));
      now -= 1;
    });
    expect(most).toBe(4);
  });
});

it('keeps the whole answer of a failed try-out', async () => {
  const body = { preflight: ['It failed.'], reason: 'USER_ERROR', detail: 'NameError', log: '' };
  const error = await errorOf(new Response(JSON.stringify(body), { status: 400 }));
  expect(error.message).toBe('NameError');
  expect(error.said).toEqual(body);
});

it('takes away the margin that all lines have', () => {
  expect(dedented(['    a', '', '      b'])).toEqual(['a', '', '  b']);
  expect(dedented(['a', '  b'])).toEqual(['a', '  b']);
  expect(dedented([])).toEqual([]);
});
