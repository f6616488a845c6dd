import { Signal, type ISignal } from '@lumino/signaling';
import type { Message } from './messages';
import { reduce } from './reduce';
import { EMPTY, type IState } from './state';

/** Calls back once, soon: a browser's animation frame, or whatever a test gives instead. */
export type Schedule = (callback: () => void) => void;

/** As often as the screen is drawn; a hidden page, which has no frames, still gets on. */
export function onFrame(callback: () => void): void {
  if (document.hidden) {
    setTimeout(callback, 250);
  } else {
    requestAnimationFrame(callback);
  }
}

/** Holds the state; what happens in one frame is reduced, and told, at once. */
export class Store {
  constructor(private readonly _schedule: Schedule = onFrame) {}

  /** Emitted after the state has changed, at most once per frame. */
  get changed(): ISignal<this, IState> {
    return this._changed;
  }

  get state(): IState {
    return this._state;
  }

  /** Take in messages, in their order. */
  take(...messages: readonly Message[]): void {
    this._waiting.push(...messages);
    if (!this._scheduled) {
      this._scheduled = true;
      this._schedule(() => this.flush());
    }
  }

  /** Take in at once what waits for the next frame. */
  flush(): void {
    this._scheduled = false;
    const messages = this._waiting.splice(0);
    if (messages.length === 0) {
      return;
    }
    const next = reduce(this._state, messages);
    if (next !== this._state) {
      this._state = next;
      this._changed.emit(next);
    }
  }

  private _state: IState = EMPTY;
  private _waiting: Message[] = [];
  private _scheduled = false;
  private readonly _changed = new Signal<this, IState>(this);
}
