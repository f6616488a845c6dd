import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { toEach, type IOutcome } from '../model/several';
import { isUsable } from '../sidebar/health';
import type { IDatarun } from '../tokens';
import { CommandIDs } from './ids';
import { complain } from './submissions';

function numbers(args: ReadonlyPartialJSONObject, name: string): number[] {
  const given = args[name];
  return Array.isArray(given) ? given.filter(id => typeof id === 'number') : [];
}

const MANY = { type: 'array', items: { type: 'number' } };
const DESCRIBED = {
  args: {
    type: 'object',
    properties: {
      submissions: { ...MANY, description: 'Numbers of the submissions' },
      folds: { ...MANY, description: 'Numbers of the folds' }
    }
  }
};

/** Add the actions on several submissions or folds at once. */
export function addSeveralCommands(app: JupyterFrontEnd, datarun: IDatarun): void {
  const { commands } = app;
  const { model, trans } = datarun;
  const { api, store } = model;

  const report = ({ done, left, reasons }: IOutcome, of: number) => {
    if (left > 0) {
      complain(
        new Error(trans.__('%1 of %2 were done. The others: %3', done, of, reasons.join(' ')))
      );
    }
  };
  const agreed = async (title: string, body: string, word: string) =>
    (
      await showDialog({
        title,
        body,
        buttons: [
          Dialog.cancelButton({ label: trans.__('Keep them') }),
          Dialog.warnButton({ label: word })
        ]
      })
    ).button.accept;

  commands.addCommand(CommandIDs.cancelSeveral, {
    label: trans.__('Cancel What Is Selected'),
    describedBy: DESCRIBED,
    isEnabled: () => isUsable(model.state),
    execute: async args => {
      const [submissions, folds] = [numbers(args, 'submissions'), numbers(args, 'folds')];
      const title =
        submissions.length > 0
          ? trans._n('Cancel %1 submission?', 'Cancel %1 submissions?', submissions.length)
          : trans._n('Cancel %1 fold?', 'Cancel %1 folds?', folds.length);
      const body = trans.__(
        'Folds that run are ended at once, waiting ones are not started. They can be run again later.'
      );
      if (
        submissions.length + folds.length > 0 &&
        (await agreed(title, body, trans.__('Cancel them')))
      ) {
        report(await toEach(submissions, id => api.cancelSubmission(id)), submissions.length);
        report(
          await toEach(folds, async id =>
            store.take({ type: 'folds', folds: [await api.cancelFold(id)] })
          ),
          folds.length
        );
      }
    }
  });

  commands.addCommand(CommandIDs.rerunSeveral, {
    label: trans.__('Run What Is Selected Again'),
    describedBy: DESCRIBED,
    isEnabled: () => isUsable(model.state),
    execute: async args => {
      const [submissions, folds] = [numbers(args, 'submissions'), numbers(args, 'folds')];
      const again = await toEach(submissions, id => api.rerunSubmission(id, 'all'));
      report(again, submissions.length);
      const some = await toEach(folds, async id =>
        store.take({ type: 'folds', folds: [await api.rerunFold(id)] })
      );
      report(some, folds.length);
      if (again.done + some.done > 0) {
        Notification.info(trans.__('%1 run again.', again.done + some.done), { autoClose: 3000 });
      }
    }
  });

  commands.addCommand(CommandIDs.deleteSeveral, {
    label: trans.__('Delete What Is Selected…'),
    describedBy: DESCRIBED,
    isEnabled: () => isUsable(model.state),
    execute: async args => {
      const ids = numbers(args, 'submissions');
      const title = trans._n('Delete %1 submission?', 'Delete %1 submissions?', ids.length);
      const body = trans.__('Their files, folds, logs and predictions are deleted for good.');
      if (ids.length > 0 && (await agreed(title, body, trans.__('Delete them')))) {
        const outcome = await toEach(ids, async id => {
          await api.deleteSubmission(id);
          store.take({ type: 'gone', kind: 'submission', id });
        });
        report(outcome, ids.length);
      }
    }
  });
}
