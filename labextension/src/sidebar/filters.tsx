import * as React from 'react';
import type { Standing } from '../api/types';
import type { IFilter, SortBy } from '../model/select';
import { useApp, useChoices, useModel } from '../ui/context';

/** What narrows the submissions down, and puts them in order. */
export function Filters(props: {
  filter: IFilter;
  onChange: (filter: IFilter) => void;
}): React.ReactElement {
  const { trans, settings } = useApp();
  const { datasets } = useModel();
  const { onlyMine } = useChoices();
  const { filter, onChange } = props;
  return (
    <div className="jp-Datarun-filters" role="search" aria-label={trans.__('Filter submissions')}>
      <input
        type="search"
        className="jp-mod-styled"
        aria-label={trans.__('Filter by name, dataset, owner or number')}
        placeholder={trans.__('Filter')}
        value={filter.text}
        onChange={event => onChange({ ...filter, text: event.target.value })}
      />
      <select
        className="jp-mod-styled"
        aria-label={trans.__('State')}
        value={filter.standing}
        onChange={event => onChange({ ...filter, standing: event.target.value as Standing | '' })}
      >
        <option value="">{trans.__('Any state')}</option>
        <option value="waiting">{trans.__('Waiting')}</option>
        <option value="running">{trans.__('Running')}</option>
        <option value="done">{trans.__('Done')}</option>
        <option value="failed">{trans.__('Failed')}</option>
        <option value="cancelled">{trans.__('Cancelled')}</option>
      </select>
      <select
        className="jp-mod-styled"
        aria-label={trans.__('Dataset')}
        value={filter.dataset ?? ''}
        onChange={event =>
          onChange({
            ...filter,
            dataset: event.target.value === '' ? null : Number(event.target.value)
          })
        }
      >
        <option value="">{trans.__('Any dataset')}</option>
        {[...datasets.values()].map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
      <select
        className="jp-mod-styled"
        aria-label={trans.__('Order')}
        value={filter.sort}
        onChange={event => onChange({ ...filter, sort: event.target.value as SortBy })}
      >
        <option value="newest">{trans.__('Newest first')}</option>
        <option value="oldest">{trans.__('Oldest first')}</option>
        <option value="name">{trans.__('By name')}</option>
        <option value="score">{trans.__('Best score first')}</option>
      </select>
      <label>
        <input
          type="checkbox"
          checked={onlyMine}
          onChange={event => settings.choose('onlyMine', event.target.checked)}
        />
        {trans.__('Only mine')}
      </label>
    </div>
  );
}
