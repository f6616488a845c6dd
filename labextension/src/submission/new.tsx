import { addIcon, closeIcon, fileUploadIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { pack } from '../api/codec';
import { asApiError, type ApiError } from '../api/errors';
import type { CrossValidation, Limits, Priority } from '../api/types';
import { CommandIDs } from '../commands/ids';
import { datarunIcon } from '../icons';
import { barredBy } from '../sidebar/health';
import { parseSeed } from '../dataset/numbers';
import { AppWidget, useApp, useChoices, useModel, type IApp } from '../ui/context';
import { useDrop } from '../ui/drop';
import { Field, IconButton, StateMark, TroubleBox, WordButton } from '../ui/parts';
import { PythonEditor } from './editor';
import { elementsOf } from './elements';
import { LimitFields } from './limits';
import { preflight, type Files } from './preflight';

/** What a new submission begins with. */
export interface IBeginning {
  dataset?: number;
  name?: string;
  files?: Files;
}

/** Where a submission is put together. */
export class NewSubmissionPage extends AppWidget {
  constructor(
    app: IApp,
    private readonly _beginning: IBeginning
  ) {
    super(app);
    this.addClass('jp-Datarun-page');
    this.title.icon = datarunIcon;
    this.title.label = app.trans.__('New submission');
    this.title.closable = true;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this.title.label);
  }

  protected override content(): React.ReactElement {
    return <Page beginning={this._beginning} onSent={() => this.dispose()} />;
  }
}

const PICKED = '.py,.txt,.json,.csv,.yaml,.yml';

function Page(props: { beginning: IBeginning; onSent: () => void }): React.ReactElement {
  const { trans, commands, model } = useApp();
  const state = useModel();
  const choices = useChoices();
  const { beginning } = props;
  const newest = Math.max(0, ...[...state.datasets.values()].filter(isSplit).map(({ id }) => id));
  const [datasetId, setDatasetId] = React.useState(beginning.dataset ?? newest);
  const dataset = state.datasets.get(datasetId);
  const [name, setName] = React.useState(beginning.name ?? '');
  const [files, setFiles] = React.useState<Files>(beginning.files ?? new Map());
  const [shown, setShown] = React.useState('');
  const [folds, setFolds] = React.useState(String(choices.folds));
  const [kind, setKind] = React.useState<CrossValidation['kind']>(choices.cv);
  const [seed, setSeed] = React.useState('42');
  const [priority, setPriority] = React.useState<Priority>('L');
  const [limits, setLimits] = React.useState<Limits>({});
  const [trouble, setTrouble] = React.useState<ApiError | null>(null);
  const [sending, setSending] = React.useState(false);

  // A page that was restored before the datasets were known takes the newest when they are.
  React.useEffect(() => {
    setDatasetId(was => (was === 0 ? newest : was));
  }, [newest]);

  // Parts that the dataset asks for and nobody gave begin with a template.
  const workflow = dataset?.workflow_elements ?? '';
  React.useEffect(() => {
    setFiles(was => {
      const missing = elementsOf(workflow).filter(({ file }) => !was.has(file));
      return missing.length === 0
        ? was
        : new Map([...was, ...missing.map(({ file, template }) => [file, template] as const)]);
    });
  }, [workflow]);

  const take = (given: readonly File[]) => {
    void Promise.all(given.map(async file => [file.name, await file.text()] as const)).then(
      read => {
        setFiles(was => new Map([...was, ...read]));
        setShown(read[0]?.[0] ?? '');
      }
    );
  };
  const drop = useDrop(take);
  const picker = React.useRef<HTMLInputElement>(null);

  const names = [...files.keys()];
  const current = files.has(shown) ? shown : (names[0] ?? '');
  const number = Number(folds);
  const goodNumber = Number.isInteger(number) && number >= 2 && number <= 1000;
  const goodSeed = parseSeed(seed) !== null;
  const checks = preflight(dataset, files, goodNumber ? number : 2, trans);
  const wrong = checks.filter(({ verdict }) => verdict === 'wrong');
  const barred =
    barredBy(state, trans) ??
    (sending ? trans.__('It is being sent') : null) ??
    (goodNumber && goodSeed ? null : trans.__('The cross-validation is not complete')) ??
    wrong[0]?.text ??
    null;

  const send = async () => {
    setSending(true);
    setTrouble(null);
    try {
      const packed = await Promise.all(
        [...files].map(async ([file, text]) => [file, await pack(text)] as const)
      );
      const made = await model.api.submit({
        raw_data: datasetId,
        files: Object.fromEntries(packed),
        name: name.trim(),
        priority,
        limits,
        cv: { kind, n_splits: number, random_state: Number(seed) }
      });
      model.store.take({ type: 'submission', submission: made });
      model.store.flush();
      await commands.execute(CommandIDs.openSubmission, { id: made.databoard_s_id });
      props.onSent();
    } catch (reason) {
      setTrouble(asApiError(reason));
      setSending(false);
    }
  };

  return (
    <div className="jp-Datarun-new" {...drop.handlers}>
      <form
        className="jp-Datarun-newForm"
        onSubmit={event => {
          event.preventDefault();
          if (!barred) {
            void send();
          }
        }}
      >
        <h2>{trans.__('New submission')}</h2>
        <Field label={trans.__('Dataset')}>
          {id => (
            <select
              id={id}
              className="jp-mod-styled"
              value={datasetId}
              onChange={event => setDatasetId(Number(event.target.value))}
            >
              {!dataset && <option value={datasetId}>{trans.__('Choose…')}</option>}
              {[...state.datasets.values()].map(item => (
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
              value={name}
              placeholder={trans.__('for example “forest, 100 trees”')}
              onChange={event => setName(event.target.value)}
            />
          )}
        </Field>
        <Field label={trans.__('Cross-validation')}>
          {id => (
            <select
              id={id}
              className="jp-mod-styled"
              value={kind}
              onChange={event => setKind(event.target.value as CrossValidation['kind'])}
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
            error={goodNumber ? undefined : trans.__('A whole number from 2 to 1000.')}
          >
            {(id, note) => (
              <input
                id={id}
                aria-describedby={note}
                className="jp-mod-styled"
                type="number"
                min={2}
                max={1000}
                value={folds}
                onChange={event => setFolds(event.target.value)}
              />
            )}
          </Field>
          <Field
            label={trans.__('Random state')}
            error={goodSeed ? undefined : trans.__('A whole number from 0 on.')}
          >
            {(id, note) => (
              <input
                id={id}
                aria-describedby={note}
                className="jp-mod-styled"
                value={seed}
                onChange={event => setSeed(event.target.value)}
              />
            )}
          </Field>
        </div>
        <Field label={trans.__('Priority')}>
          {id => (
            <select
              id={id}
              className="jp-mod-styled"
              value={priority}
              onChange={event => setPriority(event.target.value as Priority)}
            >
              <option value="L">{trans.__('Normal')}</option>
              <option value="H">{trans.__('High: before all normal ones')}</option>
            </select>
          )}
        </Field>
        <LimitFields limits={limits} onChange={setLimits} />
        <section aria-label={trans.__('Before it is sent')}>
          <h3>{trans.__('Before it is sent')}</h3>
          <ul className="jp-Datarun-checks">
            {checks.map(({ verdict, text }) => (
              <li key={text}>
                <StateMark
                  mark={verdict === 'fine' ? 'good' : verdict === 'wrong' ? 'bad' : 'off'}
                  label={
                    verdict === 'fine'
                      ? trans.__('Fine')
                      : verdict === 'wrong'
                        ? trans.__('Wrong')
                        : trans.__('Doubtful')
                  }
                />
                {text}
              </li>
            ))}
          </ul>
          {dataset && !isSplit(dataset) && (
            <WordButton
              label={trans.__('Split…')}
              onClick={() => void commands.execute(CommandIDs.split, { id: dataset.id })}
            />
          )}
        </section>
        {trouble && <TroubleBox trouble={trouble} />}
        <WordButton
          label={sending ? trans.__('Sending…') : trans.__('Submit')}
          primary
          barred={barred}
          onClick={() => void send()}
        />
      </form>
      <div className={`jp-Datarun-newFiles${drop.over ? ' jp-mod-over' : ''}`}>
        <FileTabs
          names={names}
          current={current}
          onShow={setShown}
          onRemove={file => setFiles(was => new Map([...was].filter(([key]) => key !== file)))}
          onAdd={() => {
            const file = freeName(files);
            setFiles(was => new Map([...was, [file, '']]));
            setShown(file);
          }}
          onPick={() => picker.current?.click()}
        />
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          accept={PICKED}
          onChange={event => {
            take([...(event.target.files ?? [])]);
            event.target.value = '';
          }}
        />
        {current !== '' && (
          <PythonEditor
            key={current}
            label={current}
            value={files.get(current) ?? ''}
            onChange={text => setFiles(was => new Map([...was, [current, text]]))}
          />
        )}
      </div>
    </div>
  );
}

function isSplit(dataset: { split_state: string }): boolean {
  return dataset.split_state === 'DONE';
}

function freeName(files: Files): string {
  let n = 1;
  while (files.has(`module${n}.py`)) {
    n += 1;
  }
  return `module${n}.py`;
}

function FileTabs(props: {
  names: readonly string[];
  current: string;
  onShow: (name: string) => void;
  onRemove: (name: string) => void;
  onAdd: () => void;
  onPick: () => void;
}): React.ReactElement {
  const { trans } = useApp();
  return (
    <div className="jp-Datarun-fileTabs" role="toolbar" aria-label={trans.__('Files')}>
      {props.names.map(name => (
        <span key={name} className={name === props.current ? 'jp-mod-current' : undefined}>
          <button
            type="button"
            aria-pressed={name === props.current}
            onClick={() => props.onShow(name)}
          >
            {name}
          </button>
          <IconButton
            icon={closeIcon}
            label={trans.__('Remove %1', name)}
            onClick={() => props.onRemove(name)}
          />
        </span>
      ))}
      <IconButton icon={addIcon} label={trans.__('Add a file')} onClick={props.onAdd} />
      <IconButton
        icon={fileUploadIcon}
        label={trans.__('Take files from this computer')}
        onClick={props.onPick}
      />
    </div>
  );
}
