import * as React from 'react';
import { asApiError, type ApiError } from '../api/errors';
import type { Dataset, Preview } from '../api/types';
import { CommandIDs } from '../commands/ids';
import { datarunIcon } from '../icons';
import { barredBy } from '../sidebar/health';
import { AppWidget, useApp, useModel, type IApp } from '../ui/context';
import { bytes, count, moment } from '../ui/format';
import { Loading, StateWord, TroubleBox, WordButton } from '../ui/parts';
import type { IWord } from '../ui/words';

const ROWS = 50;

/** Everything about one dataset. */
export class DatasetPage extends AppWidget {
  constructor(
    app: IApp,
    readonly datasetId: number
  ) {
    super(app);
    this.id = `datarun-dataset-${datasetId}`;
    this.addClass('jp-Datarun-page');
    this.title.icon = datarunIcon;
    this.title.closable = true;
    this.title.label = app.model.state.datasets.get(datasetId)?.name ?? `${datasetId}`;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', app.trans.__('Dataset %1', this.title.label));
  }

  protected override content(): React.ReactElement {
    return <Page id={this.datasetId} />;
  }
}

function splitWord(dataset: Dataset, trans: IApp['trans']): IWord {
  switch (dataset.split_state) {
    case 'DONE':
      return {
        mark: 'good',
        word: trans.__('Split: %1 train, %2 test', count(dataset.n_train), count(dataset.n_test))
      };
    case 'RUNNING':
      return { mark: 'run', word: trans.__('Splitting…') };
    case 'ERROR':
      return { mark: 'bad', word: trans.__('Split failed') };
    case 'NONE':
      return { mark: 'wait', word: trans.__('Not split') };
  }
}

function Page({ id }: { id: number }): React.ReactElement {
  const { trans, commands, model } = useApp();
  const state = useModel();
  const dataset = state.datasets.get(id);
  const barred = barredBy(state, trans);
  if (!dataset) {
    return state.connection === 'connecting' ? (
      <Loading what={trans.__('Loading the dataset…')} />
    ) : (
      <div className="jp-Datarun-empty">
        <p>
          {state.connection === 'live'
            ? trans.__('This dataset is gone.')
            : trans.__('There is no connection to the server.')}
        </p>
        <WordButton label={trans.__('Try again')} onClick={() => model.connect()} />
      </div>
    );
  }
  const run = (command: CommandIDs, args: Record<string, number>) => () =>
    void commands.execute(command, args);
  return (
    <>
      <div className="jp-Datarun-pageHead">
        <h2>{dataset.name}</h2>
        <StateWord {...splitWord(dataset, trans)} />
        <div className="jp-Datarun-actions" role="toolbar" aria-label={trans.__('Actions')}>
          <WordButton
            label={trans.__('New submission…')}
            primary
            barred={
              barred ??
              (dataset.split_state === 'DONE' ? null : trans.__('The dataset is not split yet'))
            }
            onClick={run(CommandIDs.newSubmission, { dataset: id })}
          />
          <WordButton
            label={trans.__('Split…')}
            barred={
              barred ??
              (dataset.split_state === 'RUNNING' ? trans.__('It is being split now') : null)
            }
            onClick={run(CommandIDs.split, { id })}
          />
          <WordButton
            label={trans.__('Delete…')}
            barred={barred}
            onClick={run(CommandIDs.deleteDataset, { id })}
          />
        </div>
      </div>
      {dataset.split_state === 'ERROR' && (
        <div className="jp-Datarun-trouble" role="alert">
          <p>{dataset.split_error}</p>
        </div>
      )}
      <dl className="jp-Datarun-facts">
        <dt>{trans.__('Target')}</dt>
        <dd>{dataset.target_column}</dd>
        <dt>{trans.__('Parts')}</dt>
        <dd>{dataset.workflow_elements}</dd>
        <dt>{trans.__('Owner')}</dt>
        <dd>{dataset.owner}</dd>
        <dt>{trans.__('Created')}</dt>
        <dd>{moment(dataset.created)}</dd>
        <dt>{trans.__('Files')}</dt>
        <dd>
          {dataset.files.map(({ name, size }) => `${name} (${bytes(size)})`).join(', ') || '–'}
        </dd>
      </dl>
      <Rows dataset={dataset} />
    </>
  );
}

function Rows({ dataset }: { dataset: Dataset }): React.ReactElement {
  const { trans, model } = useApp();
  const [preview, setPreview] = React.useState<Preview | null>(null);
  const [trouble, setTrouble] = React.useState<ApiError | null>(null);
  const [tries, again] = React.useReducer((n: number) => n + 1, 0);
  const { id, split_state } = dataset;
  React.useEffect(() => {
    let over = false;
    model.api.preview(id, ROWS).then(
      found => {
        if (!over) {
          setPreview(found);
          setTrouble(null);
        }
      },
      (reason: unknown) => {
        if (!over) {
          setTrouble(asApiError(reason));
        }
      }
    );
    return () => {
      over = true;
    };
  }, [model, id, split_state, tries]);
  if (trouble) {
    return trouble.trouble === 'notfound' ? (
      <p className="jp-Datarun-empty">{trouble.message}</p>
    ) : (
      <TroubleBox trouble={trouble} onRetry={again} />
    );
  }
  if (!preview) {
    return <Loading what={trans.__('Loading the first rows…')} />;
  }
  return (
    <>
      {preview.target?.counts && (
        <Balance name={preview.target.name} counts={preview.target.counts} />
      )}
      <h3>
        {preview.n_rows === null
          ? trans.__('First %1 rows', preview.rows.length)
          : trans.__('First %1 of %2 rows', preview.rows.length, count(preview.n_rows))}
      </h3>
      <div className="jp-Datarun-tableBox" tabIndex={0} role="group" aria-label={trans.__('Rows')}>
        <table className="jp-Datarun-table">
          <thead>
            <tr>
              {preview.columns.map(({ name }) => (
                <th key={name} scope="col">
                  {name}
                  {name === dataset.target_column && (
                    <span className="jp-Datarun-tag">{trans.__('target')}</span>
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {preview.rows.map((row, index) => (
              <tr key={index}>
                {row.map((cell, place) => (
                  <td key={place}>{String(cell)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

/** How often each label occurs. */
function Balance(props: {
  name: string;
  counts: Readonly<Record<string, number>>;
}): React.ReactElement {
  const { trans } = useApp();
  const entries = Object.entries(props.counts).sort(([, a], [, b]) => b - a);
  const most = Math.max(1, ...entries.map(([, n]) => n));
  const total = entries.reduce((sum, [, n]) => sum + n, 0);
  return (
    <section aria-label={trans.__('Class balance')}>
      <h3>{trans.__('Values of %1', props.name)}</h3>
      <ul className="jp-Datarun-balance">
        {entries.slice(0, 20).map(([label, n]) => (
          <li key={label}>
            <span title={label}>{label}</span>
            <span className="jp-Datarun-balanceBar" aria-hidden>
              <span style={{ width: `${(100 * n) / most}%` }} />
            </span>
            <span>
              {count(n)} <small>{((100 * n) / total).toFixed(1)} %</small>
            </span>
          </li>
        ))}
      </ul>
      {entries.length > 20 && <small>{trans.__('and %1 more', entries.length - 20)}</small>}
    </section>
  );
}
