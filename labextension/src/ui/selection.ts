import * as React from 'react';

/** Some things of a list, chosen to be done something with together. */
export interface ISelection {
  readonly chosen: ReadonlySet<number>;
  /** Choose one or leave it out; with `through`, all from the one chosen last to this one. */
  readonly toggle: (id: number, through?: boolean) => void;
  readonly set: (ids: Iterable<number>) => void;
}

/** Choose some of a list. What is no longer in the list is no longer chosen. */
export function useSelection(ids: readonly number[]): ISelection {
  const [picked, setPicked] = React.useState<ReadonlySet<number>>(new Set());
  const anchor = React.useRef<number | null>(null);
  const latest = React.useRef(ids);
  latest.current = ids;
  const chosen = React.useMemo(() => {
    if (picked.size === 0) {
      return picked;
    }
    const there = new Set(ids);
    return new Set([...picked].filter(id => there.has(id)));
  }, [picked, ids]);
  // A number that is free again is given to something new, which nobody chose.
  React.useEffect(() => {
    setPicked(was => (was.size === chosen.size ? was : chosen));
  }, [chosen]);
  const toggle = React.useCallback((id: number, through = false) => {
    setPicked(was => toggled(latest.current, was, id, through ? anchor.current : null));
    anchor.current = id;
  }, []);
  const set = React.useCallback((all: Iterable<number>) => {
    anchor.current = null;
    setPicked(new Set(all));
  }, []);
  return { chosen, toggle, set };
}

/** The choice after one more click: with an anchor, everything from there on is chosen. */
export function toggled(
  ids: readonly number[],
  was: ReadonlySet<number>,
  id: number,
  anchor: number | null
): ReadonlySet<number> {
  const next = new Set(was);
  const from = anchor === null ? -1 : ids.indexOf(anchor);
  const to = ids.indexOf(id);
  if (from >= 0 && to >= 0) {
    ids.slice(Math.min(from, to), Math.max(from, to) + 1).forEach(one => next.add(one));
  } else if (!next.delete(id)) {
    next.add(id);
  }
  return next;
}
