/** Plays maintenance windows: the core told to hold and to go on, the proof of quiet, and every way to end. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { type MaintenanceInput, type MaintenanceOutcome, maintenanceWindow } from '../src/flow/maintenance-window.ts';
import { createWindowSteps, endExpiredWindows, WindowRefused } from '../src/verify/maintenance-window.ts';
import { added, SCOPE, type VerifyWorld, verifyWorld } from './support/verify-world.ts';

const quarterMs = 900_000;

function inputOf(more: Partial<MaintenanceInput> = {}): MaintenanceInput {
  const input = {
    windowId: randomUUID(),
    keyTypes: [SCOPE.keyType],
    runIds: [randomUUID()],
    lengthMs: quarterMs,
    requestedBy: 'test',
  };
  return { ...input, participant: SCOPE.participant, ...more };
}

function run(world: VerifyWorld, input: MaintenanceInput, steps = stepsOf(world)): Promise<MaintenanceOutcome> {
  return maintenanceWindow({ steps, sleep: (ms) => world.pass(ms), waitForWake: (ms) => world.pass(ms) }, input);
}

const stepsOf = (world: VerifyWorld) => ({ ...createWindowSteps({ ...world, newId: randomUUID }), ...world.steps });

async function told(world: VerifyWorld): Promise<{ type: string; payload: Record<string, unknown> }[]> {
  const { rows } = await world.database.query<{ type: string; payload: Record<string, unknown> }>(
    `SELECT type, payload FROM event_outbox WHERE type LIKE '%Operations%' ORDER BY position`,
  );
  return rows;
}

/** Traffic that the core stops as soon as it is told to. */
async function heldWorld(t: Parameters<typeof verifyWorld>[0]): Promise<VerifyWorld> {
  return verifyWorld(t, {
    eachSecond: async (world) => {
      if ((await told(world)).length > 0) return;
      const [sample] = world.take(1);
      assert.ok(sample);
      world.state.insert(sample, { log: true });
      await world.commit([added(sample)]);
    },
  });
}

describe('maintenance window', () => {
  it('holds the five operations, waits until nothing can be in flight, verifies and lets the core go on', async (t) => {
    const world = await heldWorld(t);
    await world.pass(5_000);
    const before = world.clock.now().getTime();
    const outcome = await run(world, inputOf());
    assert.ok(outcome.kind === 'verified');
    assert.equal(outcome.outcomes[0]?.outcome.kind, 'in-sync');
    assert.ok(world.clock.now().getTime() - before >= world.settings.inFlightGraceMs);
    const messages = await told(world);
    assert.deepEqual(
      messages.map(({ type }) => type),
      ['br.dict.vsync.OperationsHoldRequested', 'br.dict.vsync.OperationsResumeRequested'],
    );
    assert.deepEqual(messages[0]?.payload['operations'], ['REGISTRO', 'EXCLUSAO', 'ALTERACAO', 'PORTABILIDADE', 'REIVINDICACAO']);
    assert.equal(messages[0]?.payload['until'], new Date(before + quarterMs).toISOString());
    assert.equal(messages[1]?.payload['ended_by'], 'completed');
  });

  it('says diverged at once, without waiting for anything in flight', async (t) => {
    const world = await heldWorld(t);
    await world.verify();
    for (const sample of world.take(2)) world.state.insert(sample);
    await world.pass(3_000);
    const outcome = await run(world, inputOf());
    assert.ok(outcome.kind === 'verified');
    assert.equal(outcome.outcomes[0]?.outcome.kind, 'diverged');
  });

  it('lets the core go on when its time is over, if nothing ever came to rest', async (t) => {
    const world = await verifyWorld(t, {
      eachSecond: async (it) => {
        const [sample] = it.take(1);
        if (sample !== undefined) it.state.insert(sample, { log: true });
      },
    });
    const before = world.clock.now().getTime();
    const outcome = await run(world, inputOf({ lengthMs: 120_000 }));
    assert.deepEqual(outcome, { kind: 'never-quiet', because: "PHONE: DICT's log shows a change within the grace" });
    assert.ok(world.clock.now().getTime() - before <= 121_000);
    assert.equal((await told(world)).at(-1)?.payload['ended_by'], 'expired');
  });

  it('lets the core go on when something breaks', async (t) => {
    const world = await heldWorld(t);
    const broken = { ...stepsOf(world), ask: () => Promise.reject(new Error('broken')) };
    await assert.rejects(run(world, inputOf(), broken), /broken/);
    assert.equal((await told(world)).at(-1)?.payload['ended_by'], 'failed');
  });

  it('goes on in the same window after a crash', async (t) => {
    const world = await heldWorld(t);
    const input = inputOf();
    const steps = stepsOf(world);
    await steps.openWindow(input);
    await world.pass(60_000);
    const outcome = await run(world, input);
    assert.equal(outcome.kind, 'verified');
    assert.equal((await told(world)).length, 2);
  });

  it('is ended by whoever starts next after a crash, once its time is over', async (t) => {
    const world = await heldWorld(t);
    await stepsOf(world).openWindow(inputOf());
    const deps = { database: world.database, clock: world.clock };
    assert.equal(await endExpiredWindows(deps), 0);
    world.clock.move(quarterMs);
    assert.equal(await endExpiredWindows(deps), 1);
    assert.equal((await told(world)).at(-1)?.payload['ended_by'], 'expired');
    assert.equal(await endExpiredWindows(deps), 0);
  });

  it('is one at a time for each participant', async (t) => {
    const world = await heldWorld(t);
    await stepsOf(world).openWindow(inputOf());
    await assert.rejects(stepsOf(world).openWindow(inputOf()), WindowRefused);
  });
});
