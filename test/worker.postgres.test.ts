/** The worker on its schedule: rounds of every scope, entry-level synchronisations where they are wanted, never two of one, until it is told to stop. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { it, type TestContext } from 'node:test';
import { claimListing } from '../src/reconcile/listing-claiming.ts';
import { listReports } from '../src/report/sync-report.ts';
import type { VSyncSchedule } from '../src/runner/vsync-rounds.ts';
import { runWorker } from '../src/runner/worker.ts';
import { type ReconcileWorld, reconcileWorld } from './support/reconcile-world.ts';
import { type VSyncWorld, vsyncWorld } from './support/vsync-world.ts';

const requestedBy = { name: 'dict-vsync', authenticated: true } as const;
const schedule = { dailyAt: '03:00', timeZone: 'America/Sao_Paulo', everyMs: 3_600_000 };
const dayMs = 86_400_000;

interface Worker {
  /** What was logged as an error. */
  readonly failures: readonly unknown[];
  /** Waits until that holds, for three days of the world's time at most. */
  until(holds: () => Promise<boolean>): Promise<void>;
  /** Tells the worker to stop, and waits until it has. */
  stop(): Promise<void>;
}

/** What the steps ask of others, and a wait until no answer is outstanding: so that time stands still while anybody works. */
function watchedDeps(world: ReconcileWorld | VSyncWorld, vsync: VSyncSchedule | null) {
  let underWay = 0;
  const counted = async <Result>(answer: Promise<Result>): Promise<Result> => {
    underWay += 1;
    try {
      return await answer;
    } finally {
      underWay -= 1;
    }
  };
  const watched = <Target extends object>(target: Target): Target => {
    const members = Object.entries(target).map(([name, member]: [string, unknown]) => {
      if (typeof member !== 'function') return [name, member];
      const method = (...given: unknown[]): unknown => {
        const answer: unknown = member(...given);
        return answer instanceof Promise ? counted(answer) : answer;
      };
      return [name, method];
    });
    // Every member is the same one, counted while it is under way.
    return Object.fromEntries(members) as Target;
  };
  return {
    database: watched(world.deps.database),
    dict: watched(world.deps.dict),
    vsync: vsync === null ? null : { ...vsync, listing: watched(vsync.listing) },
    quiet: async (): Promise<void> => {
      // Ends when nothing has been under way for a few turns: each answer has its limit.
      for (let turns = 0; turns < 3; turns = underWay === 0 ? turns + 1 : 0) await new Promise(setImmediate);
    },
  };
}

/** A worker whose time is the world's: it passes when everybody who works on something has come to sleep. */
function startWorker(
  t: TestContext,
  world: ReconcileWorld | VSyncWorld,
  { vsync = null, everyMs = schedule.everyMs }: { readonly vsync?: VSyncSchedule | null; readonly everyMs?: number } = {},
): Worker {
  const ending = new AbortController();
  const nothing = (): void => {};
  const failures: unknown[] = [];
  const log = {
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: (fields: unknown) => failures.push(fields),
    child: () => log,
  };
  const { quiet, ...watched } = watchedDeps(world, vsync);
  const clock = {
    now: () => world.clock.now(),
    sleep: async (ms: number, signal?: AbortSignal): Promise<void> => {
      // The runner's own time limits must not move the world's clock.
      if (signal !== ending.signal) return new Promise(() => {});
      await quiet();
      signal.throwIfAborted();
      world.pass(ms);
    },
  };
  const working = runWorker({
    ...world.deps,
    ...watched,
    clock,
    log,
    signal: ending.signal,
    suspendOnWait: false,
    wakePollMs: 60_000,
    detailsKeys: null,
    schedule: { ...schedule, everyMs },
    scopes: () => Promise.resolve([world.scope]),
    requestedBy,
  });
  const stop = async (): Promise<void> => {
    ending.abort(new Error('the test is over'));
    await working;
  };
  t.after(stop);
  return {
    failures,
    until: async (holds) => {
      const giveUp = new Date(world.clock.now().getTime() + 3 * dayMs);
      // By the world's time, which passes only as fast as the work is done: however slow the machine is, nothing is given up early.
      while (!(await holds())) {
        assert.ok(world.clock.now() < giveUp, 'it comes to that');
        await new Promise((done) => setTimeout(done, 20));
      }
    },
    stop,
  };
}

/** Reports that are closed, the oldest first. */
async function closedReports({ database }: ReconcileWorld | VSyncWorld) {
  const reports = await listReports(database, { limit: 1_000 });
  return reports.filter(({ completedAt }) => completedAt !== null).reverse();
}

/** Those of entry-level synchronisations. */
async function entryLevel(world: VSyncWorld) {
  const reports = (await closedReports(world)).filter(({ keyType }) => keyType === 'ALL');
  return reports.map(({ startedAt, syncType, status }) => ({ startedAt: startedAt.toISOString(), syncType, status }));
}

function listed(world: VSyncWorld, syncType: VSyncSchedule['syncType']): VSyncSchedule {
  const { listing, listingSettings } = world.vsyncDeps;
  const { dailyAt, timeZone } = schedule;
  return { listing, listingSettings, daily: { dailyAt, timeZone }, syncType };
}

/** A world whose time stands at that time of day of the same or the next day. */
async function worldAt(t: TestContext, time: string): Promise<VSyncWorld> {
  const world = await vsyncWorld(t, { listingSettings: { pageSize: 15 } });
  const now = world.clock.now();
  const at = new Date(`${now.toISOString().slice(0, 10)}T${time}Z`).getTime();
  world.pass(at - now.getTime() + (at < now.getTime() ? dayMs : 0));
  return world;
}

it('the worker repairs what the first round finds, verifies again an interval later, and stops when told to', async (t) => {
  const world = await reconcileWorld(t);
  const [gone] = world.first;
  assert.ok(gone);
  world.state.remove(gone.entry.key, { log: true });
  world.pass(600_000);
  const worker = startWorker(t, world);
  await worker.until(async () => (await closedReports(world)).length >= 3);
  await worker.stop();
  const outcomes = (await closedReports(world)).map(({ outcome }) => outcome ?? '');
  assert.equal(outcomes[0], 'completed');
  assert.ok(outcomes.length >= 3 && outcomes.slice(1).every((outcome) => outcome.startsWith('in-sync')), outcomes.join(', '));
  assert.deepEqual(worker.failures, []);
  await world.assertEqualSides();
  assert.equal(world.state.counts()['getKeys 200'], undefined, 'nothing is listed that nobody asked for');
});

it('the worker compares entry by entry each day at its time, beside verifications, where that is configured', async (t) => {
  // Half an hour before 03:00 in São Paulo.
  const world = await worldAt(t, '05:30:00');
  const from = world.clock.now().toISOString().slice(0, 10);
  const worker = startWorker(t, world, { vsync: listed(world, 'INCREMENTAL') });
  await worker.until(async () => (await entryLevel(world)).length >= 2);
  await worker.stop();
  const [first, second] = await entryLevel(world);
  assert.equal(first?.startedAt.slice(0, 16), `${from}T06:00`);
  assert.equal(second?.startedAt.slice(0, 16), `${new Date(Date.parse(from) + dayMs).toISOString().slice(0, 10)}T06:00`);
  // There is nothing yet that the first could have gone on from.
  assert.deepEqual(
    [first?.syncType, first?.status, second?.syncType, second?.status],
    ['FULL', 'COMPLETED', 'INCREMENTAL', 'COMPLETED'],
  );
  const others = (await closedReports(world)).filter(({ keyType }) => keyType !== 'ALL');
  assert.ok(others.length >= 24, `${others.length} verifications went on beside it`);
  assert.deepEqual(worker.failures, []);
});

it('the worker makes up for a day that was missed, and repairs what only the listing shows', async (t) => {
  const world = await worldAt(t, '07:00:00');
  const { Status } = await world.synced();
  assert.equal(Status, 'COMPLETED');
  world.pass(2 * dayMs);
  const [changed] = world.first;
  assert.ok(changed);
  world.state.alter(changed.entry.key, { accountNumber: '0000000042' });
  world.pass(3_600_000);
  // The first verification of the worker finds it too, or attaches; whoever is first repairs it once.
  const began = world.clock.now().toISOString();
  const worker = startWorker(t, world, { vsync: listed(world, 'FULL'), everyMs: dayMs });
  await worker.until(async () => (await entryLevel(world)).length >= 2);
  await worker.stop();
  const [, madeUp] = await entryLevel(world);
  assert.equal(madeUp?.startedAt, began, 'at once, not at the next 03:00');
  assert.deepEqual([madeUp.syncType, madeUp.status], ['FULL', 'COMPLETED']);
  assert.equal(await world.count(`FROM audit_log WHERE kind = 'correction'`), 1);
  assert.deepEqual(worker.failures, []);
  await world.assertEqualSides();
});

it('the worker goes on at once with a listing that a process left open', async (t) => {
  const world = await worldAt(t, '07:00:00');
  const { participant } = world.scope;
  const listingId = randomUUID();
  const asked = { listingId, participant, syncType: 'FULL', lastSyncDate: null, owner: 'killed', requestedBy } as const;
  assert.equal((await claimListing(world.vsyncDeps, asked)).kind, 'claimed');
  const left = world.clock.now().getTime();
  const worker = startWorker(t, world, { vsync: listed(world, 'INCREMENTAL'), everyMs: dayMs });
  await worker.until(async () => (await entryLevel(world)).length >= 1);
  await worker.stop();
  const reports = (await closedReports(world)).filter(({ keyType }) => keyType === 'ALL');
  assert.deepEqual(
    reports.map(({ id, syncType, status }) => [id, syncType, status]),
    [[listingId, 'FULL', 'COMPLETED']],
  );
  const took = (reports[0]?.completedAt?.getTime() ?? 0) - left;
  assert.ok(took < 3_600_000, `it went on after the lease of the other had run out: ${took / 60_000} min`);
  assert.deepEqual(worker.failures, []);
});

it('the worker tries again the next day where the directory was out of reach, and says so in a report', async (t) => {
  const world = await worldAt(t, '05:30:00');
  world.state.addFault({ operation: 'getKeys', times: 3, error: 'ServiceUnavailable', retryAfter: null });
  const worker = startWorker(t, world, { vsync: listed(world, 'FULL'), everyMs: dayMs });
  await worker.until(async () => (await entryLevel(world)).length >= 2);
  await worker.stop();
  const [failed, next] = await entryLevel(world);
  assert.deepEqual([failed?.status, next?.status], ['FAILED', 'COMPLETED']);
  const apartMs = Date.parse(next?.startedAt ?? '') - Date.parse(failed?.startedAt ?? '');
  assert.ok(apartMs >= dayMs && apartMs < dayMs + 2 * 60_000, `${apartMs / 3_600_000} h, looked at each minute`);
  assert.deepEqual(worker.failures, []);
});
