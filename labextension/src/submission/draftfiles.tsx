import { addIcon, closeIcon, fileUploadIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { useApp } from '../ui/context';
import { IconButton } from '../ui/parts';
import { PythonEditor } from './editor';
import type { Files } from './preflight';

const PICKED = '.py,.txt,.json,.csv,.yaml,.yml';

/** The files of a submission: one tab each, and an editor for the one that is shown. */
export function DraftFiles(props: {
  files: Files;
  shown: string;
  over: boolean;
  /** Line of the shown file to mark, from 1. */
  line?: number;
  onShow: (name: string) => void;
  onChange: (change: (was: Files) => Files) => void;
  onTake: (files: readonly File[]) => void;
}): React.ReactElement {
  const { files, onChange, onShow } = props;
  const picker = React.useRef<HTMLInputElement>(null);
  const names = [...files.keys()];
  const current = files.has(props.shown) ? props.shown : (names[0] ?? '');
  return (
    <div className={`jp-Datarun-newFiles${props.over ? ' jp-mod-over' : ''}`}>
      <FileTabs
        names={names}
        current={current}
        onShow={onShow}
        onRemove={file => onChange(was => new Map([...was].filter(([key]) => key !== file)))}
        onAdd={() => {
          const file = freeName(files);
          onChange(was => new Map([...was, [file, '']]));
          onShow(file);
        }}
        onPick={() => picker.current?.click()}
      />
      <input
        ref={picker}
        type="file"
        multiple
        hidden
        accept={PICKED}
        onChange={event => {
          props.onTake([...(event.target.files ?? [])]);
          event.target.value = '';
        }}
      />
      {current !== '' && (
        <PythonEditor
          key={current}
          label={current}
          value={files.get(current) ?? ''}
          line={props.line}
          onChange={text => onChange(was => new Map([...was, [current, text]]))}
        />
      )}
    </div>
  );
}

function freeName(files: Files): string {
  let n = 1;
  while (files.has(`module${n}.py`)) {
    n += 1;
  }
  return `module${n}.py`;
}

function FileTabs(props: {
  names: readonly string[];
  current: string;
  onShow: (name: string) => void;
  onRemove: (name: string) => void;
  onAdd: () => void;
  onPick: () => void;
}): React.ReactElement {
  const { trans } = useApp();
  return (
    <div className="jp-Datarun-fileTabs" role="toolbar" aria-label={trans.__('Files')}>
      {props.names.map(name => (
        <span key={name} className={name === props.current ? 'jp-mod-current' : undefined}>
          <button
            type="button"
            aria-pressed={name === props.current}
            onClick={() => props.onShow(name)}
          >
            {name}
          </button>
          <IconButton
            icon={closeIcon}
            label={trans.__('Remove %1', name)}
            onClick={() => props.onRemove(name)}
          />
        </span>
      ))}
      <IconButton icon={addIcon} label={trans.__('Add a file')} onClick={props.onAdd} />
      <IconButton
        icon={fileUploadIcon}
        label={trans.__('Take files from this computer')}
        onClick={props.onPick}
      />
    </div>
  );
}
