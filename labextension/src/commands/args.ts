import type { ReadonlyJSONObject, ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { JupyterFrontEnd } from '@jupyterlab/application';

/** What an action is done to. */
export type Target = { kind: 'submission' | 'fold' | 'dataset'; id: number };

const CLASSES: Readonly<Record<Target['kind'], string>> = {
  submission: 'jp-Datarun-submission',
  fold: 'jp-Datarun-fold',
  dataset: 'jp-Datarun-dataset'
};

function numberIn(args: ReadonlyPartialJSONObject, name: string): number | null {
  const value = args[name];
  return typeof value === 'number' ? value : null;
}

function idOf(node: Element | null | undefined): number | null {
  const text = node instanceof HTMLElement ? node.dataset.id : undefined;
  return text === undefined ? null : Number(text);
}

/** Find what an action is meant for: its arguments, else the row under the menu or the focus. */
export function targetOf(
  app: JupyterFrontEnd,
  kinds: readonly Target['kind'][],
  args: ReadonlyPartialJSONObject
): Target | null {
  for (const kind of kinds) {
    const id = numberIn(args, kind) ?? (kinds[0] === kind ? numberIn(args, 'id') : null);
    if (id !== null) {
      return { kind, id };
    }
  }
  for (const kind of kinds) {
    const name = CLASSES[kind];
    const hit = app.contextMenuHitTest(node => node.classList.contains(name));
    const id = idOf(hit) ?? idOf(document.activeElement?.closest(`.${name}`));
    if (id !== null) {
      return { kind, id };
    }
  }
  return null;
}

/** Schema of the arguments of a command that is done to one thing. */
export function describe(properties: Readonly<Record<string, string>>): {
  args: ReadonlyJSONObject;
} {
  const entries = Object.entries(properties).map(([name, description]) => [
    name,
    { type: 'number', description }
  ]);
  return { args: { type: 'object', properties: Object.fromEntries(entries) } };
}
