import { beforeEach, describe, expect, it } from 'vitest';
import { ApiError } from '../src/api/errors';
import type { ServerMessage } from '../src/api/types';
import { Link, WAIT_MAX, type ISocket } from '../src/model/link';
import type { Connection } from '../src/model/state';

class FakeSocket implements ISocket {
  onopen = null;
  onmessage: ISocket['onmessage'] = null;
  onclose: ISocket['onclose'] = null;
  closed = false;

  constructor(readonly since: number | null) {}

  close(): void {
    this.closed = true;
  }

  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) } as MessageEvent<string>);
  }

  break(code = 1006): void {
    this.onclose?.({ code, reason: '' } as CloseEvent);
  }
}

class World {
  probe: () => Promise<void> = () => Promise.resolve();
  since: number | null = null;
  readonly sockets: FakeSocket[] = [];
  readonly heard: ServerMessage[] = [];
  readonly states: Connection[] = [];
  readonly waits: number[] = [];
  private _waiting: (() => void) | null = null;

  readonly link = new Link({
    probe: () => this.probe(),
    open: since => {
      const socket = new FakeSocket(since);
      this.sockets.push(socket);
      return socket;
    },
    since: () => this.since,
    onMessage: message => this.heard.push(message),
    onChange: connection => {
      if (this.states.at(-1) !== connection) {
        this.states.push(connection);
      }
    },
    later: (callback, ms) => {
      this.waits.push(ms);
      this._waiting = callback;
      return () => (this._waiting = null);
    }
  });

  async connect(): Promise<FakeSocket> {
    this.link.connect();
    await settle();
    return this.last;
  }

  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) {
      throw new Error('no socket was opened');
    }
    return socket;
  }

  get isWaiting(): boolean {
    return this._waiting !== null;
  }

  async pass(): Promise<void> {
    const waiting = this._waiting;
    this._waiting = null;
    waiting?.();
    await settle();
  }
}

function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

const HELLO = { type: 'hello', protocol: 1, version: '1', seq: 5 };

describe('Link', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });

  it('asks for a snapshot first, and after a break only for what it missed', async () => {
    const first = await world.connect();
    expect(first.since).toBeNull();
    first.say(HELLO);
    world.since = 7;
    first.break();
    expect(world.states).toEqual(['live', 'offline']);
    await world.pass();
    expect(world.last.since).toBe(7);
    world.last.say(HELLO);
    expect(world.states.at(-1)).toBe('live');
  });

  it('waits longer and longer, but never too long, and short again once it was heard', async () => {
    world.probe = () => Promise.reject(new ApiError('offline', 'away'));
    world.link.connect();
    for (let n = 0; n < 12; n++) {
      await settle();
      await world.pass();
    }
    const [first, second] = world.waits;
    expect(second).toBeGreaterThan(first);
    expect(Math.max(...world.waits)).toBeLessThanOrEqual(WAIT_MAX * 1.25);
    world.probe = () => Promise.resolve();
    await world.pass();
    world.last.say(HELLO);
    world.last.break();
    expect(world.waits.at(-1)).toBeLessThan(1000);
  });

  it('does not ask a server again that has no datarun, until it is told to', async () => {
    world.probe = () => Promise.reject(new ApiError('missing', 'no such page', 404));
    world.link.connect();
    await settle();
    expect(world.states).toEqual(['missing']);
    expect(world.isWaiting).toBe(false);
    world.probe = () => Promise.resolve();
    await world.connect();
    expect(world.sockets).toHaveLength(1);
  });

  it('stops where it is forbidden, by the probe or by the websocket', async () => {
    const socket = await world.connect();
    socket.break(4403);
    expect(world.states).toEqual(['forbidden']);
    expect(world.isWaiting).toBe(false);
  });

  it('keeps trying when datarun itself cannot start', async () => {
    world.probe = () => Promise.reject(new ApiError('server', 'database away', 503));
    world.link.connect();
    await settle();
    expect(world.states).toEqual(['broken']);
    expect(world.isWaiting).toBe(true);
  });

  it('opens one websocket however often it is told to connect', async () => {
    world.link.connect();
    world.link.connect();
    await settle();
    world.link.connect();
    await settle();
    expect(world.sockets).toHaveLength(1);
  });

  it('comes back soon, without calling it a loss, when the server asks it to start anew', async () => {
    const socket = await world.connect();
    socket.say(HELLO);
    socket.say({ type: 'resync', seq: 3 });
    socket.break(1013);
    expect(world.states).toEqual(['live']);
    expect(world.isWaiting).toBe(true);
  });

  it('is silent after its end', async () => {
    const socket = await world.connect();
    world.link.dispose();
    expect(socket.closed).toBe(true);
    socket.break();
    expect(world.states).toEqual([]);
    world.link.connect();
    await settle();
    expect(world.sockets).toHaveLength(1);
  });
});
