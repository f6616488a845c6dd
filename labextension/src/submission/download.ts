import type { Api } from '../api/client';
import { unpackPredictions, type IPredictions } from '../api/codec';
import { csv, npz } from './export';

/** Hand bytes to the browser as a file. */
export function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

/** Download a fold's predictions: of the whole training set, and of the test set. */
export async function downloadPredictions(
  api: Api,
  fold: number,
  format: 'npz' | 'csv',
  classes: readonly string[]
): Promise<void> {
  const full = await api.foldFull(fold);
  const arrays: Record<string, IPredictions> = {};
  if (full.full_train_predictions) {
    arrays.train = await unpackPredictions(
      full.full_train_predictions,
      full.full_train_predictions_shape ?? null
    );
  }
  if (full.test_predictions) {
    arrays.test = await unpackPredictions(
      full.test_predictions,
      full.test_predictions_shape ?? null
    );
  }
  const content = format === 'npz' ? (npz(arrays) as BlobPart) : csv(arrays, classes);
  const type = format === 'npz' ? 'application/zip' : 'text/csv';
  save(new Blob([content], { type }), `fold-${fold}-predictions.${format}`);
}
