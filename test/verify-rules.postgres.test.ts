/** Plays the scenarios of rules R1, R11, R13 and R18, and failures and kills, against the real simulator and database. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { cidToHex } from '../src/cid/cid.ts';
import { locatedDifferences } from '../src/verify/difference-store.ts';
import { createVerificationSteps, VerificationRefused, type VerificationSteps } from '../src/verify/steps.ts';
import { added, cidOf, removed, SCOPE, type VerifyWorld, verifyWorld } from './support/verify-world.ts';

const hourMs = 3_600_000;

async function outboxTypes(world: VerifyWorld): Promise<string[]> {
  const { rows } = await world.database.query<{ type: string }>('SELECT type FROM event_outbox ORDER BY position');
  return rows.map(({ type }) => type);
}

async function setBacklog(world: VerifyWorld, backlog: number, oldestAgeMs: number): Promise<void> {
  const now = world.clock.now();
  await world.database.query(
    `INSERT INTO ingest_progress (origin, consumed, backlog, oldest_unconsumed_at, latest_occurred_at, ended_at, updated_at)
     VALUES ('test', 0, $1, $2, NULL, NULL, $3)
     ON CONFLICT (origin) DO UPDATE SET backlog = $1, oldest_unconsumed_at = $2, updated_at = $3`,
    [backlog, backlog === 0 ? null : new Date(now.getTime() - oldestAgeMs), now],
  );
}

describe('R1: ingest first', () => {
  it('does not ask while ingest is behind by more than the grace, raises an alert, and asks once it has drained', async (t) => {
    const world = await verifyWorld(t);
    await setBacklog(world, 7, 400_000);
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'inconclusive', JSON.stringify(outcome));
    assert.match(outcome.reason, /^ingest behind: 7 events wait/);
    assert.equal(outcome.next, 'wait');
    assert.deepEqual(world.state.counts(), {});
    assert.deepEqual(await outboxTypes(world), ['br.dict.vsync.IngestBehind', 'br.dict.vsync.SyncVerificationConcluded']);
    await setBacklog(world, 7, 200_000);
    assert.equal((await world.verify()).kind, 'in-sync');
    await setBacklog(world, 0, 0);
    assert.equal((await world.verify()).kind, 'in-sync');
  });

  it('asks even so from the 30-hour mark on', async (t) => {
    const world = await verifyWorld(t);
    assert.equal((await world.verify()).kind, 'in-sync');
    world.clock.move(29 * hourMs);
    await setBacklog(world, 7, hourMs);
    assert.equal((await world.verify()).kind, 'inconclusive');
    world.clock.move(1.1 * hourMs);
    assert.equal((await world.verify()).kind, 'in-sync');
  });

  it('calls nothing a divergence that ingest has merely not taken in yet', async (t) => {
    const world = await verifyWorld(t);
    await world.verify();
    const [late] = world.take(1);
    assert.ok(late);
    world.state.insert(late, { log: true });
    const outcome = await world.verify(randomUUID(), {
      ...world.steps,
      explain: async (input) => {
        await setBacklog(world, 1, 301_000);
        return world.steps.explain(input);
      },
    });
    assert.ok(outcome.kind === 'inconclusive', JSON.stringify(outcome));
    assert.match(outcome.reason, /^ingest behind/);
  });
});

describe('R11: log gaps show', () => {
  /** So many keys come to DICT in one millisecond; the base has all but the last. */
  async function crammed(t: Parameters<typeof verifyWorld>[0], count: number) {
    const world = await verifyWorld(t);
    await world.verify();
    const samples = world.take(count);
    const at = new Date(world.clock.now().getTime() + 1);
    for (const sample of samples) world.state.insert(sample, { log: true, at });
    await world.commit(samples.slice(0, -1).map(added));
    const [after] = world.take(1);
    const last = samples.at(-1);
    assert.ok(after && last);
    await world.pass(2_000);
    world.state.insert(after, { log: true });
    await world.commit([added(after)]);
    return { world, last };
  }

  it('recovers the one event that a full millisecond hides', async (t) => {
    const { world, last } = await crammed(t, 201);
    const runId = randomUUID();
    const outcome = await world.verify(runId);
    assert.ok(outcome.kind === 'diverged', JSON.stringify(outcome));
    const located = await locatedDifferences(world.database, runId, { limit: 10, after: null });
    assert.deepEqual(
      located.map(({ cid, side }) => ({ cid: cidToHex(cid), side })),
      [{ cid: cidToHex(cidOf(last)), side: 'dict' }],
    );
  });

  it('leaves more hidden events to the file when one of them is unknown here', async (t) => {
    const { world } = await crammed(t, 250);
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'inconclusive', JSON.stringify(outcome));
    assert.equal(outcome.next, 'file');
    assert.match(outcome.reason, /holes/);
  });

  it('recovers many hidden events when all of them are known here', async (t) => {
    const { world, last } = await crammed(t, 250);
    await world.commit([added(last)]);
    const [late] = world.take(1);
    assert.ok(late);
    world.state.insert(late, { log: true });
    const runId = randomUUID();
    const outcome = await world.verify(runId);
    assert.ok(outcome.kind === 'diverged', JSON.stringify(outcome));
    const located = await locatedDifferences(world.database, runId, { limit: 10, after: null });
    assert.deepEqual(
      located.map(({ cid }) => cidToHex(cid)),
      [cidToHex(cidOf(late))],
    );
  });

  it('ends at the page budget, which leads to the file', async (t) => {
    const world = await verifyWorld(t, { settings: { logPagesMax: 2 } });
    await world.verify();
    const samples = world.take(600);
    for (const sample of samples) {
      world.clock.move(10);
      world.state.insert(sample, { log: true });
    }
    await world.commit(samples.slice(0, 300).map(added));
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'inconclusive', JSON.stringify(outcome));
    assert.equal(outcome.next, 'file');
    assert.equal(world.state.counts()['listCidSetEvents 200'], 2);
    await world.commit(samples.slice(300, 500).map(added));
    assert.equal((await world.verify()).kind, 'inconclusive');
    assert.equal(world.state.counts()['listCidSetEvents 200'], 2, 'our own journal tells beforehand that the log is too long');
  });
});

describe('R13: no eternal inconclusive', () => {
  const alwaysNok = (world: VerifyWorld): VerificationSteps =>
    createVerificationSteps({
      ...world,
      dict: {
        createSyncVerification: async (request) => ({ ...(await world.dict.createSyncVerification(request)), result: 'NOK' }),
        listCidSetEvents: world.dict.listCidSetEvents,
        getEntryByCid: world.dict.getEntryByCid,
      },
      newId: randomUUID,
    });

  it('asks at most three times more, however long DICT says NOK', async (t) => {
    let on = false;
    const world = await verifyWorld(t, {
      // Each change arrives at once: there is nothing in flight to wait for, and always an event near the question.
      eachSecond: async (it) => {
        const [sample] = it.take(1);
        if (!on || sample === undefined) return;
        it.state.insert(sample, { log: true });
        await it.commit([added(sample)]);
      },
    });
    await world.verify();
    on = true;
    await world.pass(10_000);
    const runId = randomUUID();
    const outcome = await world.verify(runId, alwaysNok(world));
    assert.ok(outcome.kind === 'in-sync' || outcome.kind === 'inconclusive', JSON.stringify(outcome));
    const { rows } = await world.database.query<{ asked: number }>('SELECT asked FROM dict_verification_runs WHERE run_id = $1', [
      runId,
    ]);
    assert.ok((rows[0]?.asked ?? 0) <= 4);
  });

  it('goes to the file when DICT says NOK to the very VSync of its own log', async (t) => {
    const world = await verifyWorld(t);
    await world.verify();
    world.clock.move(hourMs);
    const outcome = await world.verify(randomUUID(), alwaysNok(world));
    assert.ok(outcome.kind === 'diverged', JSON.stringify(outcome));
    assert.equal(outcome.located, 0);
  });

  it('stops looking at its bound', async (t) => {
    const world = await verifyWorld(t, { settings: { looksMax: 3 } });
    await world.verify();
    const [late] = world.take(1);
    assert.ok(late);
    world.state.insert(late, { log: true });
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'inconclusive', JSON.stringify(outcome));
    assert.equal(outcome.next, 'maintenance-window');
  });
});

describe('R18: participants apart', () => {
  it('never verifies a participant whose CIDs are not DICT’s', async (t) => {
    const world = await verifyWorld(t);
    await world.database.query(
      `INSERT INTO dict_participants (participant, cid_algorithm, orphan_policy, created_at, updated_at)
       VALUES ($1, 'canonical-json-1.0', 'review', $2, $2)`,
      [SCOPE.participant, world.clock.now()],
    );
    await assert.rejects(
      world.verify(),
      (error) => error instanceof VerificationRefused && /canonical-json-1\.0/.test(error.message),
    );
    assert.deepEqual(world.state.counts(), {});
  });
});

describe('verification: DICT fails', () => {
  it('tries three times, a second and two apart, then says unavailable: never divergence', async (t) => {
    const world = await verifyWorld(t);
    world.state.addFault({ operation: 'createSyncVerification', times: 3, error: 'ServiceUnavailable' });
    const before = world.clock.now().getTime();
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'unavailable', JSON.stringify(outcome));
    assert.match(outcome.reason, /ServiceUnavailable \(HTTP 503\) after 3 tries/);
    assert.ok(world.clock.now().getTime() - before >= 3_000);
  });

  it('goes on where a later try succeeds', async (t) => {
    const world = await verifyWorld(t);
    world.state.addFault({ operation: 'createSyncVerification', times: 2, breakConnection: true });
    assert.equal((await world.verify()).kind, 'in-sync');
  });

  it('leaves DICT alone for as long as it asks, and then goes on', async (t) => {
    const world = await verifyWorld(t);
    world.state.addFault({ operation: 'createSyncVerification', times: 1, error: 'ServiceUnavailable', retryAfter: '900' });
    const before = world.clock.now().getTime();
    assert.equal((await world.verify()).kind, 'in-sync');
    assert.ok(world.clock.now().getTime() - before >= 900_000);
    const until = new Date(world.clock.now().getTime() + 1_200_000).toUTCString();
    world.state.addFault({ operation: 'createSyncVerification', times: 1, error: 'ServiceUnavailable', retryAfter: until });
    assert.equal((await world.verify()).kind, 'in-sync');
    assert.ok(world.clock.now().getTime() >= Date.parse(until));
  });

  for (const retryAfter of ['3601', '999999999', 'Fri, 31 Dec 2100 23:59:59 GMT']) {
    it(`does not sit out a Retry-After of ${retryAfter}, and says what DICT asked for`, async (t) => {
      const world = await verifyWorld(t);
      world.state.addFault({ operation: 'createSyncVerification', times: 9, error: 'ServiceUnavailable', retryAfter });
      const before = world.clock.now().getTime();
      const outcome = await world.verify();
      assert.ok(outcome.kind === 'unavailable', JSON.stringify(outcome));
      assert.match(outcome.reason, /after 1 try: .*DICT asks to be left alone for (3601|86400) s$/);
      assert.equal(world.clock.now().getTime(), before);
    });
  }

  it('waits out an empty bucket that says nothing about when it fills', async (t) => {
    const world = await verifyWorld(t);
    world.state.addFault({ operation: 'createSyncVerification', times: 3, error: 'RateLimited' });
    const before = world.clock.now().getTime();
    assert.equal((await world.verify()).kind, 'in-sync');
    assert.ok(world.clock.now().getTime() - before >= 45_000);
  });

  it('does not repeat what will never succeed', async (t) => {
    const world = await verifyWorld(t);
    world.state.addFault({ operation: 'createSyncVerification', times: 9, error: 'Forbidden' });
    assert.equal((await world.verify()).kind, 'unavailable');
    assert.equal(world.state.counts()['createSyncVerification 403'], 1);
  });

  it('leaves a NOK to the file when the log cannot be had', async (t) => {
    const world = await verifyWorld(t);
    await world.verify();
    const [late] = world.take(1);
    assert.ok(late);
    world.state.insert(late, { log: true });
    world.state.addFault({ operation: 'listCidSetEvents', times: 3, error: 'InternalServerError' });
    const outcome = await world.verify();
    assert.ok(outcome.kind === 'inconclusive', JSON.stringify(outcome));
    assert.equal(outcome.next, 'file');
  });
});

describe('verification: killed and started again', () => {
  /** One key each way in flight, one event of them arriving while the run looks. */
  async function situation(t: Parameters<typeof verifyWorld>[0]) {
    const world = await verifyWorld(t);
    await world.verify();
    const [divergent, gone] = world.take(2);
    assert.ok(divergent && gone);
    world.state.insert(divergent, { log: true });
    await world.commit([added(gone)]);
    await world.commit([removed(gone)]);
    return world;
  }

  it('comes to the same outcome whichever step it is killed before or after', async (t) => {
    const whole = await situation(t);
    let steps = 0;
    const count =
      <Input, Output>(step: (input: Input) => Promise<Output>) =>
      async (input: Input): Promise<Output> => {
        steps += 1;
        return step(input);
      };
    const counted: VerificationSteps = {
      begin: count(whole.steps.begin),
      ask: count(whole.steps.ask),
      explain: count(whole.steps.explain),
    };
    const expected = await whole.verify(randomUUID(), counted);
    assert.equal(expected.kind, 'diverged');
    assert.ok(steps >= 4);
    const world = await situation(t);
    for (let at = 1; at <= steps; at++) {
      for (const when of ['before', 'after'] as const) {
        const runId = randomUUID();
        let taken = 0;
        const kill =
          <Input, Output>(step: (input: Input) => Promise<Output>) =>
          async (input: Input): Promise<Output> => {
            taken += 1;
            if (taken === at && when === 'before') throw new Error('killed');
            const output = await step(input);
            if (taken === at) throw new Error('killed');
            return output;
          };
        const killed: VerificationSteps = {
          begin: kill(world.steps.begin),
          ask: kill(world.steps.ask),
          explain: kill(world.steps.explain),
        };
        await world.verify(runId, killed).catch((error: Error) => assert.equal(error.message, 'killed'));
        const outcome = await world.verify(runId);
        assert.deepEqual(outcome, expected, `killed ${when} step ${at}`);
        assert.equal((await locatedDifferences(world.database, runId, { limit: 10, after: null })).length, 1);
      }
    }
  });

  it('asks again when it was killed between DICT’s answer and its own commit', async (t) => {
    const world = await verifyWorld(t);
    const lost = createVerificationSteps({
      ...world,
      dict: {
        ...world.dict,
        createSyncVerification: async (request) => {
          await world.dict.createSyncVerification(request);
          throw new Error('killed');
        },
      },
      newId: randomUUID,
    });
    const runId = randomUUID();
    await assert.rejects(world.verify(runId, lost), /killed/);
    assert.equal((await world.verify(runId)).kind, 'in-sync');
    const { rows } = await world.database.query<{ attempt: number; outcome: string | null }>(
      'SELECT attempt, outcome FROM dict_sync_verifications WHERE run_id = $1 ORDER BY attempt',
      [runId],
    );
    assert.deepEqual(rows, [
      { attempt: 1, outcome: null },
      { attempt: 2, outcome: 'in-sync' },
    ]);
  });
});
