import type { Submission } from '../api/types';
import { progressOf, type IProgress, type IState } from './state';

/** A submission that has just ended. */
export interface IEnding {
  submission: Submission;
  progress: IProgress;
  /** Its first failed fold that is known here. */
  firstFailed: number | null;
}

/** Notices submissions that end while the panel looks on; those of before are no news. */
export class Endings {
  /** Return the person's own submissions that have ended since the last look. */
  look(state: IState): IEnding[] {
    const found: IEnding[] = [];
    const open = new Set<number>();
    for (const [id, submission] of state.submissions) {
      const progress = progressOf(state, submission);
      const underway = progress.word === 'running' || progress.word === 'waiting';
      // Reasons and scores come a moment after the last fold; the news waits for them.
      if (underway || (this._open.has(id) && state.stale.has(id))) {
        open.add(id);
      } else if (this._open.has(id) && progress.word !== 'empty') {
        if (submission.owner === state.user?.name && progress.word !== 'cancelled') {
          found.push({ submission, progress, firstFailed: firstFailed(state, id) });
        }
      }
    }
    this._open = open;
    return found;
  }

  private _open: ReadonlySet<number> = new Set();
}

function firstFailed(state: IState, submission: number): number | null {
  for (const fold of state.folds.values()) {
    if (fold.databoard_s === submission && fold.state === 'ERROR' && fold.reason !== 'CANCELLED') {
      return fold.databoard_sf_id;
    }
  }
  return null;
}
