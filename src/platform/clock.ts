/**
 * Time as a dependency. Production uses the system's clock; tests and the demo one that runs faster by a factor, so that
 * every wait and every age keeps its ratio to all others.
 */

import { setTimeout as wait } from 'node:timers/promises';

export interface Clock {
  now(): Date;
  /** Resolves after that many milliseconds of this clock; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

async function sleepReal(ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  try {
    await wait(ms, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause;
  }
}

export const systemClock: Clock = {
  now: () => new Date(),
  sleep: sleepReal,
};

/** A clock that starts at that time, the present by default, and runs `factor` times as fast as the system's. */
export function scaledClock(factor: number, startMs: number = Date.now()): Clock {
  return {
    now: () => new Date(startMs + (Date.now() - startMs) * factor),
    sleep: (ms, signal) => sleepReal(ms / factor, signal),
  };
}
