import type { TranslationBundle } from '@jupyterlab/translation';
import type { Dataset } from '../api/types';
import { defines, elementsOf, hasMethod } from './elements';

/** One thing that is looked at before a submission is sent. */
export interface ICheck {
  /** `wrong` keeps it from being sent; `doubt` may be right, and is said. */
  verdict: 'fine' | 'doubt' | 'wrong';
  text: string;
}

export type Files = ReadonlyMap<string, string>;

const INHERITS = /^class\s+\w+\s*\([^)]*\w[^)]*\)/m;

/** Look a submission over before it is sent. */
export function preflight(
  dataset: Dataset | undefined,
  files: Files,
  folds: number,
  trans: TranslationBundle
): ICheck[] {
  if (!dataset) {
    return [{ verdict: 'wrong', text: trans.__('Choose a dataset.') }];
  }
  return [
    checkSplit(dataset, folds, trans),
    ...checkParts(dataset, files, trans),
    ...checkNames(files, trans)
  ];
}

function checkSplit(dataset: Dataset, folds: number, trans: TranslationBundle): ICheck {
  if (dataset.split_state !== 'DONE') {
    return {
      verdict: 'wrong',
      text: trans.__('“%1” is not split yet: split it, then submit.', dataset.name)
    };
  }
  if (folds > dataset.n_train) {
    return {
      verdict: 'wrong',
      text: trans.__('%1 folds are more than the %2 rows to train on.', folds, dataset.n_train)
    };
  }
  return {
    verdict: 'fine',
    text: trans.__('“%1” has %2 rows to train on.', dataset.name, dataset.n_train)
  };
}

function checkParts(dataset: Dataset, files: Files, trans: TranslationBundle): ICheck[] {
  const checks: ICheck[] = [];
  for (const { file, className, methods } of elementsOf(dataset.workflow_elements)) {
    const code = files.get(file);
    if (code === undefined) {
      // Code of a custom dataset may read its files under any name.
      const verdict = dataset.kind === 'custom' ? 'doubt' : 'wrong';
      checks.push({ verdict, text: trans.__('%1 is missing.', file) });
    } else if (code.trim() === '') {
      checks.push({ verdict: 'wrong', text: trans.__('%1 is empty.', file) });
    } else if (className !== '' && !defines(code, className)) {
      checks.push({
        verdict: dataset.kind === 'custom' ? 'doubt' : 'wrong',
        text: trans.__('%1 defines no class %2.', file, className)
      });
    } else {
      const absent = methods.filter(method => !hasMethod(code, method));
      const inherited = INHERITS.test(code);
      if (absent.length > 0 && !inherited) {
        checks.push({
          verdict: 'doubt',
          text: trans.__('%1: %2 has no method %3.', file, className, absent.join(', '))
        });
      } else {
        checks.push({ verdict: 'fine', text: trans.__('%1 is as the dataset asks.', file) });
      }
    }
  }
  return checks;
}

function checkNames(files: Files, trans: TranslationBundle): ICheck[] {
  const bad = [...files.keys()].filter(name => !/^[\w.-]+$/.test(name));
  return bad.map(name => ({
    verdict: 'wrong' as const,
    text: trans.__('“%1” is no name for a file: use letters, digits, “_”, “-” and “.”.', name)
  }));
}
