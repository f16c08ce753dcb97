/** Time that moves only when a test moves it: graces of minutes and expiries of hours cost none of ours. */

import type { Clock } from '../../src/platform/clock.ts';

interface Timer {
  readonly atMs: number;
  readonly run: () => void;
}

/** A clock that stands still until it is moved; what sleeps wakes when its time is reached. */
export function steppedClock(): Clock & { move(ms: number): void } {
  let nowMs = Date.parse('2026-01-10T10:00:00.000Z');
  let timers: Timer[] = [];
  return {
    now: () => new Date(nowMs),
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const timer = { atMs: nowMs + ms, run: resolve };
        timers.push(timer);
        signal?.addEventListener('abort', () => {
          timers = timers.filter((each) => each !== timer);
          reject(signal.reason);
        });
      }),
    move: (ms) => {
      nowMs += ms;
      const due = timers.filter((timer) => timer.atMs <= nowMs);
      timers = timers.filter((timer) => timer.atMs > nowMs);
      for (const timer of due) timer.run();
    },
  };
}
