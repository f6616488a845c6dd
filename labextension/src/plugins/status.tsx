import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ReactWidget } from '@jupyterlab/ui-components';
import * as React from 'react';
import { CommandIDs } from '../commands/ids';
import { totalsOf } from '../model/state';
import { IDatarun } from '../tokens';
import { useExternal } from '../ui/external';
import { Signal, type ISignal } from '@lumino/signaling';

/** Adds what is underway to the status bar; pushed by the server, never asked for. */
export const statusPlugin: JupyterFrontEndPlugin<void> = {
  id: 'datarun:status',
  description: 'Adds the number of running and waiting folds to the status bar.',
  autoStart: true,
  requires: [IDatarun],
  optional: [IStatusBar],
  activate: (app: JupyterFrontEnd, datarun: IDatarun, bar: IStatusBar | null): void => {
    if (!bar) {
      return;
    }
    const { model } = datarun;
    const item = new StatusItem(datarun, () => void app.commands.execute(CommandIDs.openPanel));
    bar.registerStatusItem('datarun:status', {
      item,
      align: 'left',
      rank: 5,
      isActive: () => model.state.connection === 'live' || model.state.connection === 'offline',
      activeStateChanged: item.activeChanged
    });
  }
};

class StatusItem extends ReactWidget {
  constructor(
    private readonly _datarun: IDatarun,
    private readonly _onClick: () => void
  ) {
    super();
    this.addClass('jp-Datarun-status');
    _datarun.model.changed.connect(this._onChanged, this);
  }

  /** Whether it is to be shown may have changed. */
  get activeChanged(): ISignal<this, void> {
    return this._activeChanged;
  }

  protected override render(): React.ReactElement {
    return <Totals datarun={this._datarun} onClick={this._onClick} />;
  }

  private _onChanged(): void {
    this._activeChanged.emit();
  }

  private readonly _activeChanged = new Signal<this, void>(this);
}

function Totals(props: { datarun: IDatarun; onClick: () => void }): React.ReactElement {
  const { model, trans } = props.datarun;
  const state = useExternal(model.changed, () => model.state);
  const { running, waiting } = totalsOf(state);
  const text =
    state.connection === 'offline'
      ? trans.__('datarun offline')
      : running + waiting === 0
        ? trans.__('datarun idle')
        : trans.__('datarun: %1 running, %2 waiting', running, waiting);
  return (
    <button
      type="button"
      className="jp-Datarun-statusButton"
      title={trans.__('Show datarun')}
      onClick={props.onClick}
    >
      {text}
    </button>
  );
}
