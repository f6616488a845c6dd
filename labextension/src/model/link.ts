import { ApiError, asApiError } from '../api/errors';
import type { ServerMessage } from '../api/types';
import type { Connection } from './state';

/** What the link needs of a websocket; the browser's own has it. */
export interface ISocket {
  onopen: ((event: never) => void) | null;
  onmessage: ((event: MessageEvent<string>) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  close(): void;
}

export interface ILinkOptions {
  /** Asks the server whether it is there; rejects with an `ApiError`, which a websocket cannot. */
  probe: () => Promise<void>;
  /** Opens a websocket; with `since`, only what happened after that event is wanted. */
  open: (since: number | null) => ISocket;
  /** The last event that is known; null when a snapshot is needed. */
  since: () => number | null;
  onMessage: (message: ServerMessage) => void;
  onChange: (connection: Connection, trouble?: ApiError) => void;
  /** Runs a callback after some milliseconds; returns how to call it off. */
  later?: (callback: () => void, ms: number) => () => void;
}

/** Shortest and longest wait before another attempt, in milliseconds. */
export const WAIT_MIN = 500;
export const WAIT_MAX = 15_000;
const FORBIDDEN = 4403;

function browserLater(callback: () => void, ms: number): () => void {
  const timer = setTimeout(callback, ms);
  return () => clearTimeout(timer);
}

/** Keeps a websocket to the server open, and comes back after whatever parts them. */
export class Link {
  constructor(private readonly _options: ILinkOptions) {}

  /** Connect now; while connected or connecting, nothing happens. */
  connect(): void {
    if (this._ended || this._busy || this._socket) {
      return;
    }
    this._calledOff?.();
    this._calledOff = null;
    this._busy = true;
    void this._attempt().finally(() => (this._busy = false));
  }

  /** End for good. */
  dispose(): void {
    this._ended = true;
    this._calledOff?.();
    this._drop();
  }

  get isDisposed(): boolean {
    return this._ended;
  }

  private async _attempt(): Promise<void> {
    try {
      await this._options.probe();
    } catch (reason) {
      this._refused(asApiError(reason));
      return;
    }
    if (!this._ended) {
      this._listen();
    }
  }

  private _listen(): void {
    const socket = this._options.open(this._options.since());
    this._socket = socket;
    let resync = false;
    socket.onmessage = event => {
      const message = JSON.parse(event.data) as ServerMessage;
      this._options.onMessage(message);
      if (message.type === 'hello') {
        this._failures = 0;
      } else if (message.type === 'resync') {
        resync = true;
      } else if (message.type === 'snapshot') {
        // A server that sends the snapshot after its "resync" leaves nothing to do.
        resync = false;
      }
      this._options.onChange('live');
    };
    socket.onclose = event => {
      if (this._socket !== socket) {
        return;
      }
      this._socket = null;
      if (this._ended) {
        return;
      }
      if (event.code === FORBIDDEN) {
        this._refused(new ApiError('forbidden', event.reason || 'You may not watch this server.'));
      } else if (resync) {
        this._again(WAIT_MIN);
      } else {
        this._refused(new ApiError('offline', 'The connection to the server was lost.'));
      }
    };
  }

  private _refused(trouble: ApiError): void {
    if (this._ended) {
      return;
    }
    const { onChange } = this._options;
    switch (trouble.trouble) {
      case 'missing':
      case 'forbidden':
        // Asking again would fill the server's log and change nothing; a person can.
        onChange(trouble.trouble, trouble);
        return;
      case 'offline':
        onChange('offline', trouble);
        break;
      default:
        onChange('broken', trouble);
        break;
    }
    this._failures += 1;
    const wait = Math.min(WAIT_MAX, WAIT_MIN * 2 ** (this._failures - 1));
    // Many panels must not come back in the same instant.
    this._again(wait * (0.75 + Math.random() / 2));
  }

  private _again(ms: number): void {
    const later = this._options.later ?? browserLater;
    this._calledOff?.();
    this._calledOff = later(() => {
      this._calledOff = null;
      this.connect();
    }, ms);
  }

  private _drop(): void {
    const socket = this._socket;
    this._socket = null;
    socket?.close();
  }

  private _socket: ISocket | null = null;
  private _busy = false;
  private _ended = false;
  private _failures = 0;
  private _calledOff: (() => void) | null = null;
}
