/** Rules R2 to R5: what a repair has to be proven by, and what makes it wait or go to a person. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidToHex, computeCid } from '../src/cid/cid.ts';
import type { DictApi, EntryByCid } from '../src/dict/api.ts';
import { DictError } from '../src/dict/errors.ts';
import { participant } from '../src/dict/participant.ts';
import type { SampleEntry } from '../src/dict/sample-entries.ts';
import { resolveReview } from '../src/reconcile/review.ts';
import { readReviews } from '../src/reconcile/review-store.ts';
import { changed, type ReconcileWorld, reconcileWorld } from './support/reconcile-world.ts';

const minuteMs = 60_000;
const person = { name: 'maria', authenticated: false };

const hexOf = ({ entry, requestId }: SampleEntry): string => cidToHex(computeCid(entry, requestId));

/** DICT whose by-CID answers go through `change` first. */
function byCid(change: (cid: string, answer: EntryByCid) => EntryByCid): (dict: DictApi) => DictApi {
  return (dict) => ({
    ...dict,
    getEntryByCid: async (request, options) => change(request.cid, await dict.getEntryByCid(request, options)),
  });
}

async function reviews(world: ReconcileWorld) {
  return readReviews(world.database, { participant: null, statuses: ['PENDING', 'INVESTIGATING'], limit: 10 });
}

describe('R2: no orphan without proof', () => {
  it('leaves an entry active while DICT answers anything but its own 404, and says why', async (t) => {
    let broken = true;
    const world = await reconcileWorld(t, {
      dict: byCid((cid, answer) => {
        if (broken && cid === gone) throw new DictError('InternalServerError', 500, 'broken');
        return answer;
      }),
    });
    const [sample] = world.first;
    assert.ok(sample);
    const gone = hexOf(sample);
    world.state.remove(sample.entry.key, { log: true });
    world.pass(10 * minuteMs);
    const { runId, outcome } = await world.reconcile();
    assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
    assert.equal((await world.entry(sample.entry.key))?.status, 'ACTIVE');
    assert.deepEqual(
      (await world.divergences(runId)).map(({ state, reason }) => [state, reason]),
      [['open', 'DICT answered InternalServerError (500)']],
    );
    broken = false;
    assert.deepEqual((await world.reconcile()).outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.equal((await world.entry(sample.entry.key))?.status, 'ORPHANED');
  });

  it('orphans nothing before the grace, however clearly DICT says 404', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    world.pass(10 * minuteMs);
    world.state.remove(sample.entry.key, { log: true });
    const deletion = world.event('key.deleted', sample);
    const opening = await world.open({ fromRung: 'file' });
    assert.ok(opening.kind === 'opened');
    const begunAt = world.clock.now().getTime();
    let sleptMs = 0;
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      judgeDivergences: async (input) => {
        sleptMs = world.clock.now().getTime() - begunAt;
        // The core's own deletion comes four minutes late.
        if (sleptMs > 4 * minuteMs && (await world.entry(sample.entry.key))?.status === 'ACTIVE') await world.ingest(deletion);
        return world.steps.judgeDivergences(input);
      },
    });
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.ok(sleptMs >= 4 * minuteMs);
    assert.equal((await world.entry(sample.entry.key))?.status, 'DELETED');
    assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 0);
  });

  for (const [what, forge, reason] of [
    [
      'does not hash to the CID',
      (answer: EntryByCid) =>
        answer.found ? { ...answer, entry: { ...answer.entry, owner: { ...answer.entry.owner, name: 'Another Name' } } } : answer,
      /do not hash/,
    ],
    [
      'belongs to another participant',
      (answer: EntryByCid) =>
        answer.found
          ? { ...answer, entry: { ...answer.entry, account: { ...answer.entry.account, participant: participant('12345678') } } }
          : answer,
      /participant 12345678/,
    ],
    [
      'is of another key type',
      (answer: EntryByCid) => (answer.found ? { ...answer, entry: { ...answer.entry, keyType: 'EVP' as const } } : answer),
      /key type EVP/,
    ],
    [
      'has no UUID for a RequestId',
      (answer: EntryByCid) => (answer.found ? { ...answer, requestId: 'x' } : answer),
      /do not hash/,
    ],
  ] as const) {
    it(`inserts nothing whose answer ${what}`, async (t) => {
      const world = await reconcileWorld(t, { dict: byCid((_, answer) => forge(answer)) });
      const [missing] = world.take(1);
      assert.ok(missing);
      world.state.insert(missing, { log: true });
      world.pass(10 * minuteMs);
      const { runId, outcome } = await world.reconcile();
      assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
      assert.equal(await world.entry(missing.entry.key), null);
      const [divergence] = await world.divergences(runId);
      assert.equal(divergence?.state, 'open');
      assert.match(divergence?.reason ?? '', reason);
    });
  }

  it('leaves a blocked entry open with the reason', async (t) => {
    const world = await reconcileWorld(t);
    const [missing] = world.take(1);
    assert.ok(missing);
    world.state.insert(missing, { log: true });
    world.state.setBlocked(missing.entry.key, true);
    world.pass(10 * minuteMs);
    const { runId, outcome } = await world.reconcile();
    assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
    assert.match((await world.divergences(runId))[0]?.reason ?? '', /EntryBlocked/);
  });

  it('waits an hour for an open claim, then asks a person', async (t) => {
    const world = await reconcileWorld(t);
    const [one, two] = world.take(2);
    assert.ok(one && two);
    world.state.insert(one, { log: true });
    world.state.insert(two, { log: true });
    world.pass(10 * minuteMs);
    world.state.setOpenClaim(one.entry.key, world.clock.now());
    world.state.setOpenClaim(two.entry.key, world.clock.now());
    const claimedAt = world.clock.now().getTime();
    const verificationRunId = crypto.randomUUID();
    await world.verify(verificationRunId);
    const opening = await world.open({ verificationRunId });
    assert.ok(opening.kind === 'opened');
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      judgeDivergences: async (input) => {
        if (world.clock.now().getTime() - claimedAt > 30 * minuteMs) world.state.setOpenClaim(two.entry.key, null);
        return world.steps.judgeDivergences(input);
      },
    });
    assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
    assert.ok(world.clock.now().getTime() - claimedAt >= 60 * minuteMs);
    assert.equal((await world.entry(two.entry.key))?.status, 'ACTIVE');
    assert.equal(await world.entry(one.entry.key), null);
    assert.deepEqual(
      (await reviews(world)).map(({ key, reason }) => [key, reason]),
      [[one.entry.key, 'open_claim']],
    );
  });
});

describe('R3: pair by key', () => {
  it('counts two CIDs of one key as one outdated entry', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    world.state.alter(sample.entry.key, { accountNumber: '0000000042' }, { log: true });
    world.pass(10 * minuteMs);
    const { runId } = await world.reconcile();
    assert.deepEqual((await world.divergences(runId)).map(({ side, kind, state }) => [side, kind, state]).toSorted(), [
      ['dict', 'outdated_local', 'applied'],
      ['local', null, 'paired'],
    ]);
    await world.assertEqualSides();
  });

  it('makes no orphan of what may be the other half of a CID whose key DICT does not tell', async (t) => {
    let hidden = '';
    const world = await reconcileWorld(t, {
      dict: byCid((cid, answer) => {
        if (cid === hidden) throw new DictError('Forbidden', 403, 'not yours');
        return answer;
      }),
    });
    await world.database.query(`UPDATE dict_participants SET orphan_policy = 'remove'`);
    const [sample] = world.first;
    assert.ok(sample);
    hidden = world.state.alter(sample.entry.key, { accountNumber: '0000000042' }, { log: true }).cid;
    world.pass(10 * minuteMs);
    const { runId, outcome } = await world.reconcile();
    assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
    assert.equal((await world.entry(sample.entry.key))?.status, 'ACTIVE');
    assert.match((await world.divergences(runId)).find(({ side }) => side === 'local')?.reason ?? '', /other half/);
  });

  it('gives a CID that has just vanished from DICT the time in which its successor shows', async (t) => {
    const world = await reconcileWorld(t);
    await world.database.query(`UPDATE dict_participants SET orphan_policy = 'remove'`);
    const [sample] = world.first;
    assert.ok(sample);
    world.state.alter(sample.entry.key, { accountNumber: '0000000042' });
    world.pass(10 * minuteMs);
    const opening = await world.open({ fromRung: 'file' });
    assert.ok(opening.kind === 'opened');
    const final = changed(sample, '0000000043');
    let update: Record<string, unknown> | null = null;
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      judgeDivergences: async (input) => {
        // After the file was compared, DICT's entry gets another state by the core's own doing; its event is under way.
        if (update === null) {
          world.state.alter(sample.entry.key, { accountNumber: '0000000043' }, { log: true });
          update = world.event('key.updated', final);
        } else if ((await world.entry(sample.entry.key))?.eventAction === null && world.clock.now() > soon) {
          await world.ingest(update);
        }
        return world.steps.judgeDivergences(input);
      },
    });
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.equal((await world.entry(sample.entry.key))?.status, 'ACTIVE');
    assert.equal(await world.count(`FROM audit_log WHERE action = 'VSYNC_REMOVE_ORPHANED'`), 0);
    await world.assertEqualSides();
  });
  const soon = new Date('2026-01-10T12:12:00.000Z');
});

describe('R4: compare-and-set', () => {
  it('does not write over an entry that has changed since it was judged, but judges it again', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    world.state.alter(sample.entry.key, { accountNumber: '0000000042' }, { log: true });
    world.pass(10 * minuteMs);
    const verificationRunId = crypto.randomUUID();
    await world.verify(verificationRunId);
    const opening = await world.open({ verificationRunId });
    assert.ok(opening.kind === 'opened');
    const final = changed(sample, '0000000043');
    let interfered = false;
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      applyRepairs: async (input) => {
        // The core changes the key at DICT and tells us, just before the repair.
        if (!interfered) {
          world.state.alter(sample.entry.key, { accountNumber: '0000000043' }, { log: true });
          await world.ingest(world.event('key.updated', final));
        }
        interfered = true;
        return world.steps.applyRepairs(input);
      },
    });
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 0);
    const entry = await world.entry(sample.entry.key);
    assert.equal(entry?.entry?.account.accountNumber, '0000000043');
    await world.assertEqualSides();
  });

  it('looks a repaired key up again when an event of about the same time contradicts the repair', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    const wanted = changed(sample, '0000000042');
    world.state.alter(sample.entry.key, { accountNumber: '0000000042' });
    world.pass(10 * minuteMs);
    const opening = await world.open({ fromRung: 'file' });
    assert.ok(opening.kind === 'opened');
    let interfered = false;
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      confirmReconciliation: async (input) => {
        // The core's clock runs ahead: an old state comes as if it were newer than the repair.
        const ahead = new Date(world.clock.now().getTime() + 2_000);
        if (!interfered) await world.ingest(world.event('key.updated', changed(sample, '0000000041'), ahead));
        interfered = true;
        return world.steps.confirmReconciliation(input);
      },
    });
    // DICT's entry is older than that event by the clock: a person decides (R5), nobody guesses.
    assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
    const [item] = await reviews(world);
    assert.equal(item?.key, sample.entry.key);
    const resolved = await resolveReview(world.deps, {
      id: item.id,
      action: 'accept-dict',
      actor: person,
      reason: 'the core confirmed it by telephone',
      version: item.version,
    });
    assert.equal(resolved.kind, 'resolved', JSON.stringify(resolved));
    assert.equal((await world.entry(sample.entry.key))?.entry?.account.accountNumber, wanted.entry.account.accountNumber);
    assert.equal((await world.verify()).kind, 'in-sync');
  });
});

describe('R5: newer here', () => {
  async function newerHere(t: Parameters<typeof reconcileWorld>[0]) {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    // The core changed it and told us; at DICT the change never arrived.
    await world.ingest(world.event('key.updated', changed(sample, '0000000099')));
    world.pass(10 * minuteMs);
    const { runId, outcome } = await world.reconcile();
    assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
    const [item] = await reviews(world);
    assert.ok(item);
    return { world, sample, runId, item };
  }

  it('asks a person before DICT’s older data overwrite a newer local event', async (t) => {
    const { world, sample, item } = await newerHere(t);
    assert.deepEqual([item.key, item.reason], [sample.entry.key, 'newer_here']);
    assert.equal((await world.entry(sample.entry.key))?.entry?.account.accountNumber, '0000000099');
  });

  it('asks a person too where the local event is a deletion', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    await world.ingest(world.event('key.deleted', sample));
    world.pass(10 * minuteMs);
    const { outcome } = await world.reconcile();
    assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
    assert.equal((await world.entry(sample.entry.key))?.status, 'DELETED');
    assert.deepEqual(
      (await reviews(world)).map(({ reason }) => reason),
      ['newer_here'],
    );
  });

  it('does not ask again about what a person decided to keep', async (t) => {
    const { world, sample, item } = await newerHere(t);
    const kept = await resolveReview(world.deps, {
      id: item.id,
      action: 'keep',
      actor: person,
      reason: 'core is right',
      version: null,
    });
    assert.equal(kept.kind, 'resolved');
    const { runId, outcome } = await world.reconcile();
    assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
    assert.deepEqual(await reviews(world), []);
    assert.match((await world.divergences(runId)).find(({ side }) => side === 'dict')?.reason ?? '', /decided to keep/);
    assert.equal((await world.entry(sample.entry.key))?.entry?.account.accountNumber, '0000000099');
  });

  it('needs no person where DICT’s log shows that DICT changed later', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    await world.ingest(world.event('key.updated', changed(sample, '0000000099')));
    world.pass(minuteMs);
    world.state.alter(sample.entry.key, { accountNumber: '0000000100' }, { log: true });
    world.pass(10 * minuteMs);
    assert.deepEqual((await world.reconcile()).outcome, { kind: 'ended', state: 'completed', reason: null });
    await world.assertEqualSides();
  });

  it('needs no person where DICT and base were proven equal after the local event', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    world.state.alter(sample.entry.key, { accountNumber: '0000000099' }, { log: true });
    await world.ingest(world.event('key.updated', changed(sample, '0000000099')));
    assert.equal((await world.verify()).kind, 'in-sync');
    world.pass(minuteMs);
    world.state.alter(sample.entry.key, { accountNumber: '0000000100' });
    world.pass(10 * minuteMs);
    assert.deepEqual((await world.reconcile()).outcome, { kind: 'ended', state: 'completed', reason: null });
    await world.assertEqualSides();
  });
});
