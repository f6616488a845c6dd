import * as React from 'react';
import type { CrossValidation, Priority } from '../api/types';
import { parseSeed } from '../dataset/numbers';
import { useApp, useModel } from '../ui/context';
import { Field } from '../ui/parts';
import { foldsIn, isSplit, type IDrafting } from './draft';
import { LimitFields } from './limits';

/** What is asked beside the files: dataset, name, cross-validation, priority, limits. */
export function DraftFields({ draft, set }: IDrafting): React.ReactElement {
  const { trans } = useApp();
  const { datasets } = useModel();
  return (
    <>
      <Field label={trans.__('Dataset')}>
        {id => (
          <select
            id={id}
            className="jp-mod-styled"
            value={draft.dataset}
            onChange={event => set({ dataset: Number(event.target.value) })}
          >
            {!datasets.has(draft.dataset) && (
              <option value={draft.dataset}>{trans.__('Choose…')}</option>
            )}
            {[...datasets.values()].map(item => (
              <option key={item.id} value={item.id}>
                {isSplit(item) ? item.name : trans.__('%1 (not split)', item.name)}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={trans.__('Name')} hint={trans.__('For you, to tell submissions apart.')}>
        {(id, note) => (
          <input
            id={id}
            aria-describedby={note}
            className="jp-mod-styled"
            maxLength={200}
            value={draft.name}
            placeholder={trans.__('for example “forest, 100 trees”')}
            onChange={event => set({ name: event.target.value })}
          />
        )}
      </Field>
      <CrossValidationFields draft={draft} set={set} />
      <Field label={trans.__('Priority')}>
        {id => (
          <select
            id={id}
            className="jp-mod-styled"
            value={draft.priority}
            onChange={event => set({ priority: event.target.value as Priority })}
          >
            <option value="L">{trans.__('Normal')}</option>
            <option value="H">{trans.__('High: before all normal ones')}</option>
          </select>
        )}
      </Field>
      <LimitFields limits={draft.limits} onChange={limits => set({ limits })} />
    </>
  );
}

function CrossValidationFields({
  draft,
  set
}: Pick<IDrafting, 'draft' | 'set'>): React.ReactElement {
  const { trans } = useApp();
  return (
    <>
      <Field label={trans.__('Cross-validation')}>
        {id => (
          <select
            id={id}
            className="jp-mod-styled"
            value={draft.kind}
            onChange={event => set({ kind: event.target.value as CrossValidation['kind'] })}
          >
            <option value="stratified">{trans.__('Stratified k-fold')}</option>
            <option value="kfold">{trans.__('k-fold')}</option>
            <option value="shuffle">{trans.__('Shuffle and split')}</option>
          </select>
        )}
      </Field>
      <div className="jp-Datarun-pair">
        <Field
          label={trans.__('Folds')}
          error={foldsIn(draft) ? undefined : trans.__('A whole number from 2 to 1000.')}
        >
          {(id, note) => (
            <input
              id={id}
              aria-describedby={note}
              className="jp-mod-styled"
              type="number"
              min={2}
              max={1000}
              value={draft.folds}
              onChange={event => set({ folds: event.target.value })}
            />
          )}
        </Field>
        <Field
          label={trans.__('Random state')}
          error={parseSeed(draft.seed) === null ? trans.__('A whole number from 0 on.') : undefined}
        >
          {(id, note) => (
            <input
              id={id}
              aria-describedby={note}
              className="jp-mod-styled"
              value={draft.seed}
              onChange={event => set({ seed: event.target.value })}
            />
          )}
        </Field>
      </div>
    </>
  );
}
