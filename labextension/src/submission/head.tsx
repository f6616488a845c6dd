import * as React from 'react';
import type { Submission } from '../api/types';
import { CommandIDs } from '../commands/ids';
import { progressOf } from '../model/state';
import { barredBy } from '../sidebar/health';
import { useApp, useModel } from '../ui/context';
import { moment, score, spread } from '../ui/format';
import { FoldBar, StateWord, WordButton } from '../ui/parts';
import { progressWord } from '../ui/words';
import { rank } from './scores';

/** What a submission is, how far it is, and what can be done with it. */
export function Head({ submission }: { submission: Submission }): React.ReactElement {
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
            {typeof std === 'number' && <small>± {spread(std, mean ?? 0)}</small>}
          </li>
        ))}
      </ul>
    </div>
  );
}
