import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { PROTOCOL } from '../api/types';
import { progressOf, type IState } from '../model/state';
import { useApp, useModel } from '../ui/context';
import { duration } from '../ui/format';
import { Loading, StateMark, WordButton } from '../ui/parts';
import type { Mark } from '../ui/words';

/** What is typed where the server runs; no text to translate. */
const ENABLE = 'jupyter server extension enable datarun_ext';

/** Whether the server can be asked for something now. */
export function isLive(state: IState): boolean {
  return state.connection === 'live';
}

/** Whether something can be changed now, by this person. */
export function isUsable(state: IState): boolean {
  return isLive(state) && state.mayWrite;
}

/** Why an action cannot be asked for now; null when it can. */
export function barredBy(state: IState, trans: TranslationBundle): string | null {
  switch (state.connection) {
    case 'live':
      return state.mayWrite ? null : trans.__('you may look at datarun here, but change nothing');
    case 'forbidden':
      return trans.__('you may not use datarun on this server');
    case 'missing':
      return trans.__('this server has no datarun');
    default:
      return trans.__('there is no connection to the server');
  }
}

interface ILine {
  mark: Mark;
  text: string;
  remedy?: string;
}

function lines(state: IState, trans: TranslationBundle): ILine[] {
  const { health } = state;
  if (!health) {
    return [{ mark: 'wait', text: trans.__('Connected') }];
  }
  if (health.problems.length > 0) {
    return health.problems.map(({ message, remedy }) => ({
      mark: 'bad' as const,
      text: message,
      remedy
    }));
  }
  if (health.status === 'starting' || health.slots === 0) {
    return [{ mark: 'run', text: trans.__('Runners are starting') }];
  }
  const text = trans.__('%1 of %2 slots busy, %3 queued', health.busy, health.slots, health.queued);
  return [{ mark: 'good', text }];
}

/** Whether folds can run now, in one line; what to do when they cannot. */
export function HealthLine(): React.ReactElement | null {
  const { trans } = useApp();
  const state = useModel();
  if (state.connection !== 'live') {
    return null;
  }
  return (
    <div className="jp-Datarun-health" role="group" aria-label={trans.__('Health')}>
      {lines(state, trans).map(({ mark, text, remedy }) => (
        <p key={text} className={`jp-mod-${mark}`}>
          <StateMark mark={mark} />
          <span>
            {text}
            {remedy && <small>{remedy}</small>}
          </span>
        </p>
      ))}
    </div>
  );
}

/** Return the seconds since a moment, every second anew; null when there is no moment. */
function useAge(since: number | null): number | null {
  const [, tick] = React.useReducer((n: number) => n + 1, 0);
  React.useEffect(() => {
    if (since === null) {
      return;
    }
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, [since]);
  return since === null ? null : Math.max(0, Math.round((Date.now() - since) / 1000));
}

/** What stands between the person and the server, and the way out. */
export function Banner(): React.ReactElement | null {
  const { trans, model } = useApp();
  const state = useModel();
  const age = useAge(state.lostAt);
  const retry = <WordButton label={trans.__('Try again now')} onClick={() => model.connect()} />;
  switch (state.connection) {
    case 'connecting':
      return <Loading what={trans.__('Connecting to datarun…')} />;
    case 'missing':
      return (
        <div className="jp-Datarun-banner" role="alert">
          <h3>{trans.__('This Jupyter server has no datarun')}</h3>
          <p>
            {trans.__(
              'The panel is installed, but the server extension is not enabled where the server runs. Enable it and restart the server:'
            )}
          </p>
          <code>{ENABLE}</code>
          {retry}
        </div>
      );
    case 'forbidden':
      return (
        <div className="jp-Datarun-banner" role="alert">
          <h3>{trans.__('You may not use datarun here')}</h3>
          <p>{state.trouble?.message}</p>
          <p>{trans.__('Ask the operator of this server for access, or log in again.')}</p>
          {retry}
        </div>
      );
    case 'broken':
      return (
        <div className="jp-Datarun-banner" role="alert">
          <h3>{trans.__('datarun has a problem')}</h3>
          <p>
            {state.trouble?.message}{' '}
            {state.trouble?.status ? trans.__('(code %1)', state.trouble.status) : ''}
          </p>
          {retry}
        </div>
      );
    case 'offline':
      return (
        <div className="jp-Datarun-banner jp-mod-warn" role="status">
          <p>
            <StateMark mark="off" />
            {state.seq === null
              ? trans.__('The server does not answer. The panel keeps trying.')
              : trans.__('Offline. What you see is from before; the panel goes on by itself.')}
          </p>
          {age !== null && (
            <p aria-hidden>
              <small>{trans.__('Last seen %1 ago', duration(Math.max(age, 1)))}</small>
            </p>
          )}
          {retry}
        </div>
      );
    case 'live':
      return <Notes />;
  }
}

/** What is not quite as it should be on a server that works. */
function Notes(): React.ReactElement {
  const { trans } = useApp();
  const { mayWrite, protocol, version } = useModel();
  const notes: string[] = [];
  if (protocol !== null && protocol !== PROTOCOL) {
    const remedy =
      protocol < PROTOCOL
        ? trans.__('Update datarun on the server and restart it.')
        : trans.__('Reload the page; if this stays, update datarun where JupyterLab runs.');
    notes.push(
      trans.__(
        'The server (version %1) speaks protocol %2, this panel %3: some things may not show. %4',
        version,
        protocol,
        PROTOCOL,
        remedy
      )
    );
  }
  if (!mayWrite) {
    notes.push(
      trans.__(
        'You may look at datarun here, but change nothing. Ask the operator of this server for the right to write “datarun”.'
      )
    );
  }
  return (
    <>
      {notes.map(note => (
        <div key={note} className="jp-Datarun-banner jp-mod-warn" role="status">
          <p>
            <StateMark mark="off" />
            <span>{note}</span>
          </p>
        </div>
      ))}
    </>
  );
}

const ANNOUNCE_EVERY = 5000;

/** Tells those who do not see the panel how things go, but not more often than one can listen. */
export function Announcer(): React.ReactElement {
  const { trans } = useApp();
  const state = useModel();
  const [said, say] = React.useState('');
  const latest = React.useRef(state);
  latest.current = state;
  React.useEffect(() => {
    const timer = setInterval(() => {
      const now = latest.current;
      let running = 0;
      let failed = 0;
      for (const submission of now.submissions.values()) {
        const { word } = progressOf(now, submission);
        running += word === 'running' || word === 'waiting' ? 1 : 0;
        failed += word === 'failed' ? 1 : 0;
      }
      if (now.connection === 'live') {
        say(trans.__('%1 submissions underway, %2 failed', running, failed));
      }
    }, ANNOUNCE_EVERY);
    return () => clearInterval(timer);
  }, [trans]);
  return (
    <div className="jp-Datarun-hearOnly" role="status" aria-live="polite">
      {said}
    </div>
  );
}
