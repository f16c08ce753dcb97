/** What participants settle for themselves, and decisions that cannot be carried out (rules R7 and R9). */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { resolveReview } from '../src/reconcile/review.ts';
import { readReviews } from '../src/reconcile/review-store.ts';
import { type ReconcileWorld, reconcileWorld } from './support/reconcile-world.ts';

const minuteMs = 60_000;
const ana = { name: 'ana', authenticated: false };

const open = (world: ReconcileWorld) =>
  readReviews(world.database, { participant: null, statuses: ['PENDING', 'INVESTIGATING'], limit: 10 });

/** A run, asked for by `operator`, that finds so many missing keys. */
async function withMissing(t: Parameters<typeof reconcileWorld>[0], count: number, approvalThreshold = 5) {
  const world = await reconcileWorld(t, { settings: { approvalThreshold, criticalThreshold: 10 } });
  const missing = world.take(count);
  for (const sample of missing) world.state.insert(sample);
  world.pass(10 * minuteMs);
  const opening = await world.open({ fromRung: 'file', by: 'operator' });
  assert.ok(opening.kind === 'opened');
  return { world, missing, runId: opening.runId };
}

describe('R7: thresholds of time and participant', () => {
  it('forgets what is older than 24 hours', async (t) => {
    const { world, runId } = await withMissing(t, 4);
    await world.run(runId);
    world.pass(25 * 60 * minuteMs);
    for (const sample of world.take(2)) world.state.insert(sample);
    world.pass(10 * minuteMs);
    assert.deepEqual((await world.reconcileFrom('file')).outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.equal(await world.count('FROM reconciliation_approvals'), 0);
  });

  it('heeds a participant’s own threshold', async (t) => {
    const { world, runId } = await withMissing(t, 6);
    await world.database.query('UPDATE dict_participants SET approval_threshold = 6');
    assert.deepEqual(await world.run(runId), { kind: 'ended', state: 'completed', reason: null });
    assert.equal(await world.count('FROM reconciliation_approvals'), 0);
  });
});

describe('R9: orphans by policy and decision', () => {
  it('changes nothing when DICT cannot be asked', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    world.state.remove(sample.entry.key, { log: true });
    world.pass(10 * minuteMs);
    await world.reconcile();
    const [item] = await open(world);
    assert.ok(item);
    world.state.addFault({ operation: 'getEntryByCid', error: 'ServiceUnavailable', times: 5 });
    const decision = { id: item.id, action: 'confirm-deletion' as const, actor: ana, reason: 'because', version: null };
    await assert.rejects(resolveReview(world.deps, decision), { name: 'DictError' });
    assert.equal((await world.entry(sample.entry.key))?.status, 'ORPHANED');
    assert.equal((await open(world)).length, 1);
  });

  it('removes at once where the participant’s policy says so', async (t) => {
    const world = await reconcileWorld(t);
    await world.database.query(`UPDATE dict_participants SET orphan_policy = 'remove'`);
    const [sample] = world.first;
    assert.ok(sample);
    world.state.remove(sample.entry.key, { log: true });
    world.pass(10 * minuteMs);
    assert.deepEqual((await world.reconcile()).outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.equal((await world.entry(sample.entry.key))?.status, 'DELETED');
    assert.deepEqual(await open(world), []);
    assert.equal(await world.count(`FROM event_outbox WHERE payload ->> 'alert' = 'orphans-found'`), 1);
  });
});

describe('R1: a run waits for ingest', () => {
  const setBacklog = (world: ReconcileWorld, backlog: number) =>
    world.database.query(
      `INSERT INTO ingest_progress (origin, consumed, backlog, oldest_unconsumed_at, latest_occurred_at, ended_at, updated_at)
       VALUES ('test', 0, $1, $2, NULL, NULL, $3)
       ON CONFLICT (origin) DO UPDATE SET backlog = $1, oldest_unconsumed_at = $2, updated_at = $3`,
      [backlog, backlog === 0 ? null : new Date(world.clock.now().getTime() - 7 * minuteMs), world.clock.now()],
    );

  it('judges and repairs nothing while ingest is behind, and goes on once it has drained', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    // DICT and core deleted it long ago; the event waits in the queue.
    world.state.remove(sample.entry.key, { log: true });
    const deletion = world.event('key.deleted', sample);
    world.pass(10 * minuteMs);
    const opening = await world.open({ fromRung: 'file' });
    assert.ok(opening.kind === 'opened');
    await setBacklog(world, 1);
    let held = 0;
    const outcome = await world.run(opening.runId, {
      ...world.steps,
      judgeDivergences: async (input) => {
        const next = await world.steps.judgeDivergences(input);
        if (next.kind === 'sleep') held += 1;
        if (held === 5) {
          await world.ingest(deletion);
          await setBacklog(world, 0);
        }
        return next;
      },
    });
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.ok(held >= 5);
    assert.equal((await world.entry(sample.entry.key))?.status, 'DELETED');
    assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 0);
  });
});
