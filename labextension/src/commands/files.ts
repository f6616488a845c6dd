import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { datarunIcon } from '../icons';
import { isUsable } from '../sidebar/health';
import { fileOf } from '../submission/elements';
import type { IApp } from '../ui/context';
import { bytes } from '../ui/format';
import { askForDataset } from './datasets';
import { describe } from './args';
import { CommandIDs } from './ids';
import { complain } from './submissions';

/** Largest file of the server that takes the way over the browser. */
const THROUGH_BROWSER = 50_000_000;

async function textOf(contents: Contents.IManager, path: string): Promise<string> {
  const { content } = await contents.get(path, { content: true, type: 'file', format: 'text' });
  return String(content);
}

async function fileFrom(
  contents: Contents.IManager,
  { name, path }: Contents.IModel
): Promise<File> {
  return new File([await textOf(contents, path)], name, { type: 'text/csv' });
}

/** Python files at a path: the file itself, or those in a folder. */
async function pythonIn(
  contents: Contents.IManager,
  item: Contents.IModel
): Promise<[string, string][]> {
  if (item.type !== 'directory') {
    return [[item.name, await textOf(contents, item.path)]];
  }
  const folder = await contents.get(item.path, { content: true });
  const inside = (folder.content as Contents.IModel[]).filter(({ name }) => name.endsWith('.py'));
  return Promise.all(
    inside.map(async ({ name, path }): Promise<[string, string]> => [
      name,
      await textOf(contents, path)
    ])
  );
}

/**
 * Add the actions that take files of the file browser and notebook cells; return what takes those
 * that are dropped.
 */
export function addFileCommands(
  app: JupyterFrontEnd,
  ui: IApp,
  browsers: IFileBrowserFactory | null,
  notebooks: INotebookTracker | null
): (files: readonly File[]) => void {
  const { commands } = app;
  const { contents } = app.serviceManager;
  const { model, trans } = ui;

  const selected = (): Contents.IModel[] => [
    ...(browsers?.tracker.currentWidget?.selectedItems() ?? [])
  ];
  const submit = (files: readonly (readonly [string, string])[], name = '') =>
    commands.execute(CommandIDs.newSubmission, { files: Object.fromEntries(files), name });

  /** A table makes a dataset, so do several files with a `specific.py`; code a submission. */
  const sort = async (files: readonly File[]) => {
    const tables = files.some(({ name }) => name.endsWith('.csv'));
    const custom = files.some(({ name }) => name === 'specific.py');
    if (tables || custom) {
      await askForDataset(ui, files);
      return;
    }
    const code = files.filter(({ name }) => name.endsWith('.py'));
    if (code.length === 0) {
      await showDialog({
        title: trans.__('Nothing to send'),
        body: trans.__(
          'datarun takes a CSV file for a dataset, and Python files for a submission.'
        ),
        buttons: [Dialog.okButton()]
      });
      return;
    }
    await submit(
      await Promise.all(code.map(async file => [file.name, await file.text()] as const))
    );
  };

  const takeSelected = async () => {
    const items = selected();
    const tables = items.filter(({ name }) => name.endsWith('.csv'));
    if (tables.length === 0) {
      const read = await Promise.all(items.map(item => pythonIn(contents, item)));
      await submit(read.flat(), items[0]?.name.replace(/\.py$/, ''));
      return;
    }
    const [table] = tables;
    const { size } = await contents.get(table.path, { content: false });
    const large = (size ?? 0) > THROUGH_BROWSER;
    // Only the server's own person may name files of the server; others send them.
    if (model.state.user?.is_superuser && contents.driveName(table.path) === '') {
      const path = contents.localPath(table.path);
      await askForDataset(ui, large ? [] : [await fileFrom(contents, table)], {
        [table.name]: path
      });
    } else if (large) {
      throw new Error(
        trans.__(
          '“%1” is too large to take from the file browser (more than %2): drop it on the panel.',
          table.name,
          bytes(THROUGH_BROWSER)
        )
      );
    } else {
      await askForDataset(ui, [await fileFrom(contents, table)]);
    }
  };

  commands.addCommand(CommandIDs.sendFiles, {
    label: trans.__('Send to datarun'),
    caption: trans.__('A CSV file becomes a dataset, Python files a submission'),
    icon: datarunIcon,
    describedBy: describe({}),
    isVisible: () =>
      selected().some(({ name, type }) => /\.(csv|py)$/.test(name) || type === 'directory'),
    isEnabled: () => isUsable(model.state),
    execute: () => takeSelected().catch(complain)
  });

  commands.addCommand(CommandIDs.submitCell, {
    label: trans.__('Submit This Cell to datarun'),
    caption: trans.__('Begin a submission with the code of the current cell'),
    icon: datarunIcon,
    describedBy: describe({}),
    isEnabled: () => Boolean(notebooks?.activeCell) && isUsable(model.state),
    execute: async () => {
      const code = notebooks?.activeCell?.model.sharedModel.getSource() ?? '';
      await submit([[fileOf(code) ?? 'module.py', code]]);
    }
  });
  return files => void sort(files).catch(complain);
}
