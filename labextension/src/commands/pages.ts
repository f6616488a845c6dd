import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { MainAreaWidget, WidgetTracker } from '@jupyterlab/apputils';
import type { Widget } from '@lumino/widgets';
import { DatasetPage } from '../dataset/page';
import { datarunIcon } from '../icons';
import type { IBeginning } from '../submission/draft';
import { NewSubmissionPage } from '../submission/new';
import type { Files } from '../submission/preflight';
import { SubmissionPage } from '../submission/page';
import type { IApp } from '../ui/context';
import { describe, targetOf } from './args';
import { CommandIDs } from './ids';

function titled<T extends Widget>(content: T): MainAreaWidget<T> {
  const label = content.node.getAttribute('aria-label') ?? content.title.label;
  const widget = new MainAreaWidget({ content });
  // JupyterLab calls the contents of all tabs the same.
  content.node.setAttribute('aria-label', label);
  // An empty toolbar would leave a strip above the page.
  widget.toolbar.hide();
  widget.id = content.id || `datarun-${crypto.randomUUID()}`;
  return widget;
}

function filesIn(value: unknown): Files | undefined {
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  const texts = Object.entries(value).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string'
  );
  return new Map(texts);
}

/** What a new submission can be begun with. */
const BEGINNING = {
  args: {
    type: 'object',
    properties: {
      dataset: { type: 'number', description: 'Number of the dataset' },
      name: { type: 'string', description: 'Name of the submission' },
      files: {
        type: 'object',
        description: 'Text of each file by its name',
        additionalProperties: { type: 'string' }
      }
    }
  }
};

/** What keeps account of the open pages, as long as the application lives. */
function trackers(): {
  submissions: WidgetTracker<MainAreaWidget<SubmissionPage>>;
  datasets: WidgetTracker<MainAreaWidget<DatasetPage>>;
  drafts: WidgetTracker<MainAreaWidget<NewSubmissionPage>>;
} {
  return {
    submissions: new WidgetTracker({ namespace: 'datarun-submission' }),
    datasets: new WidgetTracker({ namespace: 'datarun-dataset' }),
    drafts: new WidgetTracker({ namespace: 'datarun-draft' })
  };
}

/** Add the actions that open pages in the main area; they are there again after a reload. */
export function addPageCommands(
  app: JupyterFrontEnd,
  ui: IApp,
  restorer: ILayoutRestorer | null
): void {
  const { commands, shell } = app;
  const { model, trans } = ui;
  const { submissions, datasets, drafts } = trackers();

  commands.addCommand(CommandIDs.openSubmission, {
    label: trans.__('Open Submission'),
    describedBy: describe({ id: 'Number of the submission', fold: 'Fold to show in it' }),
    execute: args => {
      const target = targetOf(app, ['submission'], args);
      if (!target) {
        return;
      }
      const fold = typeof args.fold === 'number' ? args.fold : null;
      const open = submissions.find(({ content }) => content.submissionId === target.id);
      if (open && (fold === null || open.content.foldId === fold)) {
        shell.activateById(open.id);
        return;
      }
      open?.dispose();
      model.begin();
      const widget = titled(new SubmissionPage(ui, target.id, fold));
      void submissions.add(widget);
      shell.add(widget, 'main');
    }
  });

  commands.addCommand(CommandIDs.openDataset, {
    label: trans.__('Open Dataset'),
    describedBy: describe({ id: 'Number of the dataset' }),
    execute: args => {
      const target = targetOf(app, ['dataset'], args);
      if (!target) {
        return;
      }
      const open = datasets.find(({ content }) => content.datasetId === target.id);
      if (open) {
        shell.activateById(open.id);
        return;
      }
      model.begin();
      const widget = titled(new DatasetPage(ui, target.id));
      void datasets.add(widget);
      shell.add(widget, 'main');
    }
  });

  commands.addCommand(CommandIDs.newSubmission, {
    label: args =>
      args.isPalette || !args.isLauncher
        ? trans.__('New Submission')
        : trans.__('datarun Submission'),
    caption: trans.__('Train a model on the folds of a dataset'),
    icon: datarunIcon,
    describedBy: BEGINNING,
    execute: args => {
      const dataset = targetOf(app, ['dataset'], args)?.id;
      model.begin();
      const beginning: IBeginning = {
        dataset,
        files: filesIn(args.files),
        name: typeof args.name === 'string' ? args.name : undefined
      };
      const widget = titled(new NewSubmissionPage(ui, beginning));
      widget.content.disposed.connect(() => widget.dispose());
      void drafts.add(widget);
      shell.add(widget, 'main');
    }
  });

  if (restorer) {
    void restorer.restore(submissions, {
      command: CommandIDs.openSubmission,
      args: ({ content }) => ({ id: content.submissionId }),
      name: ({ content }) => String(content.submissionId)
    });
    void restorer.restore(datasets, {
      command: CommandIDs.openDataset,
      args: ({ content }) => ({ id: content.datasetId }),
      name: ({ content }) => String(content.datasetId)
    });
  }
}
