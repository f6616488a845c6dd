import { ReactWidget } from '@jupyterlab/ui-components';
import type { IEditorServices } from '@jupyterlab/codeeditor';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';
import type { Submission } from '../api/types';
import type { IState } from '../model/state';
import type { IChoices } from '../settings';
import type { IDatarun } from '../tokens';
import { useExternal } from './external';

/** What every part of the panel may use. */
export interface IApp extends IDatarun {
  readonly commands: CommandRegistry;
  readonly editors: IEditorServices;
  /** Takes files that were dropped: a table makes a dataset, code a submission. */
  readonly take: (files: readonly File[]) => void;
  /** Begins to drag a submission, when the pointer then moves. */
  readonly drag: (event: MouseEvent, submission: Submission) => void;
}

const Context = React.createContext<IApp | null>(null);

/** Return what the part may use. */
export function useApp(): IApp {
  const app = React.useContext(Context);
  if (!app) {
    throw new Error('datarun: a part was rendered outside of the panel.');
  }
  return app;
}

/** Return the state, and render again after it has changed. */
export function useModel(): IState {
  const { model } = useApp();
  return useExternal(model.changed, () => model.state);
}

/** Return what the person chose, and render again after another choice. */
export function useChoices(): IChoices {
  const { settings } = useApp();
  return useExternal(settings.changed, () => settings.choices);
}

/** A widget that shows one part of the panel. */
export abstract class AppWidget extends ReactWidget {
  constructor(protected readonly app: IApp) {
    super();
    this.addClass('jp-Datarun');
  }

  protected abstract content(): React.ReactElement;

  protected override render(): React.ReactElement {
    return (
      <Context.Provider value={this.app}>
        <Guard trans={this.app.trans}>{this.content()}</Guard>
      </Context.Provider>
    );
  }
}

interface IGuardProps {
  trans: IApp['trans'];
  children: React.ReactNode;
}

/** Keeps a fault of one part from leaving an empty tab. */
class Guard extends React.Component<IGuardProps, { fault: Error | null }> {
  override state: { fault: Error | null } = { fault: null };

  static getDerivedStateFromError(fault: Error): { fault: Error } {
    return { fault };
  }

  override render(): React.ReactNode {
    const { trans } = this.props;
    if (!this.state.fault) {
      return this.props.children;
    }
    return (
      <div className="jp-Datarun-trouble" role="alert">
        <p>{trans.__('This part of datarun met a fault: %1', this.state.fault.message)}</p>
        <button
          className="jp-mod-styled jp-mod-minimal"
          onClick={() => this.setState({ fault: null })}
        >
          {trans.__('Show it again')}
        </button>
      </div>
    );
  }
}
