/** The demo's clock never goes back, whatever its speed becomes. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { storyClock } from './story-clock.ts';

describe('the story’s clock', () => {
  it('begins before the present and runs as fast as it is told', async () => {
    const clock = storyClock(1_000, 3_600_000);
    const [began, real] = [clock.now().getTime(), Date.now()];
    assert.ok(Math.abs(Date.now() - 3_600_000 - began) < 60_000);
    await wait(20);
    const passed = clock.now().getTime() - began;
    // Both measured on the same machine: however long the wait really was, the story's is about a thousand times as long.
    assert.ok(passed >= 15_000 && passed <= (Date.now() - real + 1) * 1_000, `${passed} ms`);
  });

  it('goes on from where it is when its speed changes, and catches up with the present', async () => {
    const clock = storyClock(1_000, 3_600_000);
    await wait(5);
    const before = clock.now().getTime();
    clock.runAt(1);
    const after = clock.now().getTime();
    assert.ok(after >= before && after - before < 60_000);
    await clock.sleep(5);
    assert.ok(clock.now().getTime() - after >= 4);
    clock.catchUp();
    assert.ok(Math.abs(clock.now().getTime() - Date.now()) <= 1);
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
