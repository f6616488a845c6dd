import { closeIcon, refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import type { Dataset } from '../api/types';
import { CommandIDs } from '../commands/ids';
import type { IUploading } from '../dataset/uploads';
import { useApp, useModel } from '../ui/context';
import { useExternal } from '../ui/external';
import { bytes, count } from '../ui/format';
import { IconButton, StateMark, WordButton } from '../ui/parts';
import { barredBy } from './health';

function useUploads(): readonly IUploading[] {
  const { uploads } = useApp();
  return useExternal(uploads.changed, () => uploads.items);
}

function UploadRow({ item }: { item: IUploading }): React.ReactElement {
  const { trans, uploads } = useApp();
  const failed = item.state === 'failed';
  const share = item.size > 0 ? Math.floor((100 * item.sent) / item.size) : 100;
  const word =
    item.state === 'creating'
      ? trans.__('Checking')
      : trans.__('%1 of %2', bytes(item.sent), bytes(item.size));
  return (
    <li className="jp-Datarun-row jp-Datarun-uploading">
      <div className="jp-Datarun-rowMain">
        <span className="jp-Datarun-rowTitle">
          <StateMark mark={failed ? 'bad' : 'run'} />
          <b>{item.name}</b>
          <small>{failed ? trans.__('stopped at %1', word) : word}</small>
        </span>
        {failed ? (
          <small role="alert" className="jp-Datarun-error">
            {item.trouble?.message}
          </small>
        ) : (
          <span
            className="jp-Datarun-bar"
            role="progressbar"
            aria-label={trans.__('Upload of %1', item.name)}
            aria-valuenow={share}
            aria-valuemin={0}
            aria-valuemax={100}
          >
            <span className="jp-Datarun-bar-run" style={{ width: `${share}%` }} />
          </span>
        )}
      </div>
      {failed && (
        <IconButton
          icon={refreshIcon}
          label={trans.__('Go on with %1', item.name)}
          onClick={() => uploads.resume(item.id)}
        />
      )}
      <IconButton
        icon={closeIcon}
        label={trans.__('Give up the upload of %1', item.name)}
        onClick={() => uploads.cancel(item.id)}
      />
    </li>
  );
}

function DatasetRow({ dataset }: { dataset: Dataset }): React.ReactElement {
  const { trans, commands } = useApp();
  const barred = barredBy(useModel(), trans);
  const { split_state: split, n_train, n_test } = dataset;
  const fact =
    split === 'DONE'
      ? trans.__('%1 train · %2 test', count(n_train), count(n_test))
      : split === 'RUNNING'
        ? trans.__('Splitting…')
        : split === 'ERROR'
          ? trans.__('The split failed')
          : trans.__('Not split');
  const mark = { DONE: 'good', RUNNING: 'run', ERROR: 'bad', NONE: 'wait' } as const;
  return (
    <li className="jp-Datarun-row jp-Datarun-dataset" data-id={dataset.id}>
      <button
        type="button"
        className="jp-Datarun-rowMain jp-Datarun-rowButton"
        onClick={() => void commands.execute(CommandIDs.openDataset, { id: dataset.id })}
      >
        <span className="jp-Datarun-rowTitle">
          <StateMark mark={mark[split]} />
          <b title={dataset.name}>{dataset.name}</b>
        </span>
        <small title={dataset.split_error}>
          {split === 'ERROR' && dataset.split_error ? dataset.split_error : fact}
        </small>
      </button>
      {(split === 'NONE' || split === 'ERROR') && (
        <WordButton
          label={split === 'ERROR' ? trans.__('Split again…') : trans.__('Split…')}
          barred={barred}
          onClick={() => void commands.execute(CommandIDs.split, { id: dataset.id })}
        />
      )}
      {split === 'DONE' && (
        <WordButton
          label={trans.__('Submit…')}
          barred={barred}
          onClick={() => void commands.execute(CommandIDs.newSubmission, { dataset: dataset.id })}
        />
      )}
    </li>
  );
}

/** The datasets, and those on their way. */
export function Datasets(): React.ReactElement {
  const { trans, commands } = useApp();
  const state = useModel();
  const uploads = useUploads();
  const barred = barredBy(state, trans);
  if (state.datasets.size === 0 && uploads.length === 0) {
    return (
      <div className="jp-Datarun-empty">
        <p>
          {trans.__(
            'A dataset is a CSV file with one row per example and a column to predict. Drop one here, or choose it.'
          )}
        </p>
        <WordButton
          label={trans.__('Choose a file…')}
          primary
          barred={barred}
          onClick={() => void commands.execute(CommandIDs.newDataset)}
        />
      </div>
    );
  }
  const newest = [...state.datasets.values()].sort((a, b) => b.id - a.id);
  return (
    <ul className="jp-Datarun-list">
      {uploads.map(item => (
        <UploadRow key={item.id} item={item} />
      ))}
      {newest.map(dataset => (
        <DatasetRow key={dataset.id} dataset={dataset} />
      ))}
    </ul>
  );
}
