/** A slow DICT, on a clock that runs: late answers are waited for within the limit of a call, and given up beyond it. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type FaultWorld, faultWorld } from '../support/fault-world.ts';

/** Lets the world's time run, a second in each tenth of one of ours, while something goes on. */
async function whileTimeRuns<Result>(world: FaultWorld, work: () => Promise<Result>): Promise<Result> {
  const running = setInterval(() => world.clock.move(1_000), 100);
  try {
    return await work();
  } finally {
    clearInterval(running);
  }
}

const limits = { connectMs: 5_000, callMs: 20_000, idleMs: 20_000 };

for (const operation of [
  'createSyncVerification',
  'listCidSetEvents',
  'getEntryByCid',
  'createCidSetFile',
  'getCidSetFile',
] as const) {
  it(`an answer to ${operation} that takes 5 s is waited for`, { timeout: 300_000 }, async (t) => {
    const world = await faultWorld(t, { limits });
    const planted = world.plant(/File/.test(operation) ? 'hidden' : 'logged');
    world.state.addFault({ operation, times: 1, delayMs: 5_000 });
    const before = await world.picture();
    const ended = await whileTimeRuns(world, () => world.synchronise());
    assert.equal(ended.status, 'COMPLETED', ended.words);
    await world.assertPromises(before, planted);
    await world.assertEqualSides();
  });
}

it('a download that takes 5 s to begin is waited for', { timeout: 300_000 }, async (t) => {
  const world = await faultWorld(t, { limits });
  const planted = world.plant('hidden');
  world.state.addFault({ operation: 'downloadCidSetFile', times: 1, delayMs: 5_000 });
  const before = await world.picture();
  const ended = await whileTimeRuns(world, () => world.synchronise());
  assert.equal(ended.status, 'COMPLETED', ended.words);
  await world.assertPromises(before, planted);
  await world.assertEqualSides();
});

it('an answer beyond the limit of a call is given up, and the next one taken', { timeout: 300_000 }, async (t) => {
  const world = await faultWorld(t, { limits: { ...limits, callMs: 1_500 } });
  const planted = world.plant('logged');
  world.state.addFault({ operation: 'createSyncVerification', times: 1, delayMs: 3_600_000 });
  const before = await world.picture();
  const ended = await world.synchronise();
  assert.equal(ended.status, 'COMPLETED', ended.words);
  await world.assertPromises(before, planted);
  await world.assertEqualSides();
  // The answer that nobody waits for any more comes all the same, and changes nothing.
  world.pass(3_600_000);
  await world.converge();
});
