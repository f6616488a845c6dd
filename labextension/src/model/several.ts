import { asApiError } from '../api/errors';

/** Requests that are under way at once; the server and others on it have more to do. */
const AT_ONCE = 4;

/** What happened to several things. */
export interface IOutcome {
  done: number;
  /** Why others were left as they are; the reasons, each once. */
  reasons: readonly string[];
  left: number;
}

/** Do something to each of several things; one that fails keeps no other from being done. */
export async function toEach(
  ids: readonly number[],
  work: (id: number) => Promise<unknown>
): Promise<IOutcome> {
  const rest = [...ids];
  const reasons = new Set<string>();
  let done = 0;
  const lane = async () => {
    for (let id = rest.shift(); id !== undefined; id = rest.shift()) {
      try {
        await work(id);
        done += 1;
      } catch (reason) {
        reasons.add(asApiError(reason).message);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, lane));
  return { done, reasons: [...reasons], left: ids.length - done };
}
