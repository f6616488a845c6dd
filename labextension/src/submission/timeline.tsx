import * as React from 'react';
import type { Fold } from '../api/types';
import { useApp } from '../ui/context';
import { duration } from '../ui/format';
import { stageWord } from '../ui/words';
import { lanesOf, ticks } from './lanes';

const LANE = 22;
const AXIS = 22;
const LEFT = 150;
const RIGHT = 16;
/** Of the box, at both sides. */
const PADDING = 32;
const MAX_WIDTH = 1400;

/** Which fold ran when, on which runner. */
export function Timeline({ folds }: { folds: readonly Fold[] }): React.ReactElement {
  const { trans } = useApp();
  const box = React.useRef<HTMLDivElement>(null);
  const [width, setWidth] = React.useState(600);
  const [, tick] = React.useReducer((n: number) => n + 1, 0);
  React.useLayoutEffect(() => {
    const node = box.current;
    if (!node) {
      return;
    }
    const observer = new ResizeObserver(() =>
      setWidth(Math.min(node.clientWidth - PADDING, MAX_WIDTH))
    );
    observer.observe(node);
    return () => observer.disconnect();
  }, []);
  const running = folds.some(fold => fold.started_at && !fold.ended_at);
  React.useEffect(() => {
    if (!running) {
      return;
    }
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, [running]);

  const { lanes, from, to } = lanesOf(folds, Date.now() / 1000);
  const span = Math.max(to - from, 0.1);
  const inner = Math.max(60, width - LEFT - RIGHT);
  const x = (at: number) => LEFT + (inner * (at - from)) / span;
  const height = lanes.length * LANE + AXIS;
  return (
    <div ref={box} className="jp-Datarun-plot">
      {lanes.length === 0 ? (
        <p className="jp-Datarun-empty">{trans.__('No fold has run yet.')}</p>
      ) : (
        <svg
          width={width}
          height={height}
          role="group"
          aria-label={trans.__('Timeline: which fold ran when on which runner')}
        >
          {ticks(span, inner / 90).map(at => (
            <g key={at} className="jp-Datarun-tick">
              <line x1={x(from + at)} x2={x(from + at)} y1={0} y2={height - AXIS} />
              <text x={x(from + at)} y={height - 6} textAnchor="middle">
                {duration(at)}
              </text>
            </g>
          ))}
          {lanes.map((lane, row) => (
            <g key={row}>
              {lane.first && (
                <text className="jp-Datarun-laneName" x={0} y={row * LANE + 15}>
                  {lane.runner.length > 22 ? `…${lane.runner.slice(-21)}` : lane.runner}
                  <title>{lane.runner}</title>
                </text>
              )}
              {lane.bars.map(({ fold, start, end }) => {
                const { mark, word } = stageWord(fold, trans);
                const text = trans.__(
                  'Fold %1: %2, %3',
                  fold.databoard_sf_id,
                  word,
                  duration(end - start)
                );
                return (
                  <g
                    key={fold.databoard_sf_id}
                    role="img"
                    aria-label={text}
                    className={`jp-Datarun-span-${mark}`}
                  >
                    <rect
                      x={x(start)}
                      y={row * LANE + 3}
                      width={Math.max(3, x(end) - x(start))}
                      height={LANE - 6}
                      rx={2}
                    />
                    {x(end) - x(start) > 34 && (
                      <text x={x(start) + 5} y={row * LANE + 15}>
                        {fold.databoard_sf_id}
                      </text>
                    )}
                    <title>{text}</title>
                  </g>
                );
              })}
            </g>
          ))}
        </svg>
      )}
    </div>
  );
}
