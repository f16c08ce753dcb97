/**
 * The demo's clock: it begins some time ago and runs fast, so that minutes of waiting take seconds and no timestamp lies in the
 * future. When the story is told it is set to the present, for the commands that are tried on what the demo leaves.
 */

import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../platform/clock.ts';

export interface StoryClock extends Clock {
  /** How many of its seconds one second takes. */
  readonly scale: number;
  /** From now on it is the system's clock. Nothing may be sleeping on it. */
  catchUp(): void;
}

/** Begins `headStartMs` before the present; it must not be needed for longer than it takes to catch up with it. */
export function storyClock(scale: number, headStartMs: number): StoryClock {
  const begunMs = Date.now();
  let caughtUp = false;
  return {
    scale,
    now: () => (caughtUp ? new Date() : new Date(begunMs - headStartMs + (Date.now() - begunMs) * scale)),
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      try {
        await wait(caughtUp ? ms : ms / scale, undefined, signal === undefined ? {} : { signal });
      } catch (cause) {
        signal?.throwIfAborted();
        throw cause;
      }
    },
    catchUp: () => {
      caughtUp = true;
    },
  };
}
