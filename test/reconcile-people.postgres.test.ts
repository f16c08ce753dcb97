/** Rules R7, R8 and R9: what people are asked, what their answer covers, and what they decide about single keys. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type DecisionResult, decideApproval } from '../src/reconcile/approval.ts';
import { type ReviewDecision, resolveReview } from '../src/reconcile/review.ts';
import { closeSettledReviews, readReviews } from '../src/reconcile/review-store.ts';
import { type AllSteps, type ReconcileWorld, reconcileWorld } from './support/reconcile-world.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** The world's steps, with somebody who decides each time that a run begins to wait. */
function withDecider(world: ReconcileWorld, decide: (runId: string, time: number) => Promise<unknown>): AllSteps {
  let times = 0;
  return {
    ...world.steps,
    awaitApproval: async (input) => {
      const next = await world.steps.awaitApproval(input);
      if (next.kind !== 'wait') return next;
      times += 1;
      await decide(input.runId, times);
      return { ...next, waitMs: 1_000 };
    },
  };
}

function approveAs(world: ReconcileWorld, runId: string, name: string, digest: string | null = null): Promise<DecisionResult> {
  const actor = { name, authenticated: false };
  return decideApproval(world.deps, { runId, decision: 'approved', actor, reason: 'announced', digest });
}

/** DICT gets keys that the base lacks, old enough to be judged. */
function plantMissing(world: ReconcileWorld, count: number): string[] {
  const missing = world.take(count);
  for (const sample of missing) world.state.insert(sample, { log: true });
  world.pass(10 * minuteMs);
  return missing.map(({ entry }) => entry.key);
}

async function openRun(world: ReconcileWorld): Promise<string> {
  const opening = await world.open({ fromRung: 'file', by: 'ana' });
  assert.ok(opening.kind === 'opened', JSON.stringify(opening));
  return opening.runId;
}

describe('R7: thresholds count settled divergences', () => {
  it('lets repairs up to the threshold pass, and puts more before a person', async (t) => {
    const world = await reconcileWorld(t, { settings: { approvalThreshold: 2 } });
    plantMissing(world, 2);
    const asked: string[] = [];
    const decider = withDecider(world, async (runId) => asked.push(runId));
    assert.deepEqual(await world.run(await openRun(world), decider), { kind: 'ended', state: 'completed', reason: null });
    assert.equal(asked.length, 0);
    world.pass(25 * hourMs);
    const keys = plantMissing(world, 3);
    const runId = await openRun(world);
    const approver = withDecider(world, async () => {
      for (const key of keys) assert.equal(await world.entry(key), null, 'nothing is changed before the decision');
      assert.equal((await approveAs(world, runId, 'maria')).kind, 'decided');
      asked.push(runId);
    });
    assert.deepEqual(await world.run(runId, approver), { kind: 'ended', state: 'completed', reason: null });
    assert.deepEqual(asked, [runId]);
    await world.assertEqualSides();
  });

  it('sums over the runs of 24 hours', async (t) => {
    const world = await reconcileWorld(t, { settings: { approvalThreshold: 2 } });
    plantMissing(world, 2);
    assert.equal((await world.reconcile()).outcome.kind, 'ended');
    plantMissing(world, 1);
    let asked = 0;
    const runId = await openRun(world);
    const approver = withDecider(world, async () => {
      asked += 1;
      await approveAs(world, runId, 'maria');
    });
    assert.deepEqual(await world.run(runId, approver), { kind: 'ended', state: 'completed', reason: null });
    assert.equal(asked, 1);
  });

  it('raises a critical incident above the second threshold, and still waits for approval', async (t) => {
    const world = await reconcileWorld(t, { settings: { approvalThreshold: 2, criticalThreshold: 3 } });
    plantMissing(world, 4);
    const runId = await openRun(world);
    const decider = withDecider(world, async () => {
      assert.equal(await world.count(`FROM event_outbox WHERE payload ->> 'alert' = 'divergences-critical'`), 1);
      assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 0);
      await approveAs(world, runId, 'maria');
    });
    assert.deepEqual(await world.run(runId, decider), { kind: 'ended', state: 'completed', reason: null });
  });
});

describe('R8: approval covers a list', () => {
  const settings = { approvalThreshold: 2 };

  it('refuses who asked, and who looked at another list', async (t) => {
    const world = await reconcileWorld(t, { settings });
    plantMissing(world, 3);
    const runId = await openRun(world);
    const decider = withDecider(world, async () => {
      const own = await approveAs(world, runId, 'ana');
      assert.ok(own.kind === 'refused');
      assert.match(own.reason, /another operator/);
      const other = await approveAs(world, runId, 'maria', '00000000');
      assert.ok(other.kind === 'refused');
      assert.match(other.reason, /the list is another one by now/);
      assert.equal((await approveAs(world, runId, 'maria')).kind, 'decided');
    });
    assert.deepEqual(await world.run(runId, decider), { kind: 'ended', state: 'completed', reason: null });
    assert.equal(
      await world.count(`FROM audit_log WHERE action = 'APPROVAL_GIVEN' AND actor = 'maria' AND NOT authenticated`),
      1,
    );
  });

  it('ends the run when nobody has approved within its time, and changes nothing', async (t) => {
    const world = await reconcileWorld(t, { settings });
    const keys = plantMissing(world, 3);
    const outcome = await world.run(await openRun(world));
    assert.ok(outcome.kind === 'ended' && outcome.state === 'cancelled', JSON.stringify(outcome));
    assert.match(outcome.reason ?? '', /expired/);
    for (const key of keys) assert.equal(await world.entry(key), null);
  });

  it('ends the run when it is rejected, with the reason', async (t) => {
    const world = await reconcileWorld(t, { settings });
    const keys = plantMissing(world, 3);
    const runId = await openRun(world);
    const actor = { name: 'maria', authenticated: false };
    const decider = withDecider(world, () =>
      decideApproval(world.deps, { runId, decision: 'rejected', actor, reason: 'not announced', digest: null }),
    );
    const outcome = await world.run(runId, decider);
    assert.deepEqual(outcome, { kind: 'ended', state: 'cancelled', reason: 'rejected by maria: not announced' });
    for (const key of keys) assert.equal(await world.entry(key), null);
  });

  it('drops what is stale when it is applied', async (t) => {
    const world = await reconcileWorld(t, { settings });
    const [stale, ...others] = plantMissing(world, 3);
    assert.ok(stale !== undefined);
    const runId = await openRun(world);
    const decider = withDecider(world, async () => {
      await approveAs(world, runId, 'maria');
      world.state.remove(stale, { log: true });
    });
    assert.deepEqual(await world.run(runId, decider), { kind: 'ended', state: 'completed', reason: null });
    assert.equal(await world.entry(stale), null);
    for (const key of others) assert.equal((await world.entry(key))?.status, 'ACTIVE');
  });

  it('does not cover what is found afterwards: that is asked about anew', async (t) => {
    const world = await reconcileWorld(t, { settings });
    plantMissing(world, 3);
    const runId = await openRun(world);
    let later: string[] = [];
    const decider = withDecider(world, async (_, time) => {
      if (time === 1) later = plantMissing(world, 1);
      else for (const key of later) assert.equal(await world.entry(key), null);
      await approveAs(world, runId, 'maria');
    });
    assert.deepEqual(await world.run(runId, decider), { kind: 'ended', state: 'completed', reason: null });
    assert.equal(await world.count('FROM reconciliation_approvals'), 2);
    await world.assertEqualSides();
  });
});

/** A key that DICT has dropped, after the run that marked it ORPHANED. */
async function orphan(world: ReconcileWorld) {
  const [sample] = world.first;
  assert.ok(sample);
  world.state.remove(sample.entry.key, { log: true });
  world.pass(10 * minuteMs);
  const { outcome } = await world.reconcile();
  assert.ok(outcome.kind === 'ended' && outcome.state === 'completed', JSON.stringify(outcome));
  assert.equal((await world.entry(sample.entry.key))?.status, 'ORPHANED');
  const [item] = await openItems(world);
  assert.ok(item);
  return { sample, key: sample.entry.key, item };
}

async function openItems(world: ReconcileWorld) {
  await closeSettledReviews(world.database, null, world.clock.now());
  return readReviews(world.database, { participant: null, statuses: ['PENDING', 'INVESTIGATING'], limit: 10 });
}

function decision(id: string, action: ReviewDecision['action'], version: number | null = null): ReviewDecision {
  return { id, action, actor: { name: 'maria', authenticated: false }, reason: 'looked at it', version };
}

describe('R9: keep means keep', () => {
  it('leaves a kept orphan outside the VSync and does not raise it again', async (t) => {
    const world = await reconcileWorld(t);
    const { key, item } = await orphan(world);
    assert.equal((await resolveReview(world.deps, decision(item.id, 'keep'))).kind, 'resolved');
    assert.equal((await world.entry(key))?.status, 'PENDING');
    assert.equal((await world.verify()).kind, 'in-sync');
    world.pass(hourMs);
    await world.reconcileFrom('file');
    assert.equal((await world.entry(key))?.status, 'PENDING');
    assert.deepEqual(await openItems(world), []);
  });

  it('makes a kept orphan active when the core shows it again', async (t) => {
    const world = await reconcileWorld(t);
    const { key, item, sample } = await orphan(world);
    await resolveReview(world.deps, decision(item.id, 'keep'));
    await world.ingest(world.event('key.updated', sample));
    assert.equal((await world.entry(key))?.status, 'ACTIVE');
  });

  it('makes an orphan active when DICT has it again, and closes the item by itself', async (t) => {
    const world = await reconcileWorld(t);
    const { key, sample } = await orphan(world);
    world.state.insert(sample, { log: true });
    world.pass(10 * minuteMs);
    const { outcome } = await world.reconcile();
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    assert.equal((await world.entry(key))?.status, 'ACTIVE');
    assert.deepEqual(await openItems(world), []);
    await world.assertEqualSides();
  });

  it('deletes only after a fresh 404: what DICT has again is reactivated instead', async (t) => {
    const world = await reconcileWorld(t);
    const { key, item, sample } = await orphan(world);
    world.state.insert(sample, { log: true });
    assert.equal((await resolveReview(world.deps, decision(item.id, 'confirm-deletion'))).kind, 'reactivated');
    assert.equal((await world.entry(key))?.status, 'ACTIVE');
  });

  it('deletes what DICT still does not have, and tells the core', async (t) => {
    const world = await reconcileWorld(t);
    const { key, item } = await orphan(world);
    assert.equal((await resolveReview(world.deps, decision(item.id, 'confirm-deletion'))).kind, 'resolved');
    assert.equal((await world.entry(key))?.status, 'DELETED');
    assert.equal(await world.count(`FROM core_corrections WHERE correction = 'delete' AND settled_at IS NULL`), 1);
    assert.equal((await world.verify()).kind, 'in-sync');
  });

  it('refuses a decision on a version that has changed since, and one that was made already', async (t) => {
    const world = await reconcileWorld(t);
    const { key, item } = await orphan(world);
    await resolveReview(world.deps, decision(item.id, 'investigate', item.version));
    const stale = await resolveReview(world.deps, decision(item.id, 'confirm-deletion', item.version));
    assert.ok(stale.kind === 'refused');
    assert.match(stale.reason, /has changed since version 1/);
    assert.equal((await world.entry(key))?.status, 'ORPHANED');
    await resolveReview(world.deps, decision(item.id, 'keep'));
    assert.equal((await resolveReview(world.deps, decision(item.id, 'keep'))).kind, 'refused');
  });
});
