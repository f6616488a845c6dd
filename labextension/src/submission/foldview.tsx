import { closeIcon, downloadIcon, searchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { asApiError, type ApiError } from '../api/errors';
import type { Fold, FoldLog } from '../api/types';
import { CommandIDs } from '../commands/ids';
import { hasEnded, isRunning } from '../model/state';
import { barredBy } from '../sidebar/health';
import { useApp, useChoices, useModel } from '../ui/context';
import { duration } from '../ui/format';
import { IconButton, StateWord, TroubleBox, WordButton } from '../ui/parts';
import { explain, stageWord } from '../ui/words';
import { save } from './download';
import { Lines } from './lines';

/** As much of a log as is shown; the rest can be downloaded. */
const SHOWN = 200_000;

/** What a fold printed: fetched once, then as it is printed. */
function useLog(fold: Fold): { log: FoldLog | null; text: string; trouble: ApiError | null } {
  const { model } = useApp();
  const [log, setLog] = React.useState<FoldLog | null>(null);
  const [text, setText] = React.useState('');
  const [trouble, setTrouble] = React.useState<ApiError | null>(null);
  const { databoard_sf_id: id, attempt, state } = fold;
  const live = useModel().connection === 'live';
  React.useEffect(() => {
    if (!live) {
      return;
    }
    let over = false;
    let waiting = '';
    let frame = 0;
    let fetched = false;
    const show = () => {
      frame = 0;
      const more = waiting;
      waiting = '';
      setText(was => (was + more).slice(-SHOWN));
    };
    const slot = (_: unknown, printed: { databoard_sf_id: number; text: string }) => {
      if (printed.databoard_sf_id === id && fetched) {
        waiting += printed.text;
        frame ||= requestAnimationFrame(show);
      }
    };
    model.printed.connect(slot);
    model.api.log(id, 0).then(
      found => {
        if (!over) {
          fetched = true;
          setLog(found);
          setText(found.log.slice(-SHOWN));
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
      cancelAnimationFrame(frame);
      model.printed.disconnect(slot);
    };
    // The log of another attempt is another log, and at the end comes the traceback.
  }, [model, id, attempt, state, live]);
  return { log, text, trouble };
}

/** One fold: why it failed, its line, its log, and what can be done. */
export function FoldView(props: { fold: Fold; onClose: () => void }): React.ReactElement {
  const { fold } = props;
  const { trans, commands } = useApp();
  const state = useModel();
  const { log, text, trouble } = useLog(fold);
  const barred = barredBy(state, trans);
  const id = fold.databoard_sf_id;
  const run = (command: CommandIDs) => () => void commands.execute(command, { fold: id });
  const ended = hasEnded(fold);
  const tested = fold.state === 'TESTED';
  const noPredictions = tested ? null : trans.__('There are predictions once it is tested');
  return (
    <section className="jp-Datarun-foldView" aria-label={trans.__('Fold %1', id)}>
      <header>
        <h3>{trans.__('Fold %1', id)}</h3>
        <StateWord {...stageWord(fold, trans)} />
        {isRunning(fold) && <Elapsed fold={fold} />}
        <div
          className="jp-Datarun-actions"
          role="toolbar"
          aria-label={trans.__('Actions of the fold')}
        >
          {ended ? (
            <WordButton
              label={trans.__('Run again')}
              barred={barred}
              onClick={run(CommandIDs.rerun)}
            />
          ) : (
            <WordButton
              label={trans.__('Cancel')}
              barred={barred}
              onClick={run(CommandIDs.cancel)}
            />
          )}
          <WordButton
            label={trans.__('npz')}
            icon={downloadIcon}
            barred={barred ?? noPredictions}
            onClick={run(CommandIDs.downloadNpz)}
          />
          <WordButton
            label={trans.__('CSV')}
            icon={downloadIcon}
            barred={barred ?? noPredictions}
            onClick={run(CommandIDs.downloadCsv)}
          />
          <IconButton icon={closeIcon} label={trans.__('Close the fold')} onClick={props.onClose} />
        </div>
      </header>
      {fold.reason && <Failure fold={fold} log={log} />}
      {trouble && <TroubleBox trouble={trouble} />}
      <LogText id={id} text={text} running={isRunning(fold)} loaded={log !== null} />
    </section>
  );
}

function Elapsed({ fold }: { fold: Fold }): React.ReactElement | null {
  const { trans } = useApp();
  const usual = useModel().health?.limits.default;
  const [, tick] = React.useReducer((n: number) => n + 1, 0);
  React.useEffect(() => {
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, []);
  if (!fold.started_at) {
    return null;
  }
  const elapsed = Math.max(0, Math.round(Date.now() / 1000 - fold.started_at));
  const soft_s = fold.limits.soft_s ?? usual?.soft_s;
  return (
    <small className="jp-Datarun-elapsed">
      {soft_s
        ? trans.__('%1 of at most %2', duration(elapsed), duration(soft_s))
        : duration(elapsed)}
    </small>
  );
}

function Failure(props: { fold: Fold; log: FoldLog | null }): React.ReactElement | null {
  const { trans, model } = useApp();
  const { fold, log } = props;
  const [source, setSource] = React.useState<string[] | null>(null);
  const line = log?.user_line ?? fold.user_line ?? null;
  const { databoard_s: submission } = fold;
  React.useEffect(() => {
    let over = false;
    if (line && submission !== null) {
      model.api.submissionFile(submission, line.file).then(
        code => {
          if (!over) {
            setSource(code.split('\n'));
          }
        },
        // The line itself is known; only what stands around it is not.
        () => undefined
      );
    }
    return () => {
      over = true;
    };
  }, [model, submission, line]);
  if (!fold.reason) {
    return null;
  }
  const { title, remedy } = explain(fold.reason, trans);
  return (
    <div className={`jp-Datarun-failure${fold.reason === 'CANCELLED' ? ' jp-mod-off' : ''}`}>
      <p>
        <b>{title}</b>
        {fold.detail && <q>{fold.detail}</q>}
      </p>
      {line && <Lines file={line.file} line={line.line} text={line.text} source={source} />}
      <p>
        <small>{remedy}</small>
      </p>
      {log?.traceback && (
        <details>
          <summary>{trans.__('Traceback')}</summary>
          <pre tabIndex={0} aria-label={trans.__('Traceback')}>
            {log.traceback}
          </pre>
        </details>
      )}
    </div>
  );
}

/** A log: follow or pause, search, download. */
function LogText(props: {
  id: number;
  text: string;
  running: boolean;
  loaded: boolean;
}): React.ReactElement {
  const { trans, settings } = useApp();
  const { followLogs } = useChoices();
  const [search, setSearch] = React.useState('');
  const box = React.useRef<HTMLPreElement>(null);
  const { text } = props;
  React.useLayoutEffect(() => {
    if (followLogs && search === '' && box.current) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  }, [text, followLogs, search]);
  const lines = React.useMemo(() => text.split('\n'), [text]);
  const found = React.useMemo(() => {
    const wanted = search.toLowerCase();
    return wanted === '' ? null : lines.filter(line => line.toLowerCase().includes(wanted));
  }, [lines, search]);
  return (
    <div className="jp-Datarun-log">
      <div className="jp-Datarun-logTools">
        <b>{trans.__('Log')}</b>
        {props.running && <small>{trans.__('live')}</small>}
        <label>
          <input
            type="checkbox"
            checked={followLogs}
            onChange={event => settings.choose('followLogs', event.target.checked)}
          />
          {trans.__('Follow')}
        </label>
        <span className="jp-Datarun-logSearch">
          <searchIcon.react tag="span" width="14px" height="14px" />
          <input
            type="search"
            className="jp-mod-styled"
            aria-label={trans.__('Search the log')}
            placeholder={trans.__('Search')}
            value={search}
            onChange={event => setSearch(event.target.value)}
          />
          {found && <small role="status">{trans._n('%1 line', '%1 lines', found.length)}</small>}
        </span>
        <IconButton
          icon={downloadIcon}
          label={trans.__('Download the log')}
          barred={text === '' ? trans.__('it is empty') : null}
          onClick={() => save(new Blob([text], { type: 'text/plain' }), `fold-${props.id}.log`)}
        />
      </div>
      <pre ref={box} tabIndex={0} role="log" aria-live="off" aria-label={trans.__('Log')}>
        {text === ''
          ? props.loaded
            ? trans.__('It has printed nothing.')
            : trans.__('Loading…')
          : (found ?? lines).join('\n')}
      </pre>
    </div>
  );
}
