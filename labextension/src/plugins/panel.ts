import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IEditorServices } from '@jupyterlab/codeeditor';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { describe } from '../commands/args';
import { addDatasetCommands } from '../commands/datasets';
import { addFileCommands } from '../commands/files';
import { CommandIDs } from '../commands/ids';
import { addPageCommands } from '../commands/pages';
import { addCellCommands, cellOf, dragAsCell } from '../commands/cells';
import { addSeveralCommands } from '../commands/several';
import { addSubmissionCommands } from '../commands/submissions';
import { datarunIcon } from '../icons';
import { Sidebar } from '../sidebar/panel';
import { IDatarun } from '../tokens';
import type { IApp } from '../ui/context';

/** Actions that make sense without a row to do them to. */
const IN_PALETTE = [
  CommandIDs.openPanel,
  CommandIDs.newDataset,
  CommandIDs.newSubmission,
  CommandIDs.submitCell,
  CommandIDs.sendFiles,
  CommandIDs.reconnect
];

/** Adds the panel at the left, the pages in the main area, and all actions. */
export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: 'datarun:panel',
  description: 'Adds the datarun panel, its pages and its commands.',
  autoStart: true,
  requires: [IDatarun, IEditorServices],
  optional: [ILayoutRestorer, ICommandPalette, IFileBrowserFactory, INotebookTracker, ILabShell],
  activate: (
    app: JupyterFrontEnd,
    datarun: IDatarun,
    editors: IEditorServices,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    browsers: IFileBrowserFactory | null,
    notebooks: INotebookTracker | null,
    labShell: ILabShell | null
  ): void => {
    const { commands, shell } = app;
    const { trans, model } = datarun;
    let take: IApp['take'] = () => undefined;
    const ui: IApp = {
      ...datarun,
      commands,
      editors,
      take: files => take(files),
      drag: (event, submission) => dragAsCell(event, cellOf(submission), submission.name)
    };
    const sidebar = new Sidebar(ui);
    shell.add(sidebar, 'left', { rank: 350 });
    restorer?.add(sidebar, sidebar.id);

    commands.addCommand(CommandIDs.openPanel, {
      label: trans.__('Show datarun'),
      caption: trans.__('Show the panel with datasets, submissions and runners'),
      icon: datarunIcon,
      describedBy: describe({}),
      execute: () => {
        if (!labShell) {
          // Notebook 7 has its panel folded away until it is asked for by name.
          void commands
            .execute('application:toggle-panel', { side: 'left', id: sidebar.id })
            .catch(() => undefined);
        }
        shell.activateById(sidebar.id);
      }
    });
    commands.addCommand(CommandIDs.reconnect, {
      label: trans.__('Connect to datarun Again'),
      describedBy: describe({}),
      isEnabled: () => model.state.connection !== 'live',
      execute: () => model.connect()
    });
    addDatasetCommands(app, ui);
    addSubmissionCommands(app, datarun);
    addSeveralCommands(app, datarun);
    addCellCommands(app, ui, notebooks);
    addPageCommands(app, ui, restorer);
    take = addFileCommands(app, ui, browsers, notebooks);
    model.changed.connect(() => commands.notifyCommandChanged());
    for (const command of IN_PALETTE) {
      palette?.addItem({ command, category: trans.__('datarun'), args: { isPalette: true } });
    }
  }
};
