import * as React from 'react';
import type { Limits } from '../api/types';
import { useApp, useModel } from '../ui/context';
import { Field } from '../ui/parts';

type Name = keyof Limits;

/** What a fold may use; empty fields take the server's own values. */
export function LimitFields(props: {
  limits: Limits;
  onChange: (limits: Limits) => void;
}): React.ReactElement {
  const { trans, model } = useApp();
  const { health } = useModel();
  const { limits, onChange } = props;
  const usual = health?.limits.default ?? {};
  const most = health?.limits.maximum ?? {};
  React.useEffect(() => {
    const look = model.look();
    return () => look.dispose();
  }, [model]);
  const labels: [Name, string][] = [
    ['soft_s', trans.__('Time limit (s)')],
    ['hard_s', trans.__('Killed after (s)')],
    ['memory_mb', trans.__('Memory (MB)')],
    ['processes', trans.__('Processes')],
    ['disk_mb', trans.__('Disk (MB)')]
  ];
  return (
    <details className="jp-Datarun-limits">
      <summary>
        {trans.__('Limits')}
        <small>
          {usual.soft_s !== undefined &&
            trans.__(
              '%1 s, %2 MB',
              limits.soft_s ?? usual.soft_s,
              limits.memory_mb ?? usual.memory_mb
            )}
        </small>
      </summary>
      <div className="jp-Datarun-pair">
        {labels.map(([name, label]) => (
          <Field
            key={name}
            label={label}
            hint={most[name] === undefined ? undefined : trans.__('at most %1', most[name])}
          >
            {(id, note) => (
              <input
                id={id}
                aria-describedby={note}
                className="jp-mod-styled"
                type="number"
                min={1}
                max={most[name]}
                placeholder={usual[name] === undefined ? '' : String(usual[name])}
                value={limits[name] ?? ''}
                onChange={event => {
                  const { value } = event.target;
                  // JSON leaves out what is undefined.
                  onChange({ ...limits, [name]: value === '' ? undefined : Number(value) });
                }}
              />
            )}
          </Field>
        ))}
      </div>
    </details>
  );
}
