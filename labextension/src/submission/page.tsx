import * as React from 'react';
import { datarunIcon } from '../icons';
import { AppWidget, useApp, useModel, type IApp } from '../ui/context';
import { Loading, TroubleBox, WordButton } from '../ui/parts';
import { Tabs } from '../ui/tabs';
import { Code } from './code';
import { foldsOf, useComplete } from './complete';
import { Failures } from './failures';
import { FoldTable } from './foldtable';
import { FoldView } from './foldview';
import { Head } from './head';
import { ScorePlot } from './scoreplot';
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
      <Failures folds={folds} onShow={choose} />
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
