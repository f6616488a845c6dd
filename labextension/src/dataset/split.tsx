import type { Dialog } from '@jupyterlab/apputils';
import * as React from 'react';
import type { Dataset } from '../api/types';
import { AppWidget, useApp, type IApp } from '../ui/context';
import { Field } from '../ui/parts';
import { parseHeldOut, parseSeed } from './numbers';
import type { ISplit } from './uploads';

/** Asks how a dataset is to be split. */
export class SplitForm extends AppWidget implements Dialog.IBodyWidget<ISplit | null> {
  constructor(
    app: IApp,
    private readonly _dataset: Dataset
  ) {
    super(app);
    this.addClass('jp-Datarun-form');
  }

  getValue(): ISplit | null {
    return this._value;
  }

  protected override content(): React.ReactElement {
    return <Form dataset={this._dataset} onChange={value => (this._value = value)} />;
  }

  private _value: ISplit | null = { heldOut: 0.2, randomState: 42 };
}

function Form(props: {
  dataset: Dataset;
  onChange: (value: ISplit | null) => void;
}): React.ReactElement {
  const { dataset, onChange } = props;
  const { trans } = useApp();
  const [heldOut, setHeldOut] = React.useState('0.2');
  const [seed, setSeed] = React.useState('42');
  const share = parseHeldOut(heldOut);
  const randomState = parseSeed(seed);
  React.useEffect(() => {
    onChange(share !== null && randomState !== null ? { heldOut: share, randomState } : null);
  }, [share, randomState, onChange]);
  if (dataset.kind === 'custom') {
    return (
      <p>{trans.__('“%1” splits itself: its prepare_data is run on a runner.', dataset.name)}</p>
    );
  }
  return (
    <div className="jp-Datarun-pair">
      <Field
        label={trans.__('Test part')}
        error={
          share === null ? trans.__('A share like 0.2 or 20%, or a number of rows.') : undefined
        }
        hint={trans.__('Share, or number of rows.')}
      >
        {(id, note) => (
          <input
            id={id}
            aria-describedby={note}
            className="jp-mod-styled"
            value={heldOut}
            onChange={event => setHeldOut(event.target.value)}
          />
        )}
      </Field>
      <Field
        label={trans.__('Random state')}
        error={randomState === null ? trans.__('A whole number from 0 on.') : undefined}
        hint={trans.__('The same one gives the same split.')}
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
  );
}
