import { describe, expect, it } from 'vitest';
import { Api } from '../src/api/client';
import { Uploads, type IMemory } from '../src/dataset/uploads';

/** A server of uploads that can be told to fail. */
class FakeServer {
  received = new Map<string, number>();
  sizes = new Map<string, number>();
  requests: string[] = [];
  /** How many of the next parts get lost on the way. */
  losses = 0;
  /** Answer of all parts, when they are refused. */
  refusal: Response | null = null;
  created: unknown[] = [];
  splits: unknown[] = [];

  readonly send = async (path: string, init: RequestInit): Promise<Response> => {
    this.requests.push(`${init.method} ${path}`);
    const body = typeof init.body === 'string' ? JSON.parse(init.body) : null;
    if (path === 'upload/') {
      const id = `u${this.sizes.size + 1}`;
      this.sizes.set(id, body.size);
      this.received.set(id, 0);
      return this._upload(id);
    }
    if (path.startsWith('upload/')) {
      const id = path.split('/')[1];
      if (!this.sizes.has(id)) {
        return new Response('{"detail": "Not found."}', { status: 404 });
      }
      if (init.method === 'PUT') {
        if (this.refusal) {
          return this.refusal.clone();
        }
        if (this.losses > 0) {
          this.losses -= 1;
          throw new TypeError('connection reset');
        }
        this.received.set(id, (this.received.get(id) ?? 0) + (init.body as Blob).size);
      }
      return this._upload(id);
    }
    if (path === 'rawdata/') {
      this.created.push(body);
      return this._json({ id: 5 });
    }
    this.splits.push(body);
    return this._json({ task_id: 't' });
  };

  private _upload(id: string): Response {
    const [size, offset] = [this.sizes.get(id) ?? 0, this.received.get(id) ?? 0];
    return this._json({ id, name: 'a.csv', size, offset, complete: offset === size });
  }

  private _json(body: unknown): Response {
    return new Response(JSON.stringify(body), { headers: { 'Content-Type': 'application/json' } });
  }
}

class Memory implements IMemory {
  readonly kept = new Map<string, string>();
  get = (key: string) => this.kept.get(key) ?? null;
  set = (key: string, id: string) => void this.kept.set(key, id);
  forget = (key: string) => void this.kept.delete(key);
}

const FILE = new File([new Uint8Array(5 * 1024 * 1024)], 'a.csv', { lastModified: 1 });
const WHAT = {
  dataset: { name: 'a', target_column: 'y', workflow_elements: 'classifier' },
  files: [FILE],
  split: { heldOut: 0.2, randomState: 42 }
};

function over(uploads: Uploads): Promise<void> {
  return new Promise(resolve => {
    uploads.changed.connect(() => {
      if (uploads.items.every(({ state }) => state === 'failed')) {
        resolve();
      }
    });
  });
}

function begin(server: FakeServer, memory = new Memory()): Uploads {
  return new Uploads(new Api(server.send), memory, () => Promise.resolve());
}

describe('Uploads', () => {
  it('sends a file in parts, creates the dataset, and has it split', async () => {
    const server = new FakeServer();
    const uploads = begin(server);
    const seen: number[] = [];
    uploads.changed.connect(() => seen.push(uploads.items[0]?.sent ?? -1));
    const done = over(uploads);
    uploads.start(WHAT);
    await done;
    await new Promise(resolve => setImmediate(resolve));
    expect(server.requests.filter(line => line.startsWith('PUT'))).toHaveLength(3);
    expect(server.created).toEqual([{ ...WHAT.dataset, uploads: { 'a.csv': 'u1' } }]);
    expect(server.splits).toEqual([{ raw_data_id: 5, held_out_test: 0.2, random_state: 42 }]);
    expect([...seen].sort((a, b) => a - b).filter(n => n >= 0)).toEqual(seen.filter(n => n >= 0));
  });

  it('goes on where it was after parts were lost', async () => {
    const server = new FakeServer();
    server.losses = 2;
    const uploads = begin(server);
    const done = over(uploads);
    uploads.start(WHAT);
    await done;
    expect(server.received.get('u1')).toBe(FILE.size);
    expect(server.created).toHaveLength(1);
  });

  it('shows why it failed, and resumes the same upload when asked', async () => {
    const server = new FakeServer();
    server.refusal = new Response('{"detail": "The server\'s disk is full."}', { status: 413 });
    const uploads = begin(server);
    let done = over(uploads);
    uploads.start(WHAT);
    await done;
    expect(uploads.items[0]).toMatchObject({
      state: 'failed',
      trouble: { message: "The server's disk is full." }
    });
    server.refusal = null;
    done = over(uploads);
    uploads.resume(uploads.items[0].id);
    await done;
    expect(server.sizes.size).toBe(1);
    expect(server.created).toHaveLength(1);
  });

  it('takes up an upload of before, as after a reload', async () => {
    const server = new FakeServer();
    server.sizes.set('u1', FILE.size);
    server.received.set('u1', 3 * 1024 * 1024);
    const memory = new Memory();
    memory.set(`datarun:upload:a.csv:${FILE.size}:1`, 'u1');
    const uploads = begin(server, memory);
    const done = over(uploads);
    uploads.start(WHAT);
    await done;
    expect(server.requests.filter(line => line.startsWith('PUT'))).toHaveLength(1);
    expect(memory.kept.size).toBe(0);
  });

  it('begins anew when the server has forgotten the upload', async () => {
    const server = new FakeServer();
    const memory = new Memory();
    memory.set(`datarun:upload:a.csv:${FILE.size}:1`, 'gone');
    const uploads = begin(server, memory);
    const done = over(uploads);
    uploads.start(WHAT);
    await done;
    expect(server.created).toHaveLength(1);
  });

  it('deletes what the server has when it is given up', async () => {
    const server = new FakeServer();
    server.refusal = new Response('{"detail": "no"}', { status: 400 });
    const uploads = begin(server);
    const done = over(uploads);
    uploads.start(WHAT);
    await done;
    uploads.cancel(uploads.items[0].id);
    expect(uploads.items).toEqual([]);
    await new Promise(resolve => setImmediate(resolve));
    expect(server.requests.at(-1)).toBe('DELETE upload/u1/');
  });
});
