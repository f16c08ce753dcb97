/** What a verification makes of a DICT that misbehaves, or of which nothing is known yet. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { cidToHex } from '../src/cid/cid.ts';
import type { SampleEntry } from '../src/dict/sample-entries.ts';
import { locatedDifferences } from '../src/verify/difference-store.ts';
import { readCursor } from '../src/verify/event-cursor.ts';
import { added, cidOf, SCOPE, type VerifyWorld, verifyWorld } from './support/verify-world.ts';

/** A new key each second, which reaches the base twenty seconds later. */
function steadyTraffic() {
  const waiting: { readonly dueMs: number; readonly sample: SampleEntry }[] = [];
  const state = { on: false };
  const eachSecond = async (world: VerifyWorld): Promise<void> => {
    const nowMs = world.clock.now().getTime();
    const due = waiting.filter(({ dueMs }) => dueMs <= nowMs);
    waiting.splice(0, due.length);
    if (due.length > 0) await world.commit(due.map(({ sample }) => added(sample)));
    const [sample] = state.on ? world.take(1) : [];
    if (sample === undefined) return;
    world.state.insert(sample, { log: true });
    waiting.push({ dueMs: nowMs + 20_000, sample });
  };
  return { state, eachSecond };
}

describe('verification: nothing proven yet', () => {
  it('explains a first NOK under traffic from a guessed start, and has an anchor then', async (t) => {
    const traffic = steadyTraffic();
    const world = await verifyWorld(t, { eachSecond: traffic.eachSecond });
    traffic.state.on = true;
    await world.pass(60_000);
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'in-sync' && outcome.proof === 'log', JSON.stringify(outcome));
    assert.equal((await readCursor(world.database, SCOPE))?.proof, 'log');
  });

  it('finds one old difference at the first NOK, with traffic', async (t) => {
    const traffic = steadyTraffic();
    const world = await verifyWorld(t, { eachSecond: traffic.eachSecond });
    const [old] = world.take(1);
    assert.ok(old);
    await world.commit([added(old)], 'import');
    traffic.state.on = true;
    await world.pass(60_000);
    const runId = randomUUID();
    const outcome = await world.verify(runId);
    assert.ok(outcome.kind === 'diverged', JSON.stringify(outcome));
    const located = await locatedDifferences(world.database, runId, { limit: 10, after: null });
    assert.deepEqual(
      located.map(({ cid, side }) => ({ cid: cidToHex(cid), side })),
      [{ cid: cidToHex(cidOf(old)), side: 'local' }],
    );
  });

  it('does not claim a divergence that it cannot show: many old differences with traffic are for the file', async (t) => {
    const traffic = steadyTraffic();
    const world = await verifyWorld(t, { eachSecond: traffic.eachSecond });
    await world.commit(world.take(5).map(added), 'import');
    traffic.state.on = true;
    await world.pass(60_000);
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'inconclusive', JSON.stringify(outcome));
    assert.equal(outcome.next, 'file');
  });

  it('calls a NOK a divergence where nothing can be in flight on either side', async (t) => {
    const world = await verifyWorld(t);
    await world.commit(world.take(5).map(added), 'import');
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'diverged', JSON.stringify(outcome));
    assert.equal(outcome.located, 0);
  });

  it('reads further back while that costs next to nothing', async (t) => {
    const world = await verifyWorld(t);
    const [old] = world.take(1);
    assert.ok(old);
    world.state.insert(old, { log: true });
    world.clock.move(20 * 3_600_000);
    const runId = randomUUID();
    const outcome = await world.verify(runId);
    assert.ok(outcome.kind === 'diverged', JSON.stringify(outcome));
    assert.equal(outcome.located, 1);
  });
});

describe('verification: a DICT that misbehaves', () => {
  it('calls nothing a divergence because the log stands still', async (t) => {
    const traffic = steadyTraffic();
    const world = await verifyWorld(t, { eachSecond: traffic.eachSecond });
    await world.verify();
    world.state.freezeLog(SCOPE, true);
    traffic.state.on = true;
    await world.pass(60_000);
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'inconclusive', JSON.stringify(outcome));
    assert.equal(outcome.next, 'file');
    world.state.freezeLog(SCOPE, false);
    assert.equal((await world.verify()).kind, 'in-sync');
  });

  it('does not believe verifiers that are frozen', async (t) => {
    const traffic = steadyTraffic();
    const world = await verifyWorld(t, { eachSecond: traffic.eachSecond });
    await world.verify();
    world.state.freezeVerifiers(SCOPE, true);
    traffic.state.on = true;
    await world.pass(60_000);
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'inconclusive', JSON.stringify(outcome));
    assert.equal(outcome.next, 'file');
    world.state.freezeVerifiers(SCOPE, false);
    await world.pass(400_000);
    assert.equal((await world.verify()).kind, 'in-sync');
  });

  it('goes on when events were taken out of the log whose keys are known here', async (t) => {
    const traffic = steadyTraffic();
    const world = await verifyWorld(t, { eachSecond: traffic.eachSecond });
    await world.verify();
    traffic.state.on = true;
    await world.pass(60_000);
    const logged = world.state.events(SCOPE);
    world.state.dropEvents(
      SCOPE,
      [20, 21, 30].map((index) => logged[index]?.cid ?? ''),
    );
    const outcome = await world.verify();
    assert.equal(outcome.kind, 'in-sync', JSON.stringify(outcome));
  });

  it('survives a log whose empty answers carry no VSync', async (t) => {
    const world = await verifyWorld(t, { simulator: { readings: { emptyEventList: 'absent' } } });
    await world.verify();
    world.clock.move(3_600_000);
    await world.commit(world.take(1).map(added));
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'diverged', JSON.stringify(outcome));
    assert.equal(outcome.located, 1);
  });
});
