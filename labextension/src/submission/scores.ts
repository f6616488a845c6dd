import type { Submission } from '../api/types';

/** Scores that are better the smaller they are. */
const SMALL_IS_GOOD = /rmse|mae|loss|error/;

/** The score that a submission is told apart by: on validation if it has it, of its test else. */
export function mainScore(submission: Submission): { name: string; mean: number } | null {
  const names = Object.keys(submission.scores).sort((a, b) => rank(a) - rank(b));
  for (const name of names) {
    const mean = submission.scores[name].mean;
    if (mean !== null && mean !== undefined) {
      return { name, mean };
    }
  }
  return null;
}

/** Where a score stands among the others: those of the validation first. */
export function rank(name: string): number {
  const order = ['validation_accuracy', 'validation_rmse', 'validation_r2', 'test_accuracy'];
  const place = order.indexOf(name);
  return place < 0 ? order.length : place;
}

/** How good a submission is, to sort by: the greater the better. */
export function goodness(submission: Submission): number {
  const found = mainScore(submission);
  if (!found) {
    return -Infinity;
  }
  return SMALL_IS_GOOD.test(found.name) ? -found.mean : found.mean;
}
