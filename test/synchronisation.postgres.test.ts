/** The whole main job with its report, against the real simulator and a real database, also when its process ends. */

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { DictApi } from '../src/dict/api.ts';
import { DictError } from '../src/dict/errors.ts';
import { decideApproval } from '../src/reconcile/approval.ts';
import { createReconciliationSteps } from '../src/reconcile/steps.ts';
import { openDetails } from '../src/report/details-cipher.ts';
import { findReport, listReports } from '../src/report/sync-report.ts';
import { FlowSuspended } from '../src/runner/in-process-runner.ts';
import { runSynchronisation, type SynchronisationRunDeps } from '../src/runner/synchronisation-run.ts';
import { type ReconcileWorld, type ReconcileWorldOptions, reconcileWorld } from './support/reconcile-world.ts';

const detailsKeys = new Map([[1, randomBytes(32)]]);

function silentLog() {
  const nothing = (): void => {};
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing, child: () => log };
  return log;
}

const going = new AbortController().signal;

/** The world's clock moves only when something sleeps; the runner's own time limits must not move it. */
function depsOf(world: ReconcileWorld, more: Partial<SynchronisationRunDeps> = {}): SynchronisationRunDeps {
  const clock = {
    now: () => world.clock.now(),
    sleep: (ms: number, signal?: AbortSignal): Promise<void> => {
      if (signal !== going) return new Promise(() => {});
      world.pass(ms);
      return Promise.resolve();
    },
  };
  const runner = { clock, log: silentLog(), signal: going, suspendOnWait: true, wakePollMs: 60_000 };
  return { ...world.deps, ...runner, detailsKeys, ...more };
}

function input(world: ReconcileWorld, fromRung: 'scan' | null = null) {
  const requestedBy = { name: 'ana', authenticated: false };
  return { syncId: randomUUID(), owner: randomUUID(), ...world.scope, requestedBy, fromRung };
}

/** Three divergences, one of each kind that a log can show. */
async function diverged(t: Parameters<typeof reconcileWorld>[0], options: ReconcileWorldOptions = {}): Promise<ReconcileWorld> {
  const world = await reconcileWorld(t, options);
  const [changed, gone] = world.first;
  const [missing] = world.take(1);
  assert.ok(changed && gone && missing);
  world.state.alter(changed.entry.key, { accountNumber: '0099887766' }, { log: true });
  world.state.remove(gone.entry.key, { log: true });
  world.state.insert(missing, { log: true });
  world.pass(600_000);
  return world;
}

describe('a synchronisation', () => {
  it('that finds everything in sync leaves a completed report without divergences', async (t) => {
    const world = await reconcileWorld(t);
    const result = await runSynchronisation(depsOf(world), input(world));
    assert.equal(result.kind === 'ended' && result.status, 'COMPLETED');
    const [report] = await listReports(world.database, { limit: 10 });
    assert.equal(report?.outcome, 'in-sync (ok)');
    assert.deepEqual([report.figures?.totalKeysLocal, report.figures?.verificationsSent], [40, 1]);
    assert.deepEqual([report.keysInSync, report.figures?.divergencesOpen], [40, 0]);
  });

  it('stands as RUNNING before DICT is asked', async (t) => {
    let statusWhenAsked: string | undefined;
    let world: ReconcileWorld | null = null;
    const watched = (dict: DictApi): DictApi => ({
      ...dict,
      createSyncVerification: async (...call) => {
        if (world !== null) statusWhenAsked ??= (await listReports(world.database, { limit: 1 }))[0]?.status;
        return dict.createSyncVerification(...call);
      },
    });
    world = await reconcileWorld(t, { dict: watched });
    await runSynchronisation(depsOf(world), input(world));
    assert.equal(statusWhenAsked, 'RUNNING');
  });

  it('repairs, and its report counts each kind and lists the divergences masked and sealed', async (t) => {
    const world = await diverged(t);
    const result = await runSynchronisation(depsOf(world), input(world));
    assert.equal(result.kind === 'ended' && result.status, 'COMPLETED');
    const report = result.kind === 'ended' ? await findReport(world.database, result.syncId) : null;
    assert.ok(report?.figures && report.details);
    const { missingLocal, outdatedLocal, orphaned, entriesCreated, entriesUpdated, entriesDeleted } = report.figures;
    assert.deepEqual([missingLocal, outdatedLocal, orphaned], [1, 1, 1]);
    assert.deepEqual([entriesCreated, entriesUpdated, entriesDeleted], [1, 1, 1]);
    const details = JSON.stringify(openDetails(detailsKeys, report.id, report.details));
    for (const kind of ['missing_local', 'outdated_local', 'orphaned']) assert.ok(details.includes(kind), kind);
    for (const { entry } of world.first) assert.ok(!details.includes(entry.key), 'keys are masked');
    await world.assertEqualSides();
  });

  it('whose process ended in the middle goes on with the same run, and closes the same report', async (t) => {
    let dies = false;
    let asked = 0;
    const dying = (dict: DictApi): DictApi => ({
      ...dict,
      getEntryByCid: async (...call) => {
        if (!dies || (await world.count('FROM dict_reconciliations')) === 0) return dict.getEntryByCid(...call);
        asked += 1;
        return new Promise(() => {});
      },
    });
    const world: ReconcileWorld = await diverged(t, { dict: dying });
    dies = true;
    const hanging = runSynchronisation(depsOf(world), input(world)).catch(() => {});
    for (let looks = 0; asked === 0 && looks < 500; looks++) await new Promise((done) => setTimeout(done, 20));
    assert.ok(asked > 0, 'the first process is in the middle of its reconciliation');
    void hanging;
    const [running] = await listReports(world.database, { limit: 10 });
    assert.equal(running?.status, 'RUNNING');

    dies = false;
    world.pass(120_000);
    const result = await runSynchronisation(depsOf(world), input(world));
    assert.deepEqual(result.kind === 'ended' && [result.status, result.syncId], ['COMPLETED', running.id]);
    assert.equal((await listReports(world.database, { limit: 10 })).length, 1);
    await world.assertEqualSides();
  });

  it('whose process ended before DICT was asked is closed as failed when the next one starts', async (t) => {
    const world = await reconcileWorld(t);
    const stopped = depsOf(world, {
      dict: { ...world.deps.dict, createSyncVerification: () => Promise.reject(new RangeError('the process ends here')) },
    });
    await assert.rejects(runSynchronisation(stopped, input(world)), RangeError);
    await runSynchronisation(depsOf(world), input(world));
    const reports = await listReports(world.database, { limit: 10 });
    assert.deepEqual(reports.map((report) => [report.status, report.outcome]).toSorted(), [
      ['COMPLETED', 'in-sync (ok)'],
      ['FAILED', 'abandoned'],
    ]);
  });

  it('that finds a reconciliation opened meanwhile by another process closes its own report and says so', async (t) => {
    const world = await diverged(t);
    const steps = createReconciliationSteps(world.deps);
    const dict: DictApi = {
      ...world.deps.dict,
      createSyncVerification: async (...call) => {
        const answer = await world.deps.dict.createSyncVerification(...call);
        const opening = await world.open({ fromRung: 'scan' });
        if (opening.kind === 'opened') await steps.claimReconciliation({ runId: opening.runId, owner: 'somebody else' });
        return answer;
      },
    };
    const { clock } = depsOf(world);
    const beside = {
      ...clock,
      sleep: async (ms: number, signal?: AbortSignal): Promise<void> => {
        await clock.sleep(ms, signal);
        // The other process lives: it renews its lease while this one waits.
        await world.database.query('UPDATE dict_reconciliations SET lease_until = $1 WHERE lease_owner = $2', [
          new Date(world.clock.now().getTime() + 60_000),
          'somebody else',
        ]);
      },
    };
    const deps = depsOf(world, { dict, clock: beside });
    const result = await runSynchronisation(deps, input(world));
    assert.equal(result.kind === 'ended' && result.status, 'FAILED');
    const [report] = await listReports(world.database, { limit: 1 });
    assert.match(report?.errorMessage ?? '', /another process works on it/);
  });

  it('that needs an approval suspends, stays RUNNING, and ends once another operator has approved', async (t) => {
    const world = await diverged(t, { settings: { approvalThreshold: 2 } });
    await assert.rejects(runSynchronisation(depsOf(world), input(world)), FlowSuspended);
    const [waiting] = await listReports(world.database, { limit: 1 });
    assert.equal(waiting?.status, 'RUNNING');
    const { rows } = await world.database.query<{ id: string }>('SELECT id FROM dict_reconciliations WHERE ended_at IS NULL');
    const decided = await decideApproval(world.deps, {
      runId: rows[0]?.id ?? '',
      decision: 'approved',
      actor: { name: 'bruno', authenticated: false },
      reason: 'looked at',
      digest: null,
    });
    assert.equal(decided.kind, 'decided');
    const result = await runSynchronisation(depsOf(world), input(world));
    assert.deepEqual(result.kind === 'ended' && [result.status, result.syncId], ['COMPLETED', waiting.id]);
    await world.assertEqualSides();
  });

  it('that cannot reach DICT fails with the reason and changes nothing', async (t) => {
    const world = await reconcileWorld(t);
    const unreachable = {
      ...world.deps.dict,
      createSyncVerification: () => Promise.reject(new DictError('Unreachable', 0, 'nobody there')),
    };
    const result = await runSynchronisation(depsOf(world, { dict: unreachable }), input(world));
    assert.equal(result.kind === 'ended' && result.status, 'FAILED');
    assert.match(result.kind === 'ended' ? result.outcome : '', /^unavailable: /);
    assert.equal(await world.count('FROM dict_reconciliations'), 0);
  });

  it('from the scan on repairs rows that no verification can see', async (t) => {
    const world = await reconcileWorld(t);
    const [row] = world.first;
    assert.ok(row);
    await world.database.query(`UPDATE dict_entries SET account_number = '666' WHERE key = $1`, [row.entry.key]);
    const result = await runSynchronisation(depsOf(world), input(world, 'scan'));
    assert.equal(result.kind === 'ended' && result.status, 'COMPLETED');
    const report = result.kind === 'ended' ? await findReport(world.database, result.syncId) : null;
    assert.equal(report?.figures?.altered, 1);
    await world.assertEqualSides();
  });
});
