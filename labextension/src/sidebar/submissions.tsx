import { redoIcon, stopIcon } from '@jupyterlab/ui-components';
import * as React from 'react';
import { CommandIDs } from '../commands/ids';
import { NO_FILTER, selectSubmissions, type IFilter, type IRow } from '../model/select';
import { mainScore } from '../submission/scores';
import { useApp, useChoices, useModel } from '../ui/context';
import { score } from '../ui/format';
import { FoldBar, IconButton, StateMark, WordButton } from '../ui/parts';
import { SelectBox, SelectedBar } from '../ui/selected';
import { useSelection } from '../ui/selection';
import { useWindow } from '../ui/windowed';
import { progressWord } from '../ui/words';
import { Filters } from './filters';
import { barredBy } from './health';
import { useOlder } from './search';

const HEIGHTS = { comfortable: 54, compact: 42 } as const;

const SubmissionRow = React.memo(function SubmissionRow(props: {
  row: IRow;
  place: number;
  length: number;
  barred: string | null;
  chosen: boolean;
  onToggle: (id: number, through: boolean) => void;
}): React.ReactElement {
  const { trans, commands, drag } = useApp();
  const { submission, progress, dataset } = props.row;
  const { mark, word } = progressWord(progress.word, trans);
  const id = submission.databoard_s_id;
  const name = submission.name || trans.__('Submission %1', id);
  const best = mainScore(submission);
  const unfinished = progress.word === 'running' || progress.word === 'waiting';
  return (
    <li
      className="jp-Datarun-row jp-Datarun-submission"
      data-id={id}
      aria-posinset={props.place}
      aria-setsize={props.length}
      onMouseDown={event => drag(event.nativeEvent, submission)}
    >
      <SelectBox
        label={trans.__('Select %1', name)}
        checked={props.chosen}
        onToggle={through => props.onToggle(id, through)}
      />
      <button
        type="button"
        className="jp-Datarun-rowMain jp-Datarun-rowButton"
        onClick={() => void commands.execute(CommandIDs.openSubmission, { id })}
      >
        <span className="jp-Datarun-rowTitle">
          <StateMark mark={mark} />
          <b title={name}>{name}</b>
          <small>#{id}</small>
        </span>
        <span className="jp-Datarun-rowFacts">
          <span>
            {progress.word === 'failed'
              ? trans.__('%1 of %2 failed', progress.failed, progress.total)
              : `${word} ${progress.ended}/${progress.total}`}
          </span>
          <span className="jp-Datarun-rowDataset" title={dataset}>
            {dataset}
          </span>
          {best && (
            <span className="jp-Datarun-score" title={best.name.replace('_', ' ')}>
              {score(best.mean)}
            </span>
          )}
        </span>
      </button>
      {unfinished ? (
        <IconButton
          icon={stopIcon}
          label={trans.__('Cancel %1', name)}
          barred={props.barred}
          onClick={() => void commands.execute(CommandIDs.cancel, { submission: id })}
        />
      ) : (
        <IconButton
          icon={redoIcon}
          label={
            progress.failed > 0
              ? trans.__('Run the failed folds of %1 again', name)
              : trans.__('Run %1 again', name)
          }
          barred={props.barred}
          onClick={() =>
            void commands.execute(progress.failed > 0 ? CommandIDs.rerunFailed : CommandIDs.rerun, {
              submission: id
            })
          }
        />
      )}
      <FoldBar progress={progress} />
    </li>
  );
}, sameRow);

type RowProps = {
  row: IRow;
  place: number;
  length: number;
  barred: string | null;
  chosen: boolean;
};

function sameRow(a: RowProps, b: RowProps): boolean {
  return (
    a.row.submission === b.row.submission &&
    a.row.progress.counts === b.row.progress.counts &&
    a.row.progress.word === b.row.progress.word &&
    a.row.dataset === b.row.dataset &&
    a.place === b.place &&
    a.length === b.length &&
    a.barred === b.barred &&
    a.chosen === b.chosen
  );
}

function moveFocus(event: React.KeyboardEvent<HTMLElement>): void {
  const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
  const step = steps[event.key];
  const item = (event.target as HTMLElement).closest('li');
  const next = step > 0 ? item?.nextElementSibling : item?.previousElementSibling;
  const button = step ? next?.querySelector<HTMLElement>('.jp-Datarun-rowButton') : null;
  if (button) {
    event.preventDefault();
    button.focus();
  }
}

/** The submissions: filtered, sorted, and however many there are, only those in sight drawn. */
export function Submissions(): React.ReactElement {
  const { trans, commands } = useApp();
  const state = useModel();
  const { density, onlyMine } = useChoices();
  const [filter, setFilter] = React.useState<IFilter>(NO_FILTER);
  const list = React.useRef<HTMLUListElement>(null);
  const whole = React.useMemo(() => ({ ...filter, onlyMine }), [filter, onlyMine]);
  const rows = React.useMemo(() => selectSubmissions(state, whole), [state, whole]);
  const older = useOlder(whole);
  const height = HEIGHTS[density];
  const { start, end } = useWindow(list, rows.length, height);
  const barred = barredBy(state, trans);
  const ids = React.useMemo(() => rows.map(row => row.submission.databoard_s_id), [rows]);
  const { chosen, toggle, set } = useSelection(ids);
  const several = (command: CommandIDs) => () =>
    void commands.execute(command, { submissions: [...chosen] });

  if (state.submissions.size === 0) {
    return (
      <div className="jp-Datarun-empty">
        <p>
          {trans.__(
            'A submission is a model in Python files. It is trained on every fold of a cross-validation and tested on rows that it never sees. Drop its files here, or begin with a template.'
          )}
        </p>
        <WordButton
          label={trans.__('New submission…')}
          primary
          barred={
            barred ?? (state.datasets.size === 0 ? trans.__('First there must be a dataset') : null)
          }
          onClick={() => void commands.execute(CommandIDs.newSubmission)}
        />
      </div>
    );
  }
  return (
    <>
      <Filters filter={filter} onChange={setFilter} />
      {rows.length === 0 && (
        <div className="jp-Datarun-empty">
          <p aria-live="polite">
            {older.busy
              ? trans.__('Looking through older submissions…')
              : trans.__('No submission is like that.')}
          </p>
          <WordButton label={trans.__('Show all')} onClick={() => setFilter(NO_FILTER)} />
        </div>
      )}
      <SelectedBar
        count={chosen.size}
        actions={[
          { label: trans.__('Cancel'), barred, run: several(CommandIDs.cancelSeveral) },
          { label: trans.__('Run again'), barred, run: several(CommandIDs.rerunSeveral) },
          { label: trans.__('Delete…'), barred, run: several(CommandIDs.deleteSeveral) }
        ]}
        onClear={() => set([])}
      />
      <ul
        ref={list}
        className={`jp-Datarun-list${chosen.size > 0 ? ' jp-mod-selecting' : ''}`}
        onKeyDown={moveFocus}
        style={{ paddingTop: start * height, paddingBottom: (rows.length - end) * height }}
      >
        {rows.slice(start, end).map((row, index) => (
          <SubmissionRow
            key={row.submission.databoard_s_id}
            row={row}
            place={start + index + 1}
            length={rows.length}
            barred={barred}
            chosen={chosen.has(row.submission.databoard_s_id)}
            onToggle={toggle}
          />
        ))}
      </ul>
      {older.more && filter.sort !== 'newest' && (
        <p className="jp-Datarun-hint">
          {trans.__('In order: the %1 submissions that are loaded.', rows.length)}
        </p>
      )}
      {older.more && (
        <WordButton
          label={older.busy ? trans.__('Fetching…') : trans.__('Show older submissions')}
          barred={older.busy ? trans.__('they are being fetched') : barred}
          onClick={older.more}
        />
      )}
    </>
  );
}
