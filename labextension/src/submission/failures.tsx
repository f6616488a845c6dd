import * as React from 'react';
import type { Fold } from '../api/types';
import { hasEnded } from '../model/state';
import { useApp } from '../ui/context';
import { StateWord } from '../ui/parts';
import { explain } from '../ui/words';

/** Why folds failed, in one place, with the way to the first of each kind. */
export function Failures(props: {
  folds: readonly Fold[];
  onShow: (fold: number) => void;
}): React.ReactElement | null {
  const { trans } = useApp();
  const byReason = new Map<string, Fold[]>();
  for (const fold of props.folds) {
    if (fold.reason && fold.reason !== 'CANCELLED' && hasEnded(fold)) {
      byReason.set(fold.reason, [...(byReason.get(fold.reason) ?? []), fold]);
    }
  }
  if (byReason.size === 0) {
    return null;
  }
  return (
    <ul className="jp-Datarun-failures">
      {[...byReason.values()].map(folds => {
        const [first] = folds;
        const { title, remedy } = explain(first.reason ?? 'PLATFORM', trans);
        return (
          <li key={first.reason}>
            <StateWord mark="bad" word={title} />
            <span>
              {first.detail && <q>{first.detail}</q>}
              {first.user_line && (
                <code>
                  {first.user_line.file}:{first.user_line.line} {first.user_line.text}
                </code>
              )}
              <small>{remedy}</small>
            </span>
            <button
              type="button"
              className="jp-Datarun-link"
              onClick={() => props.onShow(first.databoard_sf_id)}
            >
              {folds.length === 1
                ? trans.__('Show fold %1', first.databoard_sf_id)
                : trans.__('Show the first of %1 folds', folds.length)}
            </button>
          </li>
        );
      })}
    </ul>
  );
}
