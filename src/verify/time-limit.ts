/** Gives a call up after a time of the injected clock. */

import { DictError } from '../dict/errors.ts';
import type { Clock } from '../platform/clock.ts';

/** Rejects with a `DictError` named Timeout after that time; the call's signal is aborted then. */
export async function withTimeLimit<Result>(
  clock: Clock,
  limitMs: number,
  call: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const limit = new AbortController();
  const done = new AbortController();
  const timeout = new DictError('Timeout', 0, `no answer within ${limitMs} ms`);
  const expiry = clock.sleep(limitMs, done.signal).then(
    () => {
      limit.abort(timeout);
      throw timeout;
    },
    // The call came to an end first: nothing has expired.
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([call(limit.signal), expiry]);
  } finally {
    done.abort();
  }
}
