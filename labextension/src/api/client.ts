import { ApiError, errorOf } from './errors';
import type {
  Dataset,
  Fold,
  FoldFull,
  FoldLog,
  Health,
  NewDataset,
  NewSubmission,
  Preview,
  Priority,
  Runner,
  Standing,
  Submission,
  Upload,
  User
} from './types';

/** Sends a request to a path below `runapp/`; rejects when the server cannot be reached. */
export type Send = (path: string, init: RequestInit) => Promise<Response>;

type Query = Readonly<Record<string, string | number | undefined>>;

/** A part of a long list, and where the next one begins. */
export interface IPage<T> {
  items: T[];
  next: string | null;
}

function withQuery(path: string, query: Query): string {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) {
      given.set(name, String(value));
    }
  }
  const text = given.toString();
  return text ? `${path}?${text}` : path;
}

/** datarun's REST interface: one method for each thing that can be asked of the server. */
export class Api {
  constructor(private readonly _send: Send) {}

  me(): Promise<User> {
    return this._json('GET', 'user/me/');
  }

  health(): Promise<Health> {
    return this._json('GET', 'health/');
  }

  runners(): Promise<Runner[]> {
    return this._json('GET', 'runner/');
  }

  dataset(id: number): Promise<Dataset> {
    return this._json('GET', `rawdata/${id}/`);
  }

  createDataset(body: NewDataset): Promise<{ id: number }> {
    return this._json('POST', 'rawdata/', body);
  }

  deleteDataset(id: number): Promise<void> {
    return this._nothing('DELETE', `rawdata/${id}/`);
  }

  preview(id: number, rows: number): Promise<Preview> {
    return this._json('GET', withQuery(`rawdata/${id}/preview/`, { rows }));
  }

  split(id: number, heldOut: number, randomState: number): Promise<{ task_id: string }> {
    const body = { raw_data_id: id, held_out_test: heldOut, random_state: randomState };
    return this._json('POST', 'rawdata/split/', body);
  }

  customSplit(id: number): Promise<{ task_id: string }> {
    return this._json('POST', 'rawdata/customsplit/', { raw_data_id: id });
  }

  submission(id: number): Promise<Submission> {
    return this._json('GET', `submission/${id}/`);
  }

  submissions(query: {
    limit: number;
    cursor?: string;
    text?: string;
    owner?: string;
    standing?: Standing;
    raw_data?: number;
  }): Promise<IPage<Submission>> {
    return this._page(withQuery('submission/', { ...query, order: '-id' }));
  }

  /** Send a submission; with `preflight`, a runner tries it first, and one that fails is not kept. */
  submit(body: NewSubmission, preflight = false): Promise<Submission> {
    return this._json('POST', preflight ? 'submission/?preflight=1' : 'submission/', body);
  }

  deleteSubmission(id: number): Promise<void> {
    return this._nothing('DELETE', `submission/${id}/`);
  }

  async submissionFile(id: number, name: string): Promise<string> {
    const path = `submission/${id}/file/${encodeURIComponent(name)}/`;
    return (await this._ask('GET', path)).text();
  }

  cancelSubmission(id: number): Promise<{ cancelled: number }> {
    return this._json('POST', `submission/${id}/cancel/`, {});
  }

  rerunSubmission(id: number, only: 'failed' | 'all'): Promise<{ rerun: number }> {
    return this._json('POST', `submission/${id}/rerun/`, { only });
  }

  prioritiseSubmission(id: number, priority: Priority): Promise<unknown> {
    return this._json('POST', `submission/${id}/priority/`, { priority });
  }

  /** One page of a submission's folds. */
  folds(query: { submission: number; limit: number; cursor?: string }): Promise<IPage<Fold>> {
    return this._page(withQuery('submissionfold/', { ...query, view: 'summary' }));
  }

  fold(id: number): Promise<Fold> {
    return this._json('GET', `submissionfold/${id}/?view=summary`);
  }

  foldFull(id: number): Promise<FoldFull> {
    return this._json('GET', `submissionfold/${id}/?view=full`);
  }

  cancelFold(id: number): Promise<Fold> {
    return this._json('POST', `submissionfold/${id}/cancel/`, {});
  }

  rerunFold(id: number): Promise<Fold> {
    return this._json('POST', `submissionfold/${id}/rerun/`, {});
  }

  prioritiseFold(id: number, priority: Priority): Promise<Fold> {
    return this._json('POST', `submissionfold/${id}/priority/`, { priority });
  }

  log(id: number, since: number): Promise<FoldLog> {
    return this._json('GET', withQuery(`submissionfold/${id}/log/`, { since }));
  }

  createUpload(name: string, size: number): Promise<Upload> {
    return this._json('POST', 'upload/', { name, size });
  }

  upload(id: string): Promise<Upload> {
    return this._json('GET', `upload/${id}/`);
  }

  async sendPart(id: string, offset: number, part: Blob, signal: AbortSignal): Promise<Upload> {
    const response = await this._ask('PUT', withQuery(`upload/${id}/`, { offset }), {
      body: part,
      headers: { 'Content-Type': 'application/octet-stream' },
      signal
    });
    return response.json() as Promise<Upload>;
  }

  deleteUpload(id: string): Promise<void> {
    return this._nothing('DELETE', `upload/${id}/`);
  }

  private async _ask(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      response = await this._send(path, { ...init, method });
    } catch {
      if (init.signal?.aborted) {
        throw new DOMException('Cancelled', 'AbortError');
      }
      throw new ApiError('offline', 'The server does not answer.');
    }
    if (!response.ok) {
      throw await errorOf(response);
    }
    return response;
  }

  private async _json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const init =
      body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } };
    const response = await this._ask(method, path, init);
    if (!(response.headers.get('Content-Type') ?? '').includes('json')) {
      // A server without the extension may answer with a page of its own, as for a lost login.
      throw new ApiError('missing', 'The answer is not from datarun.', response.status);
    }
    return response.json() as Promise<T>;
  }

  private async _nothing(method: string, path: string): Promise<void> {
    await this._ask(method, path);
  }

  private async _page<T>(path: string): Promise<IPage<T>> {
    const response = await this._ask('GET', path);
    const items = (await response.json()) as T[];
    return { items, next: response.headers.get('X-Next-Cursor') };
  }
}
