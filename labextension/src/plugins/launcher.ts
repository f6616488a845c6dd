import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILauncher } from '@jupyterlab/launcher';
import { CommandIDs } from '../commands/ids';
import { IDatarun } from '../tokens';

/** Adds a card to the launcher. */
export const launcherPlugin: JupyterFrontEndPlugin<void> = {
  id: 'datarun:launcher',
  description: 'Adds a new submission to the launcher.',
  autoStart: true,
  requires: [IDatarun],
  optional: [ILauncher],
  activate: (_app: JupyterFrontEnd, datarun: IDatarun, launcher: ILauncher | null): void => {
    const { trans } = datarun;
    launcher?.add({
      command: CommandIDs.newSubmission,
      args: { isLauncher: true },
      category: trans.__('Other'),
      rank: 30
    });
  }
};
