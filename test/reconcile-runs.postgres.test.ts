/** Rules R6, R10 and R20: one run at a time, its resumption after a death anywhere, and what it leaves behind. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AllSteps, type ReconcileWorld, reconcileWorld } from './support/reconcile-world.ts';

const minuteMs = 60_000;

async function opened(world: ReconcileWorld, fromRung: 'log' | 'file' | 'scan' = 'file'): Promise<string> {
  const opening = await world.open({ fromRung });
  assert.ok(opening.kind === 'opened', JSON.stringify(opening));
  return opening.runId;
}

/** One key only at DICT, one with other data there, one that DICT has dropped; old enough to be judged. */
function plant(world: ReconcileWorld): { readonly missing: string; readonly gone: string } {
  const [changed, gone] = world.first;
  const [missing] = world.take(1);
  assert.ok(changed && gone && missing);
  world.state.alter(changed.entry.key, { accountNumber: '0099887766' });
  world.state.remove(gone.entry.key);
  world.state.insert(missing);
  world.pass(10 * minuteMs);
  return { missing: missing.entry.key, gone: gone.entry.key };
}

class Killed extends Error {}

/** Steps of which the given one never returns: killed before it began, or after it had committed. */
function killedAt(steps: AllSteps, at: number, when: 'before' | 'after'): { steps: AllSteps; taken: () => number } {
  let taken = 0;
  let dead = false;
  const wrapped = Object.entries(steps).map(([name, step]: [string, (input: never) => Promise<unknown>]) => {
    const dying = async (input: never): Promise<unknown> => {
      if (dead) throw new Killed();
      const mine = taken++;
      if (mine === at && when === 'before') dead = true;
      if (dead) throw new Killed();
      const answer = await step(input);
      if (mine === at) dead = true;
      if (dead) throw new Killed();
      return answer;
    };
    return [name, dying];
  });
  // Every member is the same function with a death in it.
  return { steps: Object.fromEntries(wrapped) as AllSteps, taken: () => taken };
}

describe('R6: one run', () => {
  it('attaches a second request to the run that is open', async (t) => {
    const world = await reconcileWorld(t);
    plant(world);
    const runId = await opened(world);
    assert.deepEqual(await world.open({ fromRung: 'scan' }), { kind: 'attached', runId });
    const both = await Promise.all([world.open({}), world.open({})]);
    assert.deepEqual(
      both.map(({ kind }) => kind),
      ['attached', 'attached'],
    );
  });

  it('opens one run of two requests at the same moment', async (t) => {
    const world = await reconcileWorld(t);
    const kinds = (await Promise.all([world.open({}), world.open({}), world.open({})])).map(({ kind }) => kind);
    assert.deepEqual(kinds.toSorted(), ['attached', 'attached', 'opened']);
  });

  it('answers superseded to a NOK about a state from before the last repair', async (t) => {
    const world = await reconcileWorld(t);
    plant(world);
    const verificationRunId = '5a1e0b5e-0000-4000-8000-000000000001';
    assert.equal((await world.verify(verificationRunId)).kind, 'diverged');
    const runId = await opened(world);
    assert.deepEqual(await world.run(runId), { kind: 'ended', state: 'completed', reason: null });
    assert.equal((await world.open({ verificationRunId })).kind, 'superseded');
  });

  it('lets nobody write who slept through the lease', async (t) => {
    const world = await reconcileWorld(t);
    plant(world);
    const runId = await opened(world);
    const slept: string[] = [];
    const sleeper: AllSteps = {
      ...world.steps,
      applyRepairs: async (input) => {
        if (slept.length > 0) return world.steps.applyRepairs(input);
        slept.push('applyRepairs');
        world.pass(2 * minuteMs);
        // Somebody else takes the run over and finishes it meanwhile.
        assert.deepEqual(await world.run(runId), { kind: 'ended', state: 'completed', reason: null });
        const corrections = await world.count(`FROM audit_log WHERE kind = 'correction'`);
        const next = await world.steps.applyRepairs(input);
        assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), corrections);
        return next;
      },
    };
    const outcome = await world.run(runId, sleeper);
    assert.deepEqual(slept, ['applyRepairs']);
    assert.deepEqual(outcome, { kind: 'ended', state: 'completed', reason: null });
    await world.assertEqualSides();
  });

  it('leaves a run alone that another process works on', async (t) => {
    const world = await reconcileWorld(t);
    plant(world);
    const runId = await opened(world);
    const first = await world.steps.claimReconciliation({ runId, owner: 'one' });
    assert.equal(first.kind, 'claimed');
    const second = await world.steps.claimReconciliation({ runId, owner: 'two' });
    assert.equal(second.kind, 'held');
  });
});

describe('a run that is killed', () => {
  for (const when of ['before', 'after'] as const) {
    it(`ends as if nothing had happened, whichever step it is killed ${when}`, { timeout: 240_000 }, async (t) => {
      const world = await reconcileWorld(t);
      let kills = 0;
      for (let at = 0; at < 100; at++) {
        const { missing, gone } = plantOnce(world);
        const filesBefore = world.state.counts()['createCidSetFile 201'] ?? 0;
        const runId = await opened(world);
        const deadly = killedAt(world.steps, at, when);
        const survived = await world.run(runId, deadly.steps).then(
          () => true,
          (failure) => {
            if (!(failure instanceof Killed)) throw failure;
            return false;
          },
        );
        if (!survived) kills += 1;
        world.pass(2 * minuteMs);
        assert.deepEqual(
          await world.run(runId),
          { kind: 'ended', state: 'completed', reason: null },
          `killed ${when} step ${at}`,
        );
        assert.equal((await world.entry(missing))?.status, 'ACTIVE');
        assert.equal((await world.entry(gone))?.status, 'ORPHANED');
        // The one file that may be lost is the one asked for and killed over before its Id was kept: not possible between steps.
        assert.equal((world.state.counts()['createCidSetFile 201'] ?? 0) - filesBefore, 1, `killed ${when} step ${at}`);
        await world.assertEqualSides();
        if (survived) break;
      }
      assert.ok(kills >= 10, `only ${kills} steps were killed`);
    });
  }
});

function plantOnce(world: ReconcileWorld): { readonly missing: string; readonly gone: string } {
  const [missing, gone] = world.take(2);
  assert.ok(missing && gone);
  world.state.insert(missing);
  const [first] = [...world.state.activeEntries(world.scope)];
  assert.ok(first);
  world.state.remove(first.entry.key);
  world.pass(10 * minuteMs);
  return { missing: missing.entry.key, gone: first.entry.key };
}

describe('R10: deferral ends', () => {
  it('settles what was too young by CID alone, without another file, and completes only then', async (t) => {
    const world = await reconcileWorld(t);
    const [sample] = world.first;
    assert.ok(sample);
    world.state.remove(sample.entry.key, { log: true });
    world.pass(minuteMs);
    const runId = await opened(world);
    const states = new Set<string>();
    const watching: AllSteps = {
      ...world.steps,
      judgeDivergences: async (input) => {
        for (const { state } of await world.divergences(runId)) states.add(state);
        return world.steps.judgeDivergences(input);
      },
    };
    const begun = world.clock.now().getTime();
    assert.deepEqual(await world.run(runId, watching), { kind: 'ended', state: 'completed', reason: null });
    assert.ok(states.has('deferred'), [...states].join(', '));
    assert.ok(world.clock.now().getTime() - begun >= 4 * minuteMs, 'nothing was settled before the grace was over');
    assert.equal(world.state.counts()['createCidSetFile 201'], 1);
    assert.equal((await world.entry(sample.entry.key))?.status, 'ORPHANED');
  });
});

describe('R20: failed fixes are carried', () => {
  it('takes up in the next run what the last one left open, and settles it', async (t) => {
    const world = await reconcileWorld(t);
    const [missing] = world.take(1);
    assert.ok(missing);
    world.state.insert(missing, { log: true });
    world.state.setBlocked(missing.entry.key, true);
    world.pass(10 * minuteMs);
    const first = await world.reconcile();
    assert.ok(first.outcome.kind === 'ended' && first.outcome.state === 'partial', JSON.stringify(first.outcome));
    assert.deepEqual(
      (await world.divergences(first.runId)).map(({ state }) => state),
      ['open'],
    );
    world.state.setBlocked(missing.entry.key, false);
    world.pass(10 * minuteMs);
    const second = await world.reconcileFrom('log');
    assert.deepEqual(second.outcome, { kind: 'ended', state: 'completed', reason: null });
    const [carried] = await world.divergences(second.runId);
    assert.equal(carried?.state, 'applied');
    assert.notEqual(carried?.carried_from, null);
    await world.assertEqualSides();
  });

  it('stays open from run to run while nothing can be done', async (t) => {
    const world = await reconcileWorld(t);
    const [missing] = world.take(1);
    assert.ok(missing);
    world.state.insert(missing, { log: true });
    world.state.setBlocked(missing.entry.key, true);
    world.pass(10 * minuteMs);
    await world.reconcile();
    world.pass(10 * minuteMs);
    const { runId, outcome } = await world.reconcile();
    assert.ok(outcome.kind === 'ended' && outcome.state === 'partial', JSON.stringify(outcome));
    const [carried] = await world.divergences(runId);
    assert.equal(carried?.state, 'open');
    assert.notEqual(carried?.carried_from, null);
  });
});
