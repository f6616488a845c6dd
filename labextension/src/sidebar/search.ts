import * as React from 'react';
import type { IFilter } from '../model/select';
import { useApp, useModel } from '../ui/context';

/** How long after the last key the server is asked. */
const TYPED = 250;

/** What is known of the submissions that are not loaded. */
export interface IOlder {
  /** Whether the server is being asked. */
  readonly busy: boolean;
  /** Fetches more of what the filter lets through; null when there is no more. */
  readonly more: (() => void) | null;
}

/**
 * Have the server look through the submissions that are not loaded.
 *
 * What it finds joins the others in the state, so that the list filters all of them alike.
 */
export function useOlder(filter: IFilter): IOlder {
  const { model } = useApp();
  const state = useModel();
  const owner = filter.onlyMine ? state.user?.name : undefined;
  const query = React.useMemo(
    () => ({
      text: filter.text.trim(),
      dataset: filter.dataset,
      standing: filter.standing,
      owner
    }),
    [filter.text, filter.dataset, filter.standing, owner]
  );
  const narrowed =
    query.text !== '' ||
    query.dataset !== null ||
    query.standing !== '' ||
    query.owner !== undefined;
  const partial = state.moreSubmissions !== null;
  // Of an answer to an earlier query nothing is shown but what it has brought.
  const [found, setFound] = React.useState<{ query: object; next: string | null } | null>(null);
  const [asking, setAsking] = React.useState<object | null>(null);
  const ask = React.useCallback(
    async (cursor?: string) => {
      setAsking(query);
      try {
        const next = await model.search({ ...query, cursor });
        setFound({ query, next });
      } catch {
        // The link meets the same trouble, and tells of it.
      } finally {
        setAsking(now => (now === query ? null : now));
      }
    },
    [model, query]
  );
  React.useEffect(() => {
    if (!narrowed || !partial || state.connection !== 'live') {
      return;
    }
    const timer = setTimeout(() => void ask(), TYPED);
    return () => clearTimeout(timer);
  }, [ask, narrowed, partial, state.connection]);

  const [fetching, setFetching] = React.useState(false);
  if (!partial) {
    return { busy: false, more: null };
  }
  if (!narrowed) {
    const more = (): void => {
      setFetching(true);
      void model
        .moreSubmissions()
        .catch(() => undefined)
        .finally(() => setFetching(false));
    };
    return { busy: fetching, more };
  }
  const next = found?.query === query ? found.next : null;
  return {
    busy: asking === query || (found?.query !== query && state.connection === 'live'),
    more: next === null ? null : () => void ask(next)
  };
}
