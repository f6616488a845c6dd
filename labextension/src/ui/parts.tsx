import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { ApiError } from '../api/errors';
import type { IProgress } from '../model/state';
import { useApp } from './context';
import type { IWord, Mark } from './words';

const PATHS: Readonly<Record<Mark, string>> = {
  wait: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 1.4a4.6 4.6 0 1 1 0 9.2 4.6 4.6 0 0 1 0-9.2zM7.4 5v3.4l2.6 1.7.7-1-2-1.3V5z',
  run: 'M8 2a6 6 0 0 1 6 6h-1.6A4.4 4.4 0 0 0 8 3.6z',
  good: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zm-1 9.1L4.2 8.1l1.1-1.1L7 8.7l3.9-3.9L12 5.9z',
  bad: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zm2.6 7.7-1.1 1.1L8 9.1l-1.5 1.5-1.1-1.1L6.9 8 5.4 6.5l1.1-1.1L8 6.9l1.5-1.5 1.1 1.1L9.1 8z',
  off: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM4.8 7.2h6.4v1.6H4.8z'
};

/** The drawing of a state. Its word stands beside it, or is given for those who do not see it. */
export function StateMark(props: { mark: Mark; label?: string }): React.ReactElement {
  const { mark, label } = props;
  return (
    <svg
      className={`jp-Datarun-mark jp-Datarun-mark-${mark}`}
      viewBox="0 0 16 16"
      width="16"
      height="16"
      role={label ? 'img' : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
    >
      {mark === 'run' && (
        <path
          className="jp-Datarun-mark-ring"
          d="M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 1.6a4.4 4.4 0 1 1 0 8.8 4.4 4.4 0 0 1 0-8.8z"
        />
      )}
      <path d={PATHS[mark]} />
    </svg>
  );
}

/** A state by mark and word. */
export function StateWord(props: IWord): React.ReactElement {
  return (
    <span className={`jp-Datarun-state jp-Datarun-state-${props.mark}`}>
      <StateMark mark={props.mark} />
      <span>{props.word}</span>
    </span>
  );
}

/** How far a submission is: one bar, its parts by state, and the same in words. */
export function FoldBar(props: { progress: IProgress }): React.ReactElement {
  const { trans } = useApp();
  const { total, ended, failed, counts, word } = props.progress;
  const parts: [Mark, number][] = [
    ['good', counts.TESTED ?? 0],
    // What a person ended has not failed.
    [word === 'cancelled' ? 'off' : 'bad', failed],
    ['run', Math.max(counts.RUNNING ?? 0, (counts.TRAINED ?? 0) + (counts.VALIDATED ?? 0))]
  ];
  const text =
    word === 'cancelled'
      ? trans.__('%1 of %2 folds were cancelled', failed, total)
      : failed > 0
        ? trans.__('%1 of %2 folds have ended, %3 of them failed', ended, total, failed)
        : trans.__('%1 of %2 folds have ended', ended, total);
  return (
    <div
      className="jp-Datarun-bar"
      role="progressbar"
      aria-valuemin={0}
      aria-valuemax={Math.max(total, 1)}
      aria-valuenow={ended}
      aria-valuetext={text}
      aria-label={trans.__('Folds')}
      title={text}
    >
      {parts.map(
        ([mark, n]) =>
          n > 0 && (
            <span
              key={mark}
              className={`jp-Datarun-bar-${mark}`}
              style={{ width: `${(100 * n) / Math.max(total, 1)}%` }}
            />
          )
      )}
    </div>
  );
}

/** A button that is an icon. Disabled, it says why in its tooltip and stays reachable. */
export function IconButton(props: {
  icon: LabIcon;
  label: string;
  onClick: () => void;
  /** Why it cannot be pressed now. */
  barred?: string | null;
  pressed?: boolean;
}): React.ReactElement {
  const { icon, label, barred } = props;
  return (
    <button
      type="button"
      className="jp-Datarun-iconButton"
      aria-label={label}
      title={barred ? `${label}: ${barred}` : label}
      aria-disabled={barred ? true : undefined}
      aria-pressed={props.pressed}
      onClick={event => {
        event.stopPropagation();
        if (!barred) {
          props.onClick();
        }
      }}
    >
      <icon.react tag="span" width="16px" height="16px" />
    </button>
  );
}

/** A button with a word. Disabled, it says why. */
export function WordButton(props: {
  label: string;
  onClick: () => void;
  icon?: LabIcon;
  barred?: string | null;
  primary?: boolean;
  warn?: boolean;
}): React.ReactElement {
  const { barred, icon } = props;
  const kind = props.primary ? 'jp-mod-accept' : props.warn ? 'jp-mod-warn' : 'jp-mod-reject';
  return (
    <button
      type="button"
      className={`jp-Datarun-button jp-mod-styled ${kind}`}
      title={barred ?? undefined}
      aria-disabled={barred ? true : undefined}
      onClick={() => {
        if (!barred) {
          props.onClick();
        }
      }}
    >
      {icon && <icon.react tag="span" width="16px" height="16px" />}
      {props.label}
    </button>
  );
}

/** What went wrong, in place, with what can be done. */
export function TroubleBox(props: { trouble: ApiError; onRetry?: () => void }): React.ReactElement {
  const { trans } = useApp();
  const { trouble, onRetry } = props;
  return (
    <div className="jp-Datarun-trouble" role="alert">
      <p>
        <StateMark mark="bad" />
        <span>
          {trouble.message}
          {trouble.status > 0 && <small> {trans.__('(code %1)', trouble.status)}</small>}
        </span>
      </p>
      {onRetry && <WordButton label={trans.__('Try again')} onClick={onRetry} />}
    </div>
  );
}

/** Something is being fetched; shown only when it takes long enough to be noticed. */
export function Loading(props: { what: string }): React.ReactElement {
  return (
    <p className="jp-Datarun-loading" role="status">
      <StateMark mark="run" />
      {props.what}
    </p>
  );
}

/** A label, its field, and what is wrong with it. */
export function Field(props: {
  label: string;
  error?: string;
  hint?: string;
  children: (id: string, describedBy: string | undefined) => React.ReactNode;
}): React.ReactElement {
  const id = React.useId();
  const noteId = `${id}-note`;
  const note = props.error ?? props.hint;
  return (
    <div className={`jp-Datarun-field${props.error ? ' jp-mod-error' : ''}`}>
      <label htmlFor={id}>{props.label}</label>
      {props.children(id, note ? noteId : undefined)}
      {note && (
        <small id={noteId} role={props.error ? 'alert' : undefined}>
          {note}
        </small>
      )}
    </div>
  );
}
