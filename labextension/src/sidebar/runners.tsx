import * as React from 'react';
import type { Runner } from '../api/types';
import { useApp, useModel } from '../ui/context';
import { duration } from '../ui/format';
import { StateMark } from '../ui/parts';
import { sandboxWord } from '../ui/words';

/** What is typed on another machine; no text to translate. */
const START = 'datarun runner';

function RunnerRow({ runner }: { runner: Runner }): React.ReactElement {
  const { trans } = useApp();
  const { alive, busy, slots } = runner;
  const sandbox = sandboxWord(runner.sandbox, trans);
  const age = Math.max(0, Date.now() / 1000 - runner.last_beat);
  const beat = alive
    ? trans.__('heartbeat %1 ago', duration(Math.round(age)))
    : trans.__('no heartbeat for %1', duration(Math.round(age)));
  const versions = Object.entries(runner.versions)
    .map(([name, version]) => `${name} ${version}`)
    .join('\n');
  return (
    <li className="jp-Datarun-row jp-Datarun-runner" data-id={runner.id}>
      <div className="jp-Datarun-rowMain">
        <span className="jp-Datarun-rowTitle" title={versions}>
          <StateMark
            mark={alive ? 'good' : 'bad'}
            label={alive ? trans.__('Alive') : trans.__('Lost')}
          />
          <b title={runner.name}>{runner.name}</b>
        </span>
        <span className="jp-Datarun-rowFacts">
          <span>{trans.__('%1 of %2 slots busy', busy, slots)}</span>
          <span title={sandbox.remedy}>{sandbox.title}</span>
        </span>
        <span className="jp-Datarun-rowFacts">
          <span title={trans.__('Queues')}>{runner.queues.join(', ')}</span>
          <span title={beat}>{beat}</span>
        </span>
      </div>
      <span className="jp-Datarun-bar" aria-hidden>
        <span
          className="jp-Datarun-bar-run"
          style={{ width: `${slots > 0 ? (100 * busy) / slots : 0}%` }}
        />
      </span>
    </li>
  );
}

/** Who trains the folds. */
export function Runners(): React.ReactElement {
  const { trans } = useApp();
  const { runners } = useModel();
  if (runners.size === 0) {
    return (
      <div className="jp-Datarun-empty">
        <p>
          {trans.__(
            'No runner yet. One starts by itself with the first work; more are added with:'
          )}
        </p>
        <code>{START}</code>
      </div>
    );
  }
  return (
    <ul className="jp-Datarun-list">
      {[...runners.values()].map(runner => (
        <RunnerRow key={runner.id} runner={runner} />
      ))}
    </ul>
  );
}
