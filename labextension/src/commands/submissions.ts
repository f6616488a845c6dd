import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { asApiError } from '../api/errors';
import { progressOf, hasEnded } from '../model/state';
import { isLive, isUsable } from '../sidebar/health';
import { downloadPredictions } from '../submission/download';
import { asPython } from '../submission/python';
import type { IDatarun } from '../tokens';
import { describe, targetOf, type Target } from './args';
import { CommandIDs } from './ids';

/** Say what went wrong with an action that has no place of its own to say it in. */
export function complain(reason: unknown): void {
  Notification.error(asApiError(reason).message, { autoClose: 8000 });
}

const BOTH = { submission: 'Number of the submission', fold: 'Number of the fold' };

/** Add the actions on submissions and folds. */
export function addSubmissionCommands(app: JupyterFrontEnd, datarun: IDatarun): void {
  const { commands } = app;
  const { model, trans } = datarun;
  const { api, store } = model;

  const act = async (work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (reason) {
      complain(reason);
    }
  };
  const unfinished = (target: Target | null): boolean => {
    if (target?.kind === 'fold') {
      const fold = model.state.folds.get(target.id);
      return !fold || !hasEnded(fold);
    }
    const submission = target && model.state.submissions.get(target.id);
    if (!submission) {
      return true;
    }
    const { ended, total } = progressOf(model.state, submission);
    return ended < total;
  };
  const label = (one: string, all: string) => (args: Parameters<typeof targetOf>[2]) =>
    targetOf(app, ['submission', 'fold'], args)?.kind === 'fold' ? one : all;

  commands.addCommand(CommandIDs.cancel, {
    label: label(trans.__('Cancel Fold'), trans.__('Cancel Submission')),
    describedBy: describe(BOTH),
    isEnabled: args =>
      isUsable(model.state) && unfinished(targetOf(app, ['fold', 'submission'], args)),
    execute: async args => {
      const target = targetOf(app, ['fold', 'submission'], args);
      if (!target) {
        return;
      }
      await act(async () => {
        if (target.kind === 'fold') {
          store.take({ type: 'folds', folds: [await api.cancelFold(target.id)] });
          return;
        }
        const submission = model.state.submissions.get(target.id);
        const name = submission?.name || `#${target.id}`;
        const answer = await showDialog({
          title: trans.__('Cancel “%1”?', name),
          body: trans.__(
            'Folds that run are ended at once, waiting ones are not started. They can be run again later.'
          ),
          buttons: [
            Dialog.cancelButton({ label: trans.__('Keep it') }),
            Dialog.warnButton({ label: trans.__('Cancel its folds') })
          ]
        });
        if (answer.button.accept) {
          await api.cancelSubmission(target.id);
        }
      });
    }
  });

  commands.addCommand(CommandIDs.rerun, {
    label: label(trans.__('Run Fold Again'), trans.__('Run All Folds Again')),
    describedBy: describe(BOTH),
    isEnabled: () => isUsable(model.state),
    execute: async args => {
      const target = targetOf(app, ['fold', 'submission'], args);
      await act(async () => {
        if (target?.kind === 'fold') {
          store.take({ type: 'folds', folds: [await api.rerunFold(target.id)] });
        } else if (target) {
          await api.rerunSubmission(target.id, 'all');
        }
      });
    }
  });

  commands.addCommand(CommandIDs.rerunFailed, {
    label: trans.__('Run Failed Folds Again'),
    describedBy: describe({ submission: BOTH.submission }),
    isEnabled: () => isUsable(model.state),
    execute: async args => {
      const target = targetOf(app, ['submission'], args);
      if (target) {
        await act(() => api.rerunSubmission(target.id, 'failed'));
      }
    }
  });

  commands.addCommand(CommandIDs.raisePriority, {
    label: trans.__('Raise Priority'),
    describedBy: describe(BOTH),
    isEnabled: args =>
      isUsable(model.state) && unfinished(targetOf(app, ['fold', 'submission'], args)),
    execute: async args => {
      const target = targetOf(app, ['fold', 'submission'], args);
      await act(async () => {
        if (target?.kind === 'fold') {
          store.take({ type: 'folds', folds: [await api.prioritiseFold(target.id, 'H')] });
        } else if (target) {
          await api.prioritiseSubmission(target.id, 'H');
          await model.loadFolds(target.id);
          Notification.success(trans.__('Its waiting folds now go before normal ones.'), {
            autoClose: 4000
          });
        }
      });
    }
  });

  commands.addCommand(CommandIDs.copyPython, {
    label: trans.__('Copy as Python'),
    describedBy: describe({ submission: BOTH.submission }),
    isEnabled: () => isLive(model.state),
    execute: async args => {
      const target = targetOf(app, ['submission'], args);
      if (!target) {
        return;
      }
      await act(async () => {
        const submission = await model.loadSubmission(target.id);
        const files = new Map<string, string>();
        for (const { name } of submission.files) {
          files.set(name, await api.submissionFile(target.id, name));
        }
        const dataset = model.state.datasets.get(submission.raw_data ?? -1);
        Clipboard.copyToSystem(asPython(submission, dataset, files));
        Notification.success(trans.__('Copied: paste it into a notebook.'), { autoClose: 4000 });
      });
    }
  });

  commands.addCommand(CommandIDs.deleteSubmission, {
    label: trans.__('Delete Submission…'),
    describedBy: describe({ submission: BOTH.submission }),
    isEnabled: () => isUsable(model.state),
    execute: async args => {
      const target = targetOf(app, ['submission'], args);
      const submission = target && model.state.submissions.get(target.id);
      if (!submission) {
        return;
      }
      const answer = await showDialog({
        title: trans.__('Delete “%1”?', submission.name || `#${target.id}`),
        body: trans.__(
          'Its files, its %1 folds, their logs and predictions are deleted for good.',
          submission.n_folds
        ),
        buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Delete') })]
      });
      if (answer.button.accept) {
        await act(async () => {
          await api.deleteSubmission(target.id);
          store.take({ type: 'gone', kind: 'submission', id: target.id });
        });
      }
    }
  });

  const download = async (format: 'npz' | 'csv', target: Target | null) => {
    if (target) {
      const fold = model.state.folds.get(target.id);
      const classes = model.state.datasets.get(fold?.raw_data ?? -1)?.classes ?? [];
      await act(() => downloadPredictions(api, target.id, format, classes));
    }
  };
  const tested = (target: Target | null) =>
    model.state.folds.get(target?.id ?? -1)?.state === 'TESTED';
  commands.addCommand(CommandIDs.downloadNpz, {
    label: trans.__('Download Predictions (npz)'),
    describedBy: describe({ fold: BOTH.fold }),
    isEnabled: args => isLive(model.state) && tested(targetOf(app, ['fold'], args)),
    execute: args => download('npz', targetOf(app, ['fold'], args))
  });
  commands.addCommand(CommandIDs.downloadCsv, {
    label: trans.__('Download Predictions (CSV)'),
    describedBy: describe({ fold: BOTH.fold }),
    isEnabled: args => isLive(model.state) && tested(targetOf(app, ['fold'], args)),
    execute: args => download('csv', targetOf(app, ['fold'], args))
  });
}
