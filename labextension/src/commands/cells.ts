import type { JupyterFrontEnd } from '@jupyterlab/application';
import { NotebookActions, type INotebookTracker } from '@jupyterlab/notebook';
import { MimeData } from '@lumino/coreutils';
import { Drag } from '@lumino/dragdrop';
import type { Submission } from '../api/types';
import { datarunIcon } from '../icons';
import type { IApp } from '../ui/context';
import { describe, targetOf } from './args';
import { CommandIDs } from './ids';

/** What a notebook takes as cells. */
const CELLS = 'application/vnd.jupyter.cells';
/** A pointer that moves less than this, in pixels, is a click. */
const THRESHOLD = 5;

/** Python that shows a submission, live, where it is run. */
export function cellOf({ databoard_s_id: id, name }: Submission): string {
  const note = name ? `  # ${name.replace(/\s+/g, ' ')}` : '';
  return `import datarun_ext as dr\n\nsubmission = dr.submission(${id})${note}\nsubmission`;
}

/** Once the pointer moves, drag code that a notebook takes as a cell, and an editor as text. */
export function dragAsCell(down: MouseEvent, source: string, name: string): void {
  const onControl = down.target instanceof Element && down.target.closest('input, select, a');
  if (down.button !== 0 || onControl) {
    return;
  }
  const stop = () => {
    document.removeEventListener('mousemove', move, true);
    document.removeEventListener('mouseup', stop, true);
  };
  const move = (event: MouseEvent) => {
    const far = Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY);
    if (far >= THRESHOLD) {
      stop();
      const mimeData = new MimeData();
      mimeData.setData(CELLS, [{ cell_type: 'code', metadata: {}, outputs: [], source }]);
      mimeData.setData('text/plain', source);
      const drag = new Drag({
        mimeData,
        dragImage: dragImage(name),
        supportedActions: 'copy',
        proposedAction: 'copy'
      });
      void drag.start(event.clientX, event.clientY).then(() => drag.dispose());
    }
  };
  document.addEventListener('mousemove', move, true);
  document.addEventListener('mouseup', stop, true);
}

function dragImage(name: string): HTMLElement {
  const image = document.createElement('div');
  image.className = 'jp-Datarun-dragImage';
  image.textContent = name;
  return image;
}

/** Add what a drag does for those who do not drag. */
export function addCellCommands(
  app: JupyterFrontEnd,
  { model, trans }: IApp,
  notebooks: INotebookTracker | null
): void {
  const target = (args: Parameters<typeof targetOf>[2]) =>
    model.state.submissions.get(targetOf(app, ['submission'], args)?.id ?? -1);
  app.commands.addCommand(CommandIDs.insertCell, {
    label: trans.__('Insert into Notebook'),
    caption: trans.__('Add a cell that shows this submission to the notebook used last'),
    icon: datarunIcon,
    describedBy: describe({ submission: 'Number of the submission' }),
    isEnabled: args => Boolean(notebooks?.currentWidget && target(args)),
    execute: args => {
      const notebook = notebooks?.currentWidget?.content;
      const submission = target(args);
      if (notebook && submission) {
        NotebookActions.insertBelow(notebook);
        notebook.activeCell?.model.sharedModel.setSource(cellOf(submission));
        app.shell.activateById(notebooks?.currentWidget?.id ?? '');
      }
    }
  });
}
