import * as React from 'react';
import { pack } from '../api/codec';
import type { CrossValidation, Limits, NewSubmission, Priority } from '../api/types';
import { parseSeed } from '../dataset/numbers';
import { useChoices, useModel } from '../ui/context';
import { elementsOf } from './elements';
import type { Files } from './preflight';

/** What a new submission begins with. */
export interface IBeginning {
  dataset?: number;
  name?: string;
  files?: Files;
}

/** A submission while it is put together: what stands in the fields, as it is typed. */
export interface IDraft {
  dataset: number;
  name: string;
  files: Files;
  kind: CrossValidation['kind'];
  folds: string;
  seed: string;
  priority: Priority;
  limits: Limits;
}

export interface IDrafting {
  readonly draft: IDraft;
  /** Change some of the fields. */
  readonly set: (part: Partial<IDraft>) => void;
  readonly setFiles: (change: (was: Files) => Files) => void;
}

/** The folds, when the number in the field is one that can be asked for. */
export function foldsIn(draft: IDraft): number | null {
  const number = Number(draft.folds);
  return Number.isInteger(number) && number >= 2 && number <= 1000 ? number : null;
}

/** Whether a dataset can be submitted to. */
export function isSplit(dataset: { split_state: string }): boolean {
  return dataset.split_state === 'DONE';
}

/** Hold a draft; parts that its dataset asks for and nobody gave begin with a template. */
export function useDraft(beginning: IBeginning): IDrafting {
  const { datasets } = useModel();
  const choices = useChoices();
  const newest = Math.max(0, ...[...datasets.values()].filter(isSplit).map(({ id }) => id));
  const [draft, setDraft] = React.useState<IDraft>({
    dataset: beginning.dataset ?? newest,
    name: beginning.name ?? '',
    files: beginning.files ?? new Map(),
    kind: choices.cv,
    folds: String(choices.folds),
    seed: '42',
    priority: 'L',
    limits: {}
  });
  const set = React.useCallback(
    (part: Partial<IDraft>) => setDraft(was => ({ ...was, ...part })),
    []
  );
  const setFiles = React.useCallback(
    (change: (was: Files) => Files) => setDraft(was => ({ ...was, files: change(was.files) })),
    []
  );

  // A page that was opened before the datasets were known takes the newest when they are.
  React.useEffect(() => {
    setDraft(was => (was.dataset === 0 ? { ...was, dataset: newest } : was));
  }, [newest]);

  const workflow = datasets.get(draft.dataset)?.workflow_elements ?? '';
  React.useEffect(() => {
    setFiles(was => {
      const missing = elementsOf(workflow).filter(({ file }) => !was.has(file));
      return missing.length === 0
        ? was
        : new Map([...was, ...missing.map(({ file, template }) => [file, template] as const)]);
    });
  }, [workflow, setFiles]);
  return { draft, set, setFiles };
}

/** Make of a draft what the server takes. */
export async function asRequest(draft: IDraft): Promise<NewSubmission> {
  const packed = await Promise.all(
    [...draft.files].map(async ([file, text]) => [file, await pack(text)] as const)
  );
  return {
    raw_data: draft.dataset,
    files: Object.fromEntries(packed),
    name: draft.name.trim(),
    priority: draft.priority,
    limits: draft.limits,
    cv: {
      kind: draft.kind,
      n_splits: foldsIn(draft) ?? 2,
      random_state: parseSeed(draft.seed) ?? 42
    }
  };
}
