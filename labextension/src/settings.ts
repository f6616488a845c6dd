import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { Signal, type ISignal } from '@lumino/signaling';

/** Of which ends a notification tells. */
export type Notify = 'all' | 'failures' | 'none';

/** What a person can choose, as the settings schema describes it. */
export interface IChoices {
  notify: Notify;
  browserNotifications: boolean;
  density: 'comfortable' | 'compact';
  onlyMine: boolean;
  sections: readonly string[];
  folds: number;
  cv: 'stratified' | 'kfold' | 'shuffle';
  followLogs: boolean;
  tryFirst: boolean;
}

export const DEFAULTS: IChoices = {
  notify: 'all',
  browserNotifications: false,
  density: 'comfortable',
  onlyMine: false,
  sections: ['datasets', 'submissions', 'runners'],
  folds: 5,
  cv: 'stratified',
  followLogs: true,
  tryFirst: true
};

/** The choices, also before the settings are loaded, and where they cannot be. */
export class Settings {
  get changed(): ISignal<this, IChoices> {
    return this._changed;
  }

  get choices(): IChoices {
    return this._choices;
  }

  /** Follow the loaded settings from now on. */
  follow(registry: ISettingRegistry.ISettings): void {
    this._registry = registry;
    const read = () => {
      this._choices = { ...DEFAULTS, ...(registry.composite as unknown as Partial<IChoices>) };
      this._changed.emit(this._choices);
    };
    read();
    registry.changed.connect(read, this);
  }

  /** Choose; kept for the next time where settings can be kept. */
  choose<K extends keyof IChoices>(name: K, value: IChoices[K]): void {
    this._choices = { ...this._choices, [name]: value };
    this._changed.emit(this._choices);
    void this._registry?.set(name, value as never);
  }

  private _registry: ISettingRegistry.ISettings | null = null;
  private _choices: IChoices = DEFAULTS;
  private readonly _changed = new Signal<this, IChoices>(this);
}
