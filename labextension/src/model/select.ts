import type { Standing, Submission } from '../api/types';
import { goodness } from '../submission/scores';
import { progressOf, type IProgress, type IState } from './state';

export type SortBy = 'newest' | 'oldest' | 'name' | 'score';

/** Which submissions a person wants to see, and in which order. */
export interface IFilter {
  text: string;
  standing: Standing | '';
  dataset: number | null;
  onlyMine: boolean;
  sort: SortBy;
}

export const NO_FILTER: IFilter = {
  text: '',
  standing: '',
  dataset: null,
  onlyMine: false,
  sort: 'newest'
};

/** A submission with what its row shows. */
export interface IRow {
  submission: Submission;
  progress: IProgress;
  dataset: string;
}

const ORDER: Readonly<Record<SortBy, (a: IRow, b: IRow) => number>> = {
  newest: (a, b) => b.submission.databoard_s_id - a.submission.databoard_s_id,
  oldest: (a, b) => a.submission.databoard_s_id - b.submission.databoard_s_id,
  name: (a, b) => a.submission.name.localeCompare(b.submission.name) || ORDER.newest(a, b),
  score: (a, b) => goodness(b.submission) - goodness(a.submission) || ORDER.newest(a, b)
};

/** The submissions to show, in their order. */
export function selectSubmissions(state: IState, filter: IFilter): IRow[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows: IRow[] = [];
  for (const submission of state.submissions.values()) {
    const dataset = state.datasets.get(submission.raw_data ?? -1)?.name ?? '';
    if (filter.dataset !== null && submission.raw_data !== filter.dataset) {
      continue;
    }
    if (filter.onlyMine && submission.owner !== state.user?.name) {
      continue;
    }
    if (words.length > 0) {
      const id = `#${submission.databoard_s_id}`;
      const text = `${submission.name} ${dataset} ${submission.owner} ${id}`.toLowerCase();
      if (!words.every(word => text.includes(word))) {
        continue;
      }
    }
    const progress = progressOf(state, submission);
    if (filter.standing === '' || filter.standing === progress.word) {
      rows.push({ submission, progress, dataset });
    }
  }
  return rows.sort(ORDER[filter.sort]);
}
