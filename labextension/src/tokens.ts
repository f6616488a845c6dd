import type { TranslationBundle } from '@jupyterlab/translation';
import { Token } from '@lumino/coreutils';
import type { Model } from './model/model';
import type { Settings } from './settings';
import type { Uploads } from './dataset/uploads';

/** What other extensions, and datarun's own plugins, may use of the panel. */
export interface IDatarun {
  /** Everything that is known of the server, live. */
  readonly model: Model;
  /** Datasets on their way to the server. */
  readonly uploads: Uploads;
  /** What the person chose. */
  readonly settings: Settings;
  readonly trans: TranslationBundle;
}

export const IDatarun = new Token<IDatarun>(
  'datarun:IDatarun',
  'The live state of the datarun server: datasets, submissions, folds and runners.'
);
