import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, showDialog } from '@jupyterlab/apputils';
import { fileUploadIcon } from '@jupyterlab/ui-components';
import { DatasetForm, type OnServer } from '../dataset/form';
import { SplitForm } from '../dataset/split';
import { isUsable } from '../sidebar/health';
import type { IApp } from '../ui/context';
import { describe, targetOf } from './args';
import { CommandIDs } from './ids';
import { complain } from './submissions';

/** Let the person choose files of this computer. */
export function pickFiles(accept: string): Promise<File[]> {
  return new Promise(resolve => {
    const input = document.createElement('input');
    input.type = 'file';
    input.multiple = true;
    input.accept = accept;
    input.onchange = () => resolve([...(input.files ?? [])]);
    input.oncancel = () => resolve([]);
    input.click();
  });
}

/** Ask what a new dataset needs, and begin to send it. */
export async function askForDataset(
  ui: IApp,
  files: readonly File[],
  onServer: OnServer = {}
): Promise<void> {
  const { trans, uploads } = ui;
  const body = new DatasetForm(ui, files, onServer);
  const answer = await showDialog({
    title: trans.__('New dataset'),
    body,
    focusNodeSelector: 'input',
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Send') })]
  });
  if (answer.button.accept) {
    if (answer.value) {
      uploads.start(answer.value);
    } else {
      complain(new Error(trans.__('Not sent: a field of the dataset was not complete.')));
    }
  }
}

/** Add the actions on datasets. */
export function addDatasetCommands(app: JupyterFrontEnd, ui: IApp): void {
  const { commands } = app;
  const { model, trans } = ui;
  const { api, store } = model;
  const ONE = { id: 'Number of the dataset' };

  commands.addCommand(CommandIDs.newDataset, {
    label: trans.__('New Dataset…'),
    caption: trans.__('Send a CSV file to datarun'),
    icon: fileUploadIcon,
    describedBy: describe({}),
    isEnabled: () => isUsable(model.state),
    execute: async () => {
      const files = await pickFiles('.csv,.py');
      if (files.length > 0) {
        await askForDataset(ui, files);
      }
    }
  });

  commands.addCommand(CommandIDs.split, {
    label: trans.__('Split Dataset…'),
    describedBy: describe(ONE),
    isEnabled: () => isUsable(model.state),
    execute: async args => {
      const target = targetOf(app, ['dataset'], args);
      const dataset = target && model.state.datasets.get(target.id);
      if (!dataset) {
        return;
      }
      const answer = await showDialog({
        title: trans.__('Split “%1”', dataset.name),
        body: new SplitForm(ui, dataset),
        focusNodeSelector: 'input',
        buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Split') })]
      });
      if (!answer.button.accept || !answer.value) {
        return;
      }
      try {
        const { heldOut, randomState } = answer.value;
        await (dataset.kind === 'custom'
          ? api.customSplit(dataset.id)
          : api.split(dataset.id, heldOut, randomState));
        store.take({ type: 'dataset', dataset: await api.dataset(dataset.id) });
      } catch (reason) {
        complain(reason);
      }
    }
  });

  commands.addCommand(CommandIDs.deleteDataset, {
    label: trans.__('Delete Dataset…'),
    describedBy: describe(ONE),
    isEnabled: () => isUsable(model.state),
    execute: async args => {
      const target = targetOf(app, ['dataset'], args);
      if (!target) {
        return;
      }
      try {
        const dataset = await api.dataset(target.id);
        const folds = Object.values(dataset.counts).reduce((sum, n) => sum + n, 0);
        const answer = await showDialog({
          title: trans.__('Delete “%1”?', dataset.name),
          body:
            folds > 0
              ? trans.__(
                  'Its submissions go with it: %1 folds, their logs and predictions are deleted for good.',
                  folds
                )
              : trans.__('Its files are deleted for good. It has no submissions.'),
          buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Delete') })]
        });
        if (answer.button.accept) {
          await api.deleteDataset(target.id);
          store.take({ type: 'gone', kind: 'dataset', id: target.id });
        }
      } catch (reason) {
        complain(reason);
      }
    }
  });
}
