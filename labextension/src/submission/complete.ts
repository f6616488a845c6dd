import * as React from 'react';
import { asApiError, type ApiError } from '../api/errors';
import type { Fold } from '../api/types';
import type { IState } from '../model/state';
import { useApp, useModel } from '../ui/context';

/** The folds of a submission that are known, by their number. */
export function foldsOf(state: IState, submission: number): Fold[] {
  const folds: Fold[] = [];
  for (const fold of state.folds.values()) {
    if (fold.databoard_s === submission) {
      folds.push(fold);
    }
  }
  return folds.sort((a, b) => a.databoard_sf_id - b.databoard_sf_id);
}

/** How long changes are gathered before the folds are read again, in milliseconds. */
const GATHER = 800;
/** How often places in the queue are read again. */
const QUEUE = 5000;

/** Fetch a submission and its folds, and again what events do not say of them. */
export function useComplete(id: number): {
  trouble: ApiError | null;
  loaded: boolean;
  again: () => void;
} {
  const { model } = useApp();
  const state = useModel();
  const [trouble, setTrouble] = React.useState<ApiError | null>(null);
  const [loaded, setLoaded] = React.useState(false);
  const live = state.connection === 'live';
  const load = React.useCallback(async () => {
    try {
      await Promise.all([model.loadSubmission(id), model.loadFolds(id)]);
      setTrouble(null);
      setLoaded(true);
    } catch (reason) {
      setTrouble(asApiError(reason));
    }
  }, [model, id]);

  React.useEffect(() => {
    if (live) {
      void load();
    }
  }, [load, live]);

  const folds = foldsOf(state, id);
  // Measures come with the answer, not with the event: read the folds after some have ended.
  const ends = folds.reduce((sum, fold) => sum + (fold.ended_at ?? 0), 0);
  const first = React.useRef(true);
  React.useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    const timer = setTimeout(() => void load(), GATHER);
    return () => clearTimeout(timer);
  }, [ends, load]);

  const waiting = live && folds.some(fold => fold.state === 'TODO');
  React.useEffect(() => {
    if (!waiting) {
      return;
    }
    const timer = setInterval(() => {
      if (!document.hidden) {
        void load();
      }
    }, QUEUE);
    return () => clearInterval(timer);
  }, [waiting, load]);
  return { trouble, loaded, again: () => void load() };
}
