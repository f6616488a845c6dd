import { describe, expect, it } from 'vitest';
import { Api } from '../src/api/client';
import { ApiError, errorOf } from '../src/api/errors';

function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/json', ...headers }
  });
}

describe('errors', () => {
  it('are told in the words of the server', async () => {
    const error = await errorOf(json({ detail: 'Fold 3 has ended.' }, 409));
    expect([error.trouble, error.message, error.status]).toEqual([
      'conflict',
      'Fold 3 has ended.',
      409
    ]);
  });

  it('keep the sentence of each field', async () => {
    const error = await errorOf(json({ name: ['Taken.', 'Long.'], cv: ['Bad.'] }, 400));
    expect(error.fields).toEqual({ name: 'Taken. Long.', cv: 'Bad.' });
    expect(error.trouble).toBe('invalid');
  });

  it('tell a thing that is gone from a server without datarun', async () => {
    expect((await errorOf(json({ detail: 'Not found.' }, 404))).trouble).toBe('notfound');
    expect((await errorOf(new Response('<html>', { status: 404 }))).trouble).toBe('missing');
    expect((await errorOf(json({ message: 'Not Found', reason: null }, 404))).trouble).toBe(
      'missing'
    );
  });

  it('say which may pass by themselves', () => {
    expect(new ApiError('server', '', 503).transient).toBe(true);
    expect(new ApiError('offline', '').transient).toBe(true);
    expect(new ApiError('invalid', '', 400).transient).toBe(false);
  });
});

describe('Api', () => {
  it('calls a server that does not answer offline', async () => {
    const api = new Api(() => Promise.reject(new TypeError('fetch failed')));
    await expect(api.me()).rejects.toMatchObject({ trouble: 'offline' });
  });

  it('takes a page that is no JSON for a server without datarun', async () => {
    const api = new Api(() =>
      Promise.resolve(new Response('<html>login', { headers: { 'Content-Type': 'text/html' } }))
    );
    await expect(api.me()).rejects.toMatchObject({ trouble: 'missing' });
  });

  it('asks for folds page by page, by the cursor of the page before', async () => {
    const asked: string[] = [];
    const api = new Api(path => {
      asked.push(path);
      return Promise.resolve(json([], 200, asked.length === 1 ? { 'X-Next-Cursor': '17' } : {}));
    });
    const { next } = await api.folds({ submission: 4, limit: 10 });
    expect(next).toBe('17');
    expect((await api.folds({ submission: 4, limit: 10, cursor: next ?? '' })).next).toBeNull();
    expect(asked[1]).toBe('submissionfold/?submission=4&limit=10&cursor=17&view=summary');
  });

  it('has the server look for what a filter lets through', async () => {
    const asked: string[] = [];
    const api = new Api(path => {
      asked.push(path);
      return Promise.resolve(json([], 200, { 'X-Next-Cursor': '5' }));
    });
    await api.submissions({ limit: 100, text: 'a b&c', raw_data: 2, owner: undefined });
    expect(asked).toEqual(['submission/?limit=100&text=a+b%26c&raw_data=2&order=-id']);
  });

  it('sends JSON, and names of files so that no name leads elsewhere', async () => {
    const sent: [string, RequestInit][] = [];
    const api = new Api((path, init) => {
      sent.push([path, init]);
      return Promise.resolve(json({ cancelled: 2 }));
    });
    await api.cancelSubmission(3);
    await api.submissionFile(3, '../a b.py');
    expect(sent[0][1]).toMatchObject({ method: 'POST', body: '{}' });
    expect(sent[1][0]).toBe('submission/3/file/..%2Fa%20b.py/');
  });
});
