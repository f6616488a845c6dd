import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

/** Return what `read` gives, and render again after the signal has told of a change. */
export function useExternal<T>(signal: ISignal<unknown, unknown>, read: () => T): T {
  const subscribe = React.useCallback(
    (tell: () => void) => {
      const slot = () => tell();
      signal.connect(slot);
      return () => {
        signal.disconnect(slot);
      };
    },
    [signal]
  );
  return React.useSyncExternalStore(subscribe, read);
}
