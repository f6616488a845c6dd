import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { CommandIDs } from '../commands/ids';
import { Endings, type IEnding } from '../model/endings';
import { mainScore } from '../submission/scores';
import { score } from '../ui/format';
import { IDatarun } from '../tokens';

/** Tells when a submission ends, and why it failed. */
export const notifyPlugin: JupyterFrontEndPlugin<void> = {
  id: 'datarun:notify',
  description: 'Tells when a submission has ended or failed.',
  autoStart: true,
  requires: [IDatarun],
  activate: (app: JupyterFrontEnd, datarun: IDatarun): void => {
    const { model, settings, trans } = datarun;
    const endings = new Endings();
    model.changed.connect((_, state) => {
      for (const ending of endings.look(state)) {
        const { notify, browserNotifications } = settings.choices;
        const failed = ending.progress.word === 'failed';
        if (notify === 'none' || (notify === 'failures' && !failed)) {
          continue;
        }
        tell(app, datarun, ending);
        if (browserNotifications && document.hidden) {
          tellBrowser(messageOf(datarun, ending), trans.__('datarun'));
        }
      }
    });
    uploadsToo(datarun);
  }
};

function uploadsToo({ uploads, trans }: IDatarun): void {
  uploads.created.connect((_, { name }) => {
    Notification.success(trans.__('Dataset “%1” is on the server.', name), { autoClose: 4000 });
  });
}

function messageOf({ trans }: IDatarun, { submission, progress }: IEnding): string {
  const name = submission.name || trans.__('Submission %1', submission.databoard_s_id);
  if (progress.word === 'failed') {
    return trans.__('“%1”: %2 of %3 folds failed.', name, progress.failed, progress.total);
  }
  const best = mainScore(submission);
  return best
    ? trans.__('“%1” is done: %2 %3.', name, best.name.replace('_', ' '), score(best.mean))
    : trans.__('“%1” is done.', name);
}

function tell(app: JupyterFrontEnd, datarun: IDatarun, ending: IEnding): void {
  const { trans } = datarun;
  const id = ending.submission.databoard_s_id;
  const open = {
    label: trans.__('Open'),
    callback: () => void app.commands.execute(CommandIDs.openSubmission, { id })
  };
  const message = messageOf(datarun, ending);
  if (ending.progress.word !== 'failed') {
    Notification.success(message, { autoClose: 6000, actions: [open] });
    return;
  }
  const fold = ending.firstFailed;
  const show = {
    label: trans.__('Show log'),
    callback: () =>
      void app.commands.execute(CommandIDs.openSubmission, {
        id,
        ...(fold === null ? {} : { fold })
      })
  };
  const again = {
    label: trans.__('Run again'),
    callback: () => void app.commands.execute(CommandIDs.rerunFailed, { submission: id })
  };
  Notification.warning(message, { autoClose: false, actions: [show, again] });
}

function tellBrowser(message: string, title: string): void {
  if (window.Notification.permission === 'granted') {
    new window.Notification(title, { body: message });
  } else if (window.Notification.permission === 'default') {
    void window.Notification.requestPermission();
  }
}
