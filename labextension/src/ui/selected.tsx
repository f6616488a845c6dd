import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { useApp } from './context';
import { IconButton, WordButton } from './parts';

/** What can be done with all that is chosen; nothing is shown while nothing is. */
export function SelectedBar(props: {
  count: number;
  actions: readonly { label: string; barred: string | null; run: () => void }[];
  onClear: () => void;
}): React.ReactElement | null {
  const { trans } = useApp();
  const { count, actions } = props;
  if (count === 0) {
    return null;
  }
  return (
    <div
      className="jp-Datarun-selected"
      role="toolbar"
      aria-label={trans.__('Actions on what is selected')}
    >
      <IconButton icon={closeIcon} label={trans.__('Select nothing')} onClick={props.onClear} />
      <b role="status">{trans.__('%1 selected', count)}</b>
      {actions.map(({ label, barred, run }) => (
        <WordButton key={label} label={label} barred={barred} onClick={run} />
      ))}
    </div>
  );
}

/** The box that chooses a row. */
export function SelectBox(props: {
  label: string;
  checked: boolean;
  onToggle: (through: boolean) => void;
}): React.ReactElement {
  return (
    <input
      type="checkbox"
      className="jp-Datarun-select"
      aria-label={props.label}
      title={props.label}
      checked={props.checked}
      onClick={event => {
        event.stopPropagation();
        props.onToggle(event.shiftKey);
      }}
      // Clicks and the space bar both come as clicks.
      onChange={() => undefined}
    />
  );
}
