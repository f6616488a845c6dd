import * as React from 'react';
import type { Fold } from '../api/types';
import { CommandIDs } from '../commands/ids';
import { barredBy } from '../sidebar/health';
import { useApp, useChoices, useModel, type IApp } from '../ui/context';
import { bytes, duration, score } from '../ui/format';
import { StateMark } from '../ui/parts';
import { SelectBox, SelectedBar } from '../ui/selected';
import { useSelection, type ISelection } from '../ui/selection';
import { Table, type IColumn } from '../ui/table';
import { stageWord } from '../ui/words';
import { rank } from './scores';

const ORDER = [
  'RUNNING',
  'TRAINED',
  'VALIDATED',
  'DISPATCHED',
  'QUEUED',
  'WAITING',
  'ERROR',
  'TESTED'
];

/** CPU seconds of all phases. */
export function cpuOf(fold: Fold): number {
  return (fold.train_cpu_time ?? 0) + (fold.validation_cpu_time ?? 0) + (fold.test_cpu_time ?? 0);
}

/** Peak memory of all phases, in bytes. */
export function memoryOf(fold: Fold): number {
  const { train_memory, validation_memory, test_memory } = fold;
  return 1000 * Math.max(train_memory ?? 0, validation_memory ?? 0, test_memory ?? 0);
}

function waits(fold: Fold, trans: IApp['trans']): string {
  if (fold.state !== 'TODO' || !fold.position) {
    return '';
  }
  return fold.eta_s
    ? trans.__('place %1, about %2', fold.position, duration(Math.round(fold.eta_s)))
    : trans.__('place %1', fold.position);
}

function columnsOf(
  folds: readonly Fold[],
  trans: IApp['trans'],
  open: (id: number) => void
): IColumn<Fold>[] {
  const time = (name: 'train_time' | 'validation_time' | 'test_time', title: string) => ({
    id: name,
    title,
    number: true,
    cell: (fold: Fold) => (fold[name] ? duration(fold[name]) : ''),
    by: (fold: Fold) => fold[name] ?? 0
  });
  const scoreNames = [...new Set(folds.flatMap(fold => Object.keys(fold.scores)))].sort(
    (a, b) => rank(a) - rank(b)
  );
  return [
    {
      id: 'fold',
      title: trans.__('Fold'),
      by: fold => fold.databoard_sf_id,
      cell: fold => (
        <button
          type="button"
          className="jp-Datarun-rowButton jp-Datarun-link"
          onClick={() => open(fold.databoard_sf_id)}
        >
          {fold.databoard_sf_id}
        </button>
      )
    },
    {
      id: 'state',
      title: trans.__('State'),
      by: fold => ORDER.indexOf(fold.stage),
      cell: fold => {
        const { mark, word } = stageWord(fold, trans);
        return (
          <span className={`jp-Datarun-state jp-Datarun-state-${mark}`} title={fold.detail}>
            <StateMark mark={mark} />
            <span>{word}</span>
            <small>{waits(fold, trans)}</small>
          </span>
        );
      }
    },
    {
      id: 'runner',
      title: trans.__('Runner'),
      by: fold => fold.runner ?? '',
      cell: fold => fold.runner
    },
    time('train_time', trans.__('Train')),
    time('validation_time', trans.__('Validation')),
    time('test_time', trans.__('Test')),
    {
      id: 'cpu',
      title: trans.__('CPU'),
      number: true,
      by: cpuOf,
      cell: fold => (cpuOf(fold) ? duration(cpuOf(fold)) : '')
    },
    {
      id: 'memory',
      title: trans.__('Peak memory'),
      number: true,
      by: memoryOf,
      cell: fold => (memoryOf(fold) ? bytes(memoryOf(fold)) : '')
    },
    ...scoreNames.map(name => ({
      id: name,
      title: name.replace('_', ' '),
      number: true,
      by: (fold: Fold) => fold.scores[name] ?? -Infinity,
      cell: (fold: Fold) => score(fold.scores[name])
    })),
    {
      id: 'attempt',
      title: trans.__('Attempt'),
      number: true,
      by: fold => fold.attempt,
      cell: fold => fold.attempt || ''
    },
    {
      id: 'priority',
      title: trans.__('Priority'),
      by: fold => fold.priority ?? 'L',
      cell: fold => (fold.priority === 'H' ? trans.__('High') : trans.__('Normal'))
    }
  ];
}

const HEIGHTS = { comfortable: 30, compact: 24 } as const;

/** The column of boxes that choose folds. */
function selectColumn(
  folds: readonly Fold[],
  { chosen, toggle, set }: ISelection,
  trans: IApp['trans']
): IColumn<Fold> {
  const all = folds.length > 0 && chosen.size === folds.length;
  return {
    id: 'select',
    title: trans.__('Select'),
    head: (
      <SelectBox
        label={trans.__('Select all folds')}
        checked={all}
        onToggle={() => set(all ? [] : folds.map(foldId))}
      />
    ),
    cell: fold => (
      <SelectBox
        label={trans.__('Select fold %1', foldId(fold))}
        checked={chosen.has(foldId(fold))}
        onToggle={through => toggle(foldId(fold), through)}
      />
    )
  };
}

/** The folds of a submission, sorted by whatever heading is pressed. */
export function FoldTable(props: {
  folds: readonly Fold[];
  selected: number | null;
  onSelect: (fold: number) => void;
}): React.ReactElement {
  const { trans, commands } = useApp();
  const { density } = useChoices();
  const barred = barredBy(useModel(), trans);
  const { folds, onSelect } = props;
  const ids = React.useMemo(() => folds.map(foldId), [folds]);
  const selection = useSelection(ids);
  const facts = React.useMemo(() => columnsOf(folds, trans, onSelect), [folds, trans, onSelect]);
  const columns = React.useMemo(
    () => [selectColumn(folds, selection, trans), ...facts],
    [folds, selection, trans, facts]
  );
  const several = (command: CommandIDs) => () =>
    void commands.execute(command, { folds: [...selection.chosen] });
  return (
    <>
      <SelectedBar
        count={selection.chosen.size}
        actions={[
          { label: trans.__('Cancel'), barred, run: several(CommandIDs.cancelSeveral) },
          { label: trans.__('Run again'), barred, run: several(CommandIDs.rerunSeveral) }
        ]}
        onClear={() => selection.set([])}
      />
      <Table
        label={trans.__('Folds')}
        columns={columns}
        rows={folds}
        keyOf={foldId}
        rowHeight={HEIGHTS[density]}
        rowClass="jp-Datarun-fold"
        selected={props.selected}
        onSelect={fold => onSelect(fold.databoard_sf_id)}
      />
    </>
  );
}

function foldId(fold: Fold): number {
  return fold.databoard_sf_id;
}
