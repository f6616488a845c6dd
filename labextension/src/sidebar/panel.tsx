import { addIcon, fileUploadIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { CommandIDs } from '../commands/ids';
import { datarunIcon } from '../icons';
import { AppWidget, useApp, useChoices, useModel, type IApp } from '../ui/context';
import { IconButton } from '../ui/parts';
import { useDrop } from '../ui/drop';
import { Datasets } from './datasets';
import { Announcer, Banner, barredBy, HealthLine, isLive } from './health';
import { Runners } from './runners';
import { Section } from './section';
import { Submissions } from './submissions';

/** The panel at the left: datasets, submissions and runners, live. */
export class Sidebar extends AppWidget {
  constructor(app: IApp) {
    super(app);
    const { trans } = app;
    this.id = 'datarun-panel';
    this.addClass('jp-Datarun-sidebar');
    this.title.icon = datarunIcon;
    this.title.caption = trans.__('datarun: datasets, submissions and runners');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('datarun'));
  }

  protected override content(): React.ReactElement {
    return <Panel />;
  }
}

/** Keep runners and health current while the panel is in sight. */
function useLook(ref: React.RefObject<HTMLElement>): void {
  const { model } = useApp();
  React.useEffect(() => {
    const node = ref.current;
    if (!node) {
      return;
    }
    let look: ReturnType<typeof model.look> | null = null;
    const observer = new IntersectionObserver(entries => {
      const seen = entries.some(entry => entry.isIntersecting);
      if (seen && !look) {
        model.begin();
        look = model.look();
      } else if (!seen && look) {
        look.dispose();
        look = null;
      }
    });
    observer.observe(node);
    return () => {
      observer.disconnect();
      look?.dispose();
    };
  }, [model, ref]);
}

function Panel(): React.ReactElement {
  const { trans, commands, take } = useApp();
  const state = useModel();
  const { density } = useChoices();
  const ref = React.useRef<HTMLDivElement>(null);
  useLook(ref);
  const drop = useDrop(take);
  const barred = barredBy(state, trans);
  return (
    <div
      ref={ref}
      className={`jp-Datarun-panel jp-mod-${density}${drop.over ? ' jp-mod-over' : ''}`}
      {...drop.handlers}
    >
      <div className="jp-Datarun-head">
        <h2>{trans.__('datarun')}</h2>
        <IconButton
          icon={fileUploadIcon}
          label={trans.__('New dataset')}
          barred={barred}
          onClick={() => void commands.execute(CommandIDs.newDataset)}
        />
        <IconButton
          icon={addIcon}
          label={trans.__('New submission')}
          barred={barred}
          onClick={() => void commands.execute(CommandIDs.newSubmission)}
        />
      </div>
      <HealthLine />
      <Banner />
      <Announcer />
      <div className="jp-Datarun-scroll">
        {(isLive(state) || state.seq !== null) && (
          <>
            <Section id="datasets" title={trans.__('Datasets')} count={state.datasets.size}>
              <Datasets />
            </Section>
            <Section
              id="submissions"
              title={trans.__('Submissions')}
              count={state.submissions.size}
              more={state.moreSubmissions !== null}
            >
              <Submissions />
            </Section>
            <Section id="runners" title={trans.__('Runners')} count={state.runners.size}>
              <Runners />
            </Section>
          </>
        )}
      </div>
      {drop.over && (
        <div className="jp-Datarun-dropHint" aria-hidden>
          {trans.__('Drop a CSV file for a dataset, Python files for a submission')}
        </div>
      )}
    </div>
  );
}
