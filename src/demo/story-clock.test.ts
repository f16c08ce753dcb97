/** The demo's clock never goes back, whatever its speed becomes. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { storyClock } from './story-clock.ts';

const scale = 1_000;
const headStartMs = 3_600_000;

/** What the clock may at most have moved since that time of ours, however long this process had to wait for its turn. */
function mostSince(realMs: number): number {
  return (Date.now() - realMs + 1) * scale;
}

describe('the story’s clock', () => {
  it('begins before the present and runs as fast as it is told', async () => {
    const realMs = Date.now();
    const clock = storyClock(scale, headStartMs);
    await wait(20);
    const passed = clock.now().getTime() - (realMs - headStartMs);
    assert.ok(passed >= 15 * scale && passed <= mostSince(realMs), `${passed} ms`);
  });

  it('goes on from where it is when its speed changes, and catches up with the present', async () => {
    const clock = storyClock(scale, headStartMs);
    await wait(5);
    const realMs = Date.now();
    const before = clock.now().getTime();
    clock.runAt(1);
    const after = clock.now().getTime();
    assert.ok(after >= before && after - before <= mostSince(realMs));
    await clock.sleep(5);
    assert.ok(clock.now().getTime() - after >= 4);
    clock.catchUp();
    const [earliest, present, latest] = [Date.now(), clock.now().getTime(), Date.now()];
    assert.ok(earliest <= present && present <= latest);
  });

  it('wakes whoever sleeps when told to stop, with the reason', async () => {
    const clock = storyClock(1, 0);
    const ending = new AbortController();
    const reason = new Error('over');
    const sleeping = clock.sleep(3_600_000, ending.signal);
    ending.abort(reason);
    await assert.rejects(sleeping, reason);
  });
});
