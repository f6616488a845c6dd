import * as React from 'react';

/** Which part of a long list is in sight. */
export interface IWindow {
  /** First row to draw, and the one after the last. */
  start: number;
  end: number;
}

/** Below this length, all rows are drawn. */
const SMALL = 120;
const MARGIN = 12;

function scrollParent(node: HTMLElement | null): HTMLElement | null {
  let found = node?.parentElement ?? null;
  while (found && !/(auto|scroll)/.test(getComputedStyle(found).overflowY)) {
    found = found.parentElement;
  }
  return found;
}

/** Find which of many rows of one height are in sight of the element that scrolls them. */
export function useWindow(
  ref: React.RefObject<HTMLElement>,
  length: number,
  rowHeight: number
): IWindow {
  const [window, setWindow] = React.useState<IWindow>({ start: 0, end: Math.min(length, SMALL) });
  const long = length > SMALL;
  React.useLayoutEffect(() => {
    const node = ref.current;
    const scroller = scrollParent(node);
    if (!long || !node || !scroller) {
      return;
    }
    const look = () => {
      const top = scroller.getBoundingClientRect().top - node.getBoundingClientRect().top;
      const first = Math.floor(top / rowHeight) - MARGIN;
      const shown = Math.ceil(scroller.clientHeight / rowHeight) + 2 * MARGIN;
      const start = Math.max(0, Math.min(first, length - shown));
      const end = Math.min(length, start + shown);
      setWindow(was => (was.start === start && was.end === end ? was : { start, end }));
    };
    look();
    scroller.addEventListener('scroll', look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(scroller);
    return () => {
      scroller.removeEventListener('scroll', look);
      observer.disconnect();
    };
  }, [ref, long, length, rowHeight]);
  return long
    ? { start: Math.min(window.start, length), end: Math.min(window.end, length) }
    : { start: 0, end: length };
}
