import type { TranslationBundle } from '@jupyterlab/translation';
import type { Fold, Reason, Runner } from '../api/types';
import type { Word } from '../model/state';

/** How a state is drawn: a mark with a colour, always beside a word. */
export type Mark = 'wait' | 'run' | 'good' | 'bad' | 'off';

export interface IWord {
  mark: Mark;
  word: string;
}

/** A fold's stage in a word. */
export function stageWord(fold: Fold, trans: TranslationBundle): IWord {
  switch (fold.stage) {
    case 'WAITING':
      return { mark: 'wait', word: trans.__('Waits for the split') };
    case 'QUEUED':
      return { mark: 'wait', word: trans.__('Queued') };
    case 'DISPATCHED':
      return { mark: 'wait', word: trans.__('Sent') };
    case 'RUNNING':
      return { mark: 'run', word: trans.__('Training') };
    case 'TRAINED':
      return { mark: 'run', word: trans.__('Validating') };
    case 'VALIDATED':
      return { mark: 'run', word: trans.__('Testing') };
    case 'TESTED':
      return { mark: 'good', word: trans.__('Tested') };
    case 'ERROR':
      return fold.reason === 'CANCELLED'
        ? { mark: 'off', word: trans.__('Cancelled') }
        : { mark: 'bad', word: trans.__('Failed') };
  }
}

/** A submission's progress in a word. */
export function progressWord(progress: Word, trans: TranslationBundle): IWord {
  switch (progress) {
    case 'empty':
      return { mark: 'wait', word: trans.__('No folds yet') };
    case 'waiting':
      return { mark: 'wait', word: trans.__('Waiting') };
    case 'running':
      return { mark: 'run', word: trans.__('Running') };
    case 'done':
      return { mark: 'good', word: trans.__('Done') };
    case 'failed':
      return { mark: 'bad', word: trans.__('Failed') };
    case 'cancelled':
      return { mark: 'off', word: trans.__('Cancelled') };
  }
}

/** Why a fold failed, and what helps. */
export interface IExplained {
  title: string;
  remedy: string;
}

/** Explain the reason of a failure. */
export function explain(reason: Reason, trans: TranslationBundle): IExplained {
  switch (reason) {
    case 'USER_ERROR':
      return {
        title: trans.__('The submission raised an error'),
        remedy: trans.__('Correct that line and submit again.')
      };
    case 'BAD_OUTPUT':
      return {
        title: trans.__('The predictions are not usable'),
        remedy: trans.__('Return one finite number, or one row of probabilities, for every row.')
      };
    case 'SOFT_TIMEOUT':
      return {
        title: trans.__('It took longer than its time limit'),
        remedy: trans.__('Make it faster, or submit with a higher limit.')
      };
    case 'HARD_TIMEOUT':
      return {
        title: trans.__('It was killed at its hard time limit'),
        remedy: trans.__('Make it faster, or submit with a higher limit.')
      };
    case 'OUT_OF_MEMORY':
      return {
        title: trans.__('It needed more memory than its limit'),
        remedy: trans.__('Hold less data at once, or submit with a higher limit.')
      };
    case 'LIMIT_PROCESSES':
      return {
        title: trans.__('It started more processes than it may'),
        remedy: trans.__('Use fewer workers (n_jobs), or submit with a higher limit.')
      };
    case 'LIMIT_DISK':
      return {
        title: trans.__('It wrote more to the disk than it may'),
        remedy: trans.__('Write less, or submit with a higher limit.')
      };
    case 'CRASHED':
      return {
        title: trans.__('Its process crashed'),
        remedy: trans.__('The log shows what it printed last; look for native code or os._exit.')
      };
    case 'NO_RESULT':
      return {
        title: trans.__('It ended without a result'),
        remedy: trans.__('Do not end the process from the submission.')
      };
    case 'DATA_ERROR':
      return {
        title: trans.__('The dataset could not be read'),
        remedy: trans.__('Look at the dataset, split it again, then run again.')
      };
    case 'MISSING_PACKAGE':
      return {
        title: trans.__('A package is missing on the runner'),
        remedy: trans.__('Ask for it to be installed there, or do without it.')
      };
    case 'CANCELLED':
      return {
        title: trans.__('It was cancelled'),
        remedy: trans.__('Run it again whenever you like.')
      };
    case 'RUNNER_LOST':
      return {
        title: trans.__('Its runner was lost'),
        remedy: trans.__('This is no fault of the submission. Run it again.')
      };
    case 'PLATFORM':
      return {
        title: trans.__('The platform had a fault'),
        remedy: trans.__('This is no fault of the submission. Run it again.')
      };
    case 'RUNNER_STOPPED':
      return {
        title: trans.__('Its runner was told to end'),
        remedy: trans.__('It is sent to another runner by itself.')
      };
  }
}

/** How well a runner isolates what it runs. */
export function sandboxWord(level: Runner['sandbox'], trans: TranslationBundle): IExplained {
  switch (level) {
    case 'full':
      return {
        title: trans.__('Full sandbox'),
        remedy: trans.__('Own namespaces, no network, no view of other files.')
      };
    case 'landlock':
      return {
        title: trans.__('Landlock'),
        remedy: trans.__('File access is restricted; namespaces are not available here.')
      };
    case 'limits':
      return {
        title: trans.__('Limits only'),
        remedy: trans.__('Only time, memory and sizes are limited: run only code that you trust.')
      };
  }
}
