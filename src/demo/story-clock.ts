/**
 * The demo's clock: it begins some time ago and runs fast, so that minutes of waiting take seconds and no timestamp lies in the
 * future. When the story is told it is set to the present, for the commands that are tried on what the demo leaves.
 */

import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from '../platform/clock.ts';

export interface StoryClock extends Clock {
  /** From now on it runs at this scale. Whoever sleeps on it wakes when the old scale says. */
  runAt(scale: number): void;
  /** From now on it is the system's clock. Nothing may be sleeping on it. */
  catchUp(): void;
}

/**
 * Begins `headStartMs` before the present and takes one second for `scale` of its own; it must not be needed for longer than it takes
 * to catch up with the present.
 */
export function storyClock(scale: number, headStartMs: number): StoryClock {
  let pace = { fromMs: Date.now(), storyMs: Date.now() - headStartMs, scale };
  const nowMs = (): number => pace.storyMs + (Date.now() - pace.fromMs) * pace.scale;
  return {
    now: () => new Date(nowMs()),
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      try {
        await wait(ms / pace.scale, undefined, signal === undefined ? {} : { signal });
      } catch (cause) {
        signal?.throwIfAborted();
        throw cause;
      }
    },
    runAt: (next) => {
      pace = { fromMs: Date.now(), storyMs: nowMs(), scale: next };
    },
    catchUp: () => {
      pace = { fromMs: Date.now(), storyMs: Date.now(), scale: 1 };
    },
  };
}
