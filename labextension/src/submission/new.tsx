import * as React from 'react';
import { asApiError, type ApiError } from '../api/errors';
import { parseSeed } from '../dataset/numbers';
import { CommandIDs } from '../commands/ids';
import { datarunIcon } from '../icons';
import { barredBy } from '../sidebar/health';
import { AppWidget, useApp, useChoices, useModel, type IApp } from '../ui/context';
import { useDrop } from '../ui/drop';
import { WordButton } from '../ui/parts';
import { asRequest, foldsIn, isSplit, useDraft, type IBeginning } from './draft';
import { DraftFields } from './draftfields';
import { DraftFiles } from './draftfiles';
import { preflight } from './preflight';
import { Checks, failedTryOut, NotTaken } from './tryout';

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

function Page(props: { beginning: IBeginning; onSent: () => void }): React.ReactElement {
  const { trans, commands, model, settings } = useApp();
  const state = useModel();
  const { tryFirst } = useChoices();
  const drafting = useDraft(props.beginning);
  const { draft, setFiles } = drafting;
  const dataset = state.datasets.get(draft.dataset);
  const [shown, setShown] = React.useState('');
  const [trouble, setTrouble] = React.useState<ApiError | null>(null);
  const [sending, setSending] = React.useState(false);

  const take = (given: readonly File[]) => {
    void Promise.all(given.map(async file => [file.name, await file.text()] as const)).then(
      read => {
        setFiles(was => new Map([...was, ...read]));
        setShown(read[0]?.[0] ?? '');
      }
    );
  };
  const drop = useDrop(take);

  const checks = preflight(dataset, draft.files, foldsIn(draft) ?? 2, trans);
  const wrong = checks.find(({ verdict }) => verdict === 'wrong');
  const complete = foldsIn(draft) !== null && parseSeed(draft.seed) !== null;
  const barred =
    barredBy(state, trans) ??
    (sending ? trans.__('It is being sent') : null) ??
    (complete ? null : trans.__('The cross-validation is not complete')) ??
    wrong?.text ??
    null;

  const send = async (tried: boolean) => {
    setSending(true);
    setTrouble(null);
    try {
      const made = await model.api.submit(await asRequest(draft), tried);
      model.store.take({ type: 'submission', submission: made });
      model.store.flush();
      await commands.execute(CommandIDs.openSubmission, { id: made.databoard_s_id });
      props.onSent();
    } catch (reason) {
      const met = asApiError(reason);
      setTrouble(met);
      setShown(was => failedTryOut(met)?.user_line?.file ?? was);
      setSending(false);
    }
  };
  const word = !sending
    ? trans.__('Submit')
    : tryFirst
      ? trans.__('Trying it on a few rows…')
      : trans.__('Sending…');

  return (
    <div className="jp-Datarun-new" {...drop.handlers}>
      <form
        className="jp-Datarun-newForm"
        onSubmit={event => {
          event.preventDefault();
          if (!barred) {
            void send(tryFirst);
          }
        }}
      >
        <h2>{trans.__('New submission')}</h2>
        <DraftFields {...drafting} />
        <section aria-label={trans.__('Before it is sent')}>
          <h3>{trans.__('Before it is sent')}</h3>
          <Checks checks={checks} />
          {dataset && !isSplit(dataset) && (
            <WordButton
              label={trans.__('Split…')}
              onClick={() => void commands.execute(CommandIDs.split, { id: dataset.id })}
            />
          )}
          <label className="jp-Datarun-check">
            <input
              type="checkbox"
              checked={tryFirst}
              onChange={event => settings.choose('tryFirst', event.target.checked)}
            />
            <span>
              {trans.__('Try it on a few rows first')}
              <small>{trans.__('A mistake is shown here at once; nothing is queued.')}</small>
            </span>
          </label>
        </section>
        {trouble && (
          <NotTaken
            trouble={trouble}
            files={draft.files}
            tried={tryFirst}
            onSkip={() => void send(false)}
          />
        )}
        <WordButton label={word} primary barred={barred} onClick={() => void send(tryFirst)} />
      </form>
      <DraftFiles
        files={draft.files}
        shown={shown}
        over={drop.over}
        line={(trouble && failedTryOut(trouble)?.user_line?.line) || undefined}
        onShow={setShown}
        onChange={setFiles}
        onTake={take}
      />
    </div>
  );
}
