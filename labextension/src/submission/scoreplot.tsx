import * as React from 'react';
import type { Fold } from '../api/types';
import { useApp } from '../ui/context';
import { score } from '../ui/format';
import { rank } from './scores';

const ROW = 44;
const LEFT = 150;
const RIGHT = 90;
const WIDTH = 720;
/** Dots stand apart, so that equal ones can be told. */
const SPREAD = 5;

/** Each fold's scores as dots on a line, with their mean. */
export function ScorePlot({ folds }: { folds: readonly Fold[] }): React.ReactElement {
  const { trans } = useApp();
  const names = [...new Set(folds.flatMap(fold => Object.keys(fold.scores)))].sort(
    (a, b) => rank(a) - rank(b)
  );
  if (names.length === 0) {
    return (
      <p className="jp-Datarun-empty">{trans.__('There are scores once a fold is tested.')}</p>
    );
  }
  return (
    <div className="jp-Datarun-plot" tabIndex={0} role="group" aria-label={trans.__('Scores')}>
      <svg
        width={WIDTH}
        height={names.length * ROW}
        role="group"
        aria-label={trans.__('Scores of the folds')}
      >
        {names.map((name, row) => (
          <Line key={name} name={name} row={row} folds={folds} />
        ))}
      </svg>
    </div>
  );
}

/** What an axis spans: a little more than its values, and no accuracy beyond 0 and 1. */
export function extent(name: string, values: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = Math.max((high - low) / 10, Math.abs(high) / 50, 1e-9);
  return name.endsWith('accuracy')
    ? [Math.max(0, low - room), Math.min(1, high + room)]
    : [low - room, high + room];
}

function Line(props: { name: string; row: number; folds: readonly Fold[] }): React.ReactElement {
  const { trans } = useApp();
  const { name, row, folds } = props;
  const dots = folds.flatMap(fold => {
    const value = fold.scores[name];
    return value === null || value === undefined ? [] : [{ id: fold.databoard_sf_id, value }];
  });
  const values = dots.map(({ value }) => value);
  const [low, high] = extent(name, values);
  const x = (value: number) => LEFT + ((WIDTH - LEFT - RIGHT) * (value - low)) / (high - low);
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const y = row * ROW + ROW / 2;
  const label = name.replace('_', ' ');
  return (
    <g
      role="img"
      aria-label={trans.__(
        '%1: mean %2, from %3 to %4 over %5 folds',
        label,
        score(mean),
        score(Math.min(...values)),
        score(Math.max(...values)),
        values.length
      )}
    >
      <text className="jp-Datarun-laneName" x={0} y={y + 4}>
        {label}
      </text>
      <line className="jp-Datarun-axis" x1={LEFT} x2={WIDTH - RIGHT} y1={y} y2={y} />
      <text className="jp-Datarun-axisText" x={LEFT} y={y + 18}>
        {score(low)}
      </text>
      <text className="jp-Datarun-axisText" x={WIDTH - RIGHT} y={y + 18} textAnchor="end">
        {score(high)}
      </text>
      <line className="jp-Datarun-mean" x1={x(mean)} x2={x(mean)} y1={y - 11} y2={y + 11} />
      {dots.map(({ id, value }, place) => (
        <circle
          key={id}
          className="jp-Datarun-dot"
          cx={x(value)}
          cy={y + SPREAD * ((place % 3) - 1)}
          r={4}
        >
          <title>{trans.__('Fold %1: %2', id, score(value))}</title>
        </circle>
      ))}
      <text className="jp-Datarun-meanText" x={WIDTH - RIGHT + 14} y={y + 4}>
        {score(mean)}
      </text>
    </g>
  );
}
