import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRunningSessionManagers, type IRunningSessions } from '@jupyterlab/running';
import { Signal, type ISignal } from '@lumino/signaling';
import { CommandIDs } from '../commands/ids';
import { complain } from '../commands/submissions';
import { datarunIcon } from '../icons';
import { progressOf } from '../model/state';
import { IDatarun } from '../tokens';

/** Adds unfinished submissions to the tab of running terminals and kernels. */
export const runningPlugin: JupyterFrontEndPlugin<void> = {
  id: 'datarun:running',
  description: 'Lists unfinished submissions among what runs, with a way to end them.',
  autoStart: true,
  requires: [IDatarun],
  optional: [IRunningSessionManagers],
  activate: (
    app: JupyterFrontEnd,
    datarun: IDatarun,
    managers: IRunningSessionManagers | null
  ): void => {
    managers?.add(new RunningSubmissions(app, datarun));
  }
};

class RunningSubmissions implements IRunningSessions.IManager {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _datarun: IDatarun
  ) {
    const { trans, model } = _datarun;
    this.name = trans.__('datarun submissions');
    this.shutdownLabel = trans.__('Cancel');
    this.shutdownAllLabel = trans.__('Cancel All');
    this.shutdownAllConfirmationText = trans.__(
      'Do you want to cancel all folds that have not ended?'
    );
    model.changed.connect(this._onChanged, this);
  }

  readonly name: string;
  readonly shutdownLabel: string;
  readonly shutdownAllLabel: string;
  readonly shutdownAllConfirmationText: string;

  get runningChanged(): ISignal<this, void> {
    return this._changed;
  }

  running(): IRunningSessions.IRunningItem[] {
    const { model, trans } = this._datarun;
    return this._unfinished().map(id => {
      const submission = model.state.submissions.get(id);
      const name = submission?.name || trans.__('Submission %1', id);
      const progress = submission && progressOf(model.state, submission);
      return {
        icon: () => datarunIcon,
        label: () => name,
        detail: () => (progress ? trans.__('%1/%2 folds', progress.ended, progress.total) : ''),
        open: () => void this._app.commands.execute(CommandIDs.openSubmission, { id }),
        shutdown: () => this._cancel(id)
      };
    });
  }

  shutdownAll(): void {
    this._unfinished().forEach(id => this._cancel(id));
  }

  refreshRunning(): void {
    this._datarun.model.begin();
  }

  private _cancel(id: number): void {
    this._datarun.model.api.cancelSubmission(id).catch(complain);
  }

  private _unfinished(): number[] {
    const { state } = this._datarun.model;
    const ids: number[] = [];
    for (const [id, submission] of state.submissions) {
      const { word } = progressOf(state, submission);
      if (word === 'running' || word === 'waiting') {
        ids.push(id);
      }
    }
    return ids;
  }

  private _onChanged(): void {
    const { state } = this._datarun.model;
    const seen = this._unfinished()
      .map(id => {
        const submission = state.submissions.get(id);
        return `${id}:${submission ? progressOf(state, submission).ended : 0}`;
      })
      .join();
    if (seen !== this._seen) {
      this._seen = seen;
      this._changed.emit();
    }
  }

  private _seen = '';
  private readonly _changed = new Signal<this, void>(this);
}
