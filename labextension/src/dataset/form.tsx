import { type Dialog } from '@jupyterlab/apputils';
import * as React from 'react';
import { elementNames } from '../submission/elements';
import { AppWidget, useApp, useModel, type IApp } from '../ui/context';
import { bytes } from '../ui/format';
import { Field } from '../ui/parts';
import { parseHeldOut, parseSeed } from './numbers';
import { guessTarget, isRegression, nameOf, sniff, type ISniffed } from './sniff';
import type { INewUpload } from './uploads';

interface IValues {
  name: string;
  target: string;
  workflow: string;
  split: boolean;
  heldOut: string;
  randomState: string;
}

/** Files that the server has already: name -> path below its root folder. */
export type OnServer = Readonly<Record<string, string>>;

type Errors = Partial<Record<keyof IValues, string>>;

function errorsOf(values: IValues, taken: ReadonlySet<string>, trans: IApp['trans']): Errors {
  const errors: Errors = {};
  if (values.name.trim() === '') {
    errors.name = trans.__('A dataset needs a name.');
  } else if (values.name.length > 40) {
    errors.name = trans.__('A name has at most 40 characters.');
  } else if (taken.has(values.name.trim())) {
    errors.name = trans.__('There is a dataset with this name already.');
  }
  if (values.target.trim() === '') {
    errors.target = trans.__('Which column is to be predicted?');
  }
  if (elementNames(values.workflow).length === 0) {
    errors.workflow = trans.__('Name at least one part, like “classifier”.');
  }
  if (values.split && parseHeldOut(values.heldOut) === null) {
    errors.heldOut = trans.__('A share like 0.2 or 20%, or a number of rows.');
  }
  if (values.split && parseSeed(values.randomState) === null) {
    errors.randomState = trans.__('A whole number from 0 on.');
  }
  return errors;
}

/** Asks for what a new dataset needs beside its files, and fills in what the files tell. */
export class DatasetForm extends AppWidget implements Dialog.IBodyWidget<INewUpload | null> {
  constructor(
    app: IApp,
    private readonly _files: readonly File[],
    private readonly _onServer: OnServer = {}
  ) {
    super(app);
    this.addClass('jp-Datarun-form');
  }

  getValue(): INewUpload | null {
    return this._value;
  }

  protected override content(): React.ReactElement {
    return (
      <Form
        files={this._files}
        onServer={this._onServer}
        onChange={value => (this._value = value)}
      />
    );
  }

  private _value: INewUpload | null = null;
}

function Form(props: {
  files: readonly File[];
  onServer: OnServer;
  onChange: (value: INewUpload | null) => void;
}): React.ReactElement {
  const { files, onServer, onChange } = props;
  const names = [...new Set([...files.map(file => file.name), ...Object.keys(onServer)])];
  const { trans } = useApp();
  const { datasets } = useModel();
  const custom = names.some(name => name.endsWith('.py'));
  const table = files.find(file => file.name.endsWith('.csv'));
  const [seen, setSeen] = React.useState<ISniffed>({ columns: [], rows: [] });
  const [values, setValues] = React.useState<IValues>({
    name: nameOf(names.find(name => name.endsWith('.csv')) ?? names[0]),
    target: '',
    workflow: 'classifier',
    split: true,
    heldOut: '0.2',
    randomState: '42'
  });
  const set = (part: Partial<IValues>) => setValues(was => ({ ...was, ...part }));

  React.useEffect(() => {
    let over = false;
    if (table) {
      void sniff(table).then(found => {
        if (!over) {
          const target = guessTarget(found.columns);
          setSeen(found);
          set({ target, workflow: isRegression(found, target) ? 'regressor' : 'classifier' });
        }
      });
    }
    return () => {
      over = true;
    };
  }, [table]);

  const taken = React.useMemo(
    () => new Set([...datasets.values()].map(({ name }) => name)),
    [datasets]
  );
  const errors = errorsOf(values, taken, trans);
  const right = Object.keys(errors).length === 0;

  React.useEffect(() => {
    const heldOut = parseHeldOut(values.heldOut) ?? 0.2;
    const randomState = parseSeed(values.randomState) ?? 42;
    const split = !values.split ? null : custom ? ('custom' as const) : { heldOut, randomState };
    onChange(
      right
        ? {
            dataset: {
              name: values.name.trim(),
              target_column: values.target.trim(),
              workflow_elements: elementNames(values.workflow).join(', ')
            },
            // What is on the server already is only looked into here.
            files: files.filter(({ name }) => !(name in onServer)),
            onServer,
            split
          }
        : null
    );
  }, [values, right, custom, files, onServer, onChange]);

  const size = files.reduce((sum, file) => sum + file.size, 0);
  return (
    <>
      <p className="jp-Datarun-facts">
        {names.join(', ')}
        {size > 0 && <> · {bytes(size)}</>}
        {Object.keys(onServer).length > 0 && <> · {trans.__('on the server already')}</>}
        {seen.columns.length > 0 && <> · {trans.__('%1 columns', seen.columns.length)}</>}
      </p>
      <Field label={trans.__('Name')} error={errors.name}>
        {(id, note) => (
          <input
            id={id}
            aria-describedby={note}
            className="jp-mod-styled"
            value={values.name}
            maxLength={60}
            onChange={event => set({ name: event.target.value })}
          />
        )}
      </Field>
      <Field
        label={trans.__('Column to predict')}
        error={errors.target}
        hint={trans.__('The target; submissions never see it for the test rows.')}
      >
        {(id, note) =>
          seen.columns.length > 0 ? (
            <select
              id={id}
              aria-describedby={note}
              className="jp-mod-styled"
              value={values.target}
              onChange={event => set({ target: event.target.value })}
            >
              {seen.columns.map(column => (
                <option key={column}>{column}</option>
              ))}
            </select>
          ) : (
            <input
              id={id}
              aria-describedby={note}
              className="jp-mod-styled"
              value={values.target}
              onChange={event => set({ target: event.target.value })}
            />
          )
        }
      </Field>
      <Field
        label={trans.__('Parts of a submission')}
        error={errors.workflow}
        hint={trans.__('classifier or regressor; also feature_extractor, calibrator.')}
      >
        {(id, note) => (
          <input
            id={id}
            aria-describedby={note}
            className="jp-mod-styled"
            value={values.workflow}
            onChange={event => set({ workflow: event.target.value })}
          />
        )}
      </Field>
      <label className="jp-Datarun-check">
        <input
          type="checkbox"
          checked={values.split}
          onChange={event => set({ split: event.target.checked })}
        />
        {custom
          ? trans.__('Split it with its own prepare_data')
          : trans.__('Split it into train and test')}
      </label>
      {values.split && !custom && (
        <div className="jp-Datarun-pair">
          <Field
            label={trans.__('Test part')}
            error={errors.heldOut}
            hint={trans.__('Share, or number of rows.')}
          >
            {(id, note) => (
              <input
                id={id}
                aria-describedby={note}
                className="jp-mod-styled"
                value={values.heldOut}
                onChange={event => set({ heldOut: event.target.value })}
              />
            )}
          </Field>
          <Field
            label={trans.__('Random state')}
            error={errors.randomState}
            hint={trans.__('The same one gives the same split.')}
          >
            {(id, note) => (
              <input
                id={id}
                aria-describedby={note}
                className="jp-mod-styled"
                value={values.randomState}
                onChange={event => set({ randomState: event.target.value })}
              />
            )}
          </Field>
        </div>
      )}
    </>
  );
}
