import type { Fold } from '../api/types';

/** One fold's time on a runner, in seconds since 1970. */
export interface IBar {
  fold: Fold;
  start: number;
  end: number;
}

/** A row of the timeline: bars that do not overlap, of one runner. */
export interface ILane {
  runner: string;
  /** Whether it is the first row of its runner. */
  first: boolean;
  bars: IBar[];
}

export interface ILanes {
  lanes: ILane[];
  from: number;
  to: number;
}

/** Lay folds out in rows: as many for a runner as it ran folds at once. */
export function lanesOf(folds: readonly Fold[], now: number): ILanes {
  const bars: IBar[] = [];
  for (const fold of folds) {
    if (fold.started_at) {
      bars.push({ fold, start: fold.started_at, end: fold.ended_at ?? now });
    }
  }
  bars.sort((a, b) => a.start - b.start);
  const byRunner = new Map<string, ILane[]>();
  for (const bar of bars) {
    const runner = bar.fold.runner ?? '';
    const lanes = byRunner.get(runner) ?? [];
    byRunner.set(runner, lanes);
    const free = lanes.find(lane => lane.bars[lane.bars.length - 1].end <= bar.start);
    if (free) {
      free.bars.push(bar);
    } else {
      lanes.push({ runner, first: lanes.length === 0, bars: [bar] });
    }
  }
  return {
    lanes: [...byRunner.values()].flat(),
    from: bars[0]?.start ?? now,
    to: Math.max(...bars.map(bar => bar.end), bars[0]?.start ?? now)
  };
}

/** Round moments from 0 to a span, at most so many of them. */
export function ticks(span: number, most: number): number[] {
  const raw = span / Math.max(1, most);
  const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800];
  const step = steps.find(value => value >= raw) ?? Math.ceil(raw / 3600) * 3600;
  const found: number[] = [];
  for (let n = 0; n * step <= span; n++) {
    found.push(n * step);
  }
  return found;
}
