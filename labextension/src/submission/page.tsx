import * as React from 'react';
import { asApiError, type ApiError } from '../api/errors';
import type { Fold, Submission } from '../api/types';
import { CommandIDs } from '../commands/ids';
import { datarunIcon } from '../icons';
import { hasEnded, progressOf, type IState } from '../model/state';
import { barredBy } from '../sidebar/health';
import { AppWidget, useApp, useModel, type IApp } from '../ui/context';
import { moment, score } from '../ui/format';
import { FoldBar, Loading, StateWord, TroubleBox, WordButton } from '../ui/parts';
import { Tabs } from '../ui/tabs';
import { explain, progressWord } from '../ui/words';
import { Code } from './code';
import { FoldTable } from './foldtable';
import { FoldView } from './foldview';
import { ScorePlot } from './scoreplot';
import { rank } from './scores';
import { Timeline } from './timeline';

/** Everything about one submission. */
export class SubmissionPage extends AppWidget {
  constructor(
    app: IApp,
    readonly submissionId: number,
    readonly foldId: number | null = null
  ) {
    super(app);
    this.id = `datarun-submission-${submissionId}`;
    this.addClass('jp-Datarun-page');
    this.title.icon = datarunIcon;
    this.title.closable = true;
    this.title.label =
      app.model.state.submissions.get(submissionId)?.name ||
      app.trans.__('Submission %1', submissionId);
    this.node.dataset.submission = String(submissionId);
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', app.trans.__('Submission %1', submissionId));
  }

  protected override content(): React.ReactElement {
    return <Page id={this.submissionId} initial={this.foldId} />;
  }
}

/** The folds of a submission that are known, by their number. */
export function foldsOf(state: IState, submission: number): Fold[] {
  const folds: Fold[] = [];
  for (const fold of state.folds.values()) {
    if (fold.databoard_s === submission) {
      folds.push(fold);
    }
  }
  return folds.sort((a, b) => a.databoard_sf_id - b.databoard_sf_id);
}

/** How long changes are gathered before the folds are read again, in milliseconds. */
const GATHER = 800;
/** How often places in the queue are read again. */
const QUEUE = 5000;

/** Fetch a submission and its folds, and again what events do not say of them. */
function useComplete(id: number): { trouble: ApiError | null; loaded: boolean; again: () => void } {
  const { model } = useApp();
  const state = useModel();
  const [trouble, setTrouble] = React.useState<ApiError | null>(null);
  const [loaded, setLoaded] = React.useState(false);
  const live = state.connection === 'live';
  const load = React.useCallback(async () => {
    try {
      await Promise.all([model.loadSubmission(id), model.loadFolds(id)]);
      setTrouble(null);
      setLoaded(true);
    } catch (reason) {
      setTrouble(asApiError(reason));
    }
  }, [model, id]);

  React.useEffect(() => {
    if (live) {
      void load();
    }
  }, [load, live]);

  const folds = foldsOf(state, id);
  // Measures come with the answer, not with the event: read the folds after some have ended.
  const ends = folds.reduce((sum, fold) => sum + (fold.ended_at ?? 0), 0);
  const first = React.useRef(true);
  React.useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    const timer = setTimeout(() => void load(), GATHER);
    return () => clearTimeout(timer);
  }, [ends, load]);

  const waiting = live && folds.some(fold => fold.state === 'TODO');
  React.useEffect(() => {
    if (!waiting) {
      return;
    }
    const timer = setInterval(() => {
      if (!document.hidden) {
        void load();
      }
    }, QUEUE);
    return () => clearInterval(timer);
  }, [waiting, load]);
  return { trouble, loaded, again: () => void load() };
}

type View = 'folds' | 'timeline' | 'scores' | 'code';

function Page(props: { id: number; initial: number | null }): React.ReactElement {
  const { id } = props;
  const { trans, model } = useApp();
  const state = useModel();
  const { trouble, loaded, again } = useComplete(id);
  const [view, setView] = React.useState<View>('folds');
  const [chosen, choose] = React.useState<number | null>(props.initial);
  const submission = state.submissions.get(id);
  if (!submission) {
    if (trouble) {
      return <TroubleBox trouble={trouble} onRetry={again} />;
    }
    return state.connection === 'live' && loaded ? (
      <p className="jp-Datarun-empty">{trans.__('This submission is gone.')}</p>
    ) : state.connection === 'live' || state.connection === 'connecting' ? (
      <Loading what={trans.__('Loading the submission…')} />
    ) : (
      <div className="jp-Datarun-empty">
        <p>{trans.__('There is no connection to the server.')}</p>
        <WordButton label={trans.__('Try again')} onClick={() => model.connect()} />
      </div>
    );
  }
  const folds = foldsOf(state, id);
  const fold = chosen === null ? undefined : state.folds.get(chosen);
  return (
    <>
      <Head submission={submission} />
      {state.connection !== 'live' && state.connection !== 'connecting' && (
        <p className="jp-Datarun-banner jp-mod-warn" role="status">
          {trans.__('Offline. What you see is from before; it goes on by itself.')}
        </p>
      )}
      {trouble && trouble.trouble !== 'offline' && <TroubleBox trouble={trouble} onRetry={again} />}
      <Failures submission={submission} folds={folds} onShow={choose} />
      <Tabs<View>
        label={trans.__('Views')}
        tabs={[
          ['folds', trans.__('Folds')],
          ['timeline', trans.__('Timeline')],
          ['scores', trans.__('Scores')],
          ['code', trans.__('Code')]
        ]}
        current={view}
        onShow={setView}
      >
        {view === 'folds' && (
          <div className={`jp-Datarun-split${fold ? ' jp-mod-two' : ''}`}>
            <div
              className="jp-Datarun-tableBox"
              tabIndex={0}
              role="group"
              aria-label={trans.__('Folds')}
            >
              {folds.length === 0 && !loaded ? (
                <Loading what={trans.__('Loading the folds…')} />
              ) : (
                <FoldTable folds={folds} selected={chosen} onSelect={choose} />
              )}
            </div>
            {fold && (
              <FoldView key={fold.databoard_sf_id} fold={fold} onClose={() => choose(null)} />
            )}
          </div>
        )}
        {view === 'timeline' && <Timeline folds={folds} />}
        {view === 'scores' && <ScorePlot folds={folds} />}
        {view === 'code' && <Code submission={submission} folds={folds} />}
      </Tabs>
    </>
  );
}

function Head({ submission }: { submission: Submission }): React.ReactElement {
  const { trans, commands } = useApp();
  const state = useModel();
  const id = submission.databoard_s_id;
  const progress = progressOf(state, submission);
  const dataset = state.datasets.get(submission.raw_data ?? -1);
  const barred = barredBy(state, trans);
  const scores = Object.entries(submission.scores).sort(([a], [b]) => rank(a) - rank(b));
  const over = progress.ended === progress.total;
  const underway = trans.__('All folds have ended');
  const run = (command: CommandIDs) => () => void commands.execute(command, { submission: id });
  return (
    <div className="jp-Datarun-pageHead">
      <h2>{submission.name || trans.__('Submission %1', id)}</h2>
      <StateWord {...progressWord(progress.word, trans)} />
      <span className="jp-Datarun-pageProgress">
        <FoldBar progress={progress} />
        <small>{trans.__('%1 of %2 folds', progress.ended, progress.total)}</small>
      </span>
      <div className="jp-Datarun-actions" role="toolbar" aria-label={trans.__('Actions')}>
        <WordButton
          label={trans.__('Cancel')}
          barred={barred ?? (over ? underway : null)}
          onClick={run(CommandIDs.cancel)}
        />
        <WordButton
          label={trans.__('Run failed again')}
          barred={barred ?? (progress.failed === 0 ? trans.__('No fold has failed') : null)}
          onClick={run(CommandIDs.rerunFailed)}
        />
        <WordButton
          label={trans.__('Run all again')}
          barred={barred ?? (progress.ended === 0 ? trans.__('No fold has ended') : null)}
          onClick={run(CommandIDs.rerun)}
        />
        <WordButton
          label={trans.__('Raise priority')}
          barred={barred ?? (over ? underway : null)}
          onClick={run(CommandIDs.raisePriority)}
        />
        <WordButton label={trans.__('Copy as Python')} onClick={run(CommandIDs.copyPython)} />
        <WordButton
          label={trans.__('Delete…')}
          barred={barred}
          onClick={run(CommandIDs.deleteSubmission)}
        />
      </div>
      <p className="jp-Datarun-pageFacts">
        #{id}
        {dataset && (
          <>
            {' · '}
            <button
              type="button"
              className="jp-Datarun-link"
              onClick={() => void commands.execute(CommandIDs.openDataset, { id: dataset.id })}
            >
              {dataset.name}
            </button>
          </>
        )}
        {submission.cv && <> · {submission.cv}</>} · {submission.owner} ·{' '}
        {moment(submission.created)}
      </p>
      <ul className="jp-Datarun-scores" aria-label={trans.__('Scores, mean of the folds')}>
        {scores.map(([name, { mean, std }]) => (
          <li key={name}>
            <small>{name.replace('_', ' ')}</small>
            <b>{score(mean)}</b>
            {std !== null && std !== undefined && <small>± {std.toPrecision(2)}</small>}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Why folds failed, in one place, with the way to the first of each kind. */
function Failures(props: {
  submission: Submission;
  folds: readonly Fold[];
  onShow: (fold: number) => void;
}): React.ReactElement | null {
  const { trans } = useApp();
  const byReason = new Map<string, Fold[]>();
  for (const fold of props.folds) {
    if (fold.reason && fold.reason !== 'CANCELLED' && hasEnded(fold)) {
      byReason.set(fold.reason, [...(byReason.get(fold.reason) ?? []), fold]);
    }
  }
  if (byReason.size === 0) {
    return null;
  }
  return (
    <ul className="jp-Datarun-failures">
      {[...byReason.values()].map(folds => {
        const [first] = folds;
        const { title, remedy } = explain(first.reason ?? 'PLATFORM', trans);
        return (
          <li key={first.reason}>
            <StateWord mark="bad" word={title} />
            <span>
              {first.detail && <q>{first.detail}</q>}
              {first.user_line && (
                <code>
                  {first.user_line.file}:{first.user_line.line} {first.user_line.text}
                </code>
              )}
              <small>{remedy}</small>
            </span>
            <button
              type="button"
              className="jp-Datarun-link"
              onClick={() => props.onShow(first.databoard_sf_id)}
            >
              {folds.length === 1
                ? trans.__('Show fold %1', first.databoard_sf_id)
                : trans.__('Show the first of %1 folds', folds.length)}
            </button>
          </li>
        );
      })}
    </ul>
  );
}
