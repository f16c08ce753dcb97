/** Plays what a verification comes to, outcome by outcome, against the real simulator and database. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { locatedDifferences } from '../src/verify/difference-store.ts';
import { readCursor } from '../src/verify/event-cursor.ts';
import { verificationAges } from '../src/verify/verification-store.ts';
import { added, cidOf, removed, SCOPE, verifyWorld } from './support/verify-world.ts';

describe('verification: OK', () => {
  it('proves its seq, moves the anchor and leaves ledger rows', async (t) => {
    const world = await verifyWorld(t);
    const outcome = await world.verify();
    assert.equal(outcome.kind, 'in-sync');
    assert.ok(outcome.kind === 'in-sync' && outcome.proof === 'ok');
    assert.equal(outcome.seq, 1);
    const cursor = await readCursor(world.database, SCOPE);
    assert.equal(cursor?.seq, 1);
    assert.equal(cursor?.proof, 'ok');
    const ages = await verificationAges(world.database, SCOPE);
    assert.deepEqual(ages.lastOkAt, world.clock.now());
    const { rows } = await world.database.query<{ type: string }>('SELECT type FROM event_outbox');
    assert.deepEqual(rows, [{ type: 'br.dict.vsync.SyncVerificationConcluded' }]);
    const audit = await world.database.query<{ kind: string }>('SELECT kind FROM audit_log');
    assert.deepEqual(audit.rows, [{ kind: 'verification' }]);
  });
});

describe('verification: NOK explained', () => {
  it('asks again when what was in flight has arrived, and takes the OK', async (t) => {
    const world = await verifyWorld(t);
    await world.verify();
    const [late] = world.take(1);
    assert.ok(late);
    world.state.insert(late, { log: true });
    let looks = 0;
    const outcome = await world.verify(randomUUID(), {
      ...world.steps,
      explain: async (input) => {
        const next = await world.steps.explain(input);
        looks += 1;
        if (looks === 1) await world.commit([added(late)]);
        return next;
      },
    });
    assert.ok(outcome.kind === 'in-sync' && outcome.proof === 'ok', JSON.stringify(outcome));
    assert.equal(outcome.seq, 2);
    assert.equal(looks, 2);
  });

  it('locates by the log alone what one side has had for longer than the grace', async (t) => {
    const world = await verifyWorld(t);
    await world.verify();
    const [dictOnly, localOnly] = world.take(2);
    assert.ok(dictOnly && localOnly);
    world.state.insert(dictOnly, { log: true });
    await world.commit([added(localOnly)]);
    const runId = randomUUID();
    const outcome = await world.verify(runId);
    assert.ok(outcome.kind === 'diverged', JSON.stringify(outcome));
    assert.equal(outcome.located, 2);
    const located = await locatedDifferences(world.database, runId, { limit: 10, after: null });
    const bySide = Object.fromEntries(located.map((difference) => [difference.side, difference]));
    assert.deepEqual(Buffer.from(bySide['dict']?.cid ?? []), Buffer.from(cidOf(dictOnly)));
    assert.deepEqual(Buffer.from(bySide['local']?.cid ?? []), Buffer.from(cidOf(localOnly)));
    assert.equal(bySide['dict']?.foundBy, 'log');
  });

  it('finds one hidden change by its residual and one by-CID call', async (t) => {
    const world = await verifyWorld(t);
    await world.verify();
    const [hidden, logged] = world.take(2);
    assert.ok(hidden && logged);
    world.state.insert(hidden);
    await world.pass(400_000);
    world.state.insert(logged, { log: true });
    await world.commit([added(logged)]);
    const runId = randomUUID();
    const outcome = await world.verify(runId);
    assert.ok(outcome.kind === 'diverged', JSON.stringify(outcome));
    assert.equal(outcome.located, 1);
    const [found] = await locatedDifferences(world.database, runId, { limit: 10, after: null });
    assert.equal(found?.foundBy, 'residual');
    assert.equal(found?.side, 'dict');
    assert.equal(world.state.counts()['getEntryByCid 200'], 1);
  });

  it('leaves several hidden changes to the file', async (t) => {
    const world = await verifyWorld(t);
    await world.verify();
    const [first, second, logged] = world.take(3);
    assert.ok(first && second && logged);
    world.state.insert(first);
    world.state.insert(second);
    world.state.insert(logged, { log: true });
    await world.commit([added(logged)]);
    const outcome = await world.verify();
    assert.deepEqual(outcome, { kind: 'diverged', located: 0, reason: 'something changed that the event log does not show' });
  });

  it('calls a hidden change without any later event what it is: DICT contradicts its own log', async (t) => {
    const world = await verifyWorld(t);
    await world.verify();
    const [first, second] = world.take(2);
    assert.ok(first && second);
    world.state.insert(first);
    world.state.insert(second);
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'diverged', JSON.stringify(outcome));
    assert.equal(outcome.located, 0);
    assert.match(outcome.reason, /without an event/);
  });

  it('proves the base by the log while traffic never leaves DICT a moment to say OK', async (t) => {
    const waiting: { readonly dueMs: number; readonly arrive: () => Promise<void> }[] = [];
    let on = false;
    const world = await verifyWorld(t, {
      eachSecond: async (it) => {
        const nowMs = it.clock.now().getTime();
        for (const each of waiting.filter(({ dueMs }) => dueMs <= nowMs)) {
          waiting.splice(waiting.indexOf(each), 1);
          await each.arrive();
        }
        if (!on) return;
        for (const [index, sample] of it.take(2).entries()) {
          it.state.insert(sample, { log: true });
          waiting.push({ dueMs: nowMs + 10_000 * (index + 1), arrive: () => it.commit([added(sample)]) });
          if (index === 0)
            waiting.push({
              dueMs: nowMs + 13_000,
              arrive: async () => {
                it.state.remove(sample.entry.key, { log: true });
                await it.commit([removed(sample)]);
              },
            });
        }
      },
    });
    await world.verify();
    on = true;
    await world.pass(60_000);
    for (let round = 0; round < 5; round++) {
      const outcome = await world.verify();
      assert.ok(outcome.kind === 'in-sync' && outcome.proof === 'log', JSON.stringify(outcome));
      await world.pass(20_000);
    }
  });
});
