/** The worker on its schedule: rounds of every scope, never two of one, until it is told to stop. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { listReports } from '../src/report/sync-report.ts';
import { runWorker } from '../src/runner/worker.ts';
import { reconcileWorld } from './support/reconcile-world.ts';

it('the worker repairs what the first round finds, verifies again an interval later, and stops when told to', async (t) => {
  const world = await reconcileWorld(t);
  const [gone] = world.first;
  assert.ok(gone);
  world.state.remove(gone.entry.key, { log: true });
  world.pass(600_000);
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
  const clock = {
    now: () => world.clock.now(),
    sleep: async (ms: number, signal?: AbortSignal): Promise<void> => {
      // The runner's own time limits must not move the world's clock.
      if (signal !== ending.signal) return new Promise(() => {});
      await new Promise(setImmediate);
      signal.throwIfAborted();
      world.pass(ms);
    },
  };
  const working = runWorker({
    ...world.deps,
    clock,
    log,
    signal: ending.signal,
    suspendOnWait: false,
    wakePollMs: 60_000,
    detailsKeys: null,
    schedule: { dailyAt: '03:00', timeZone: 'America/Sao_Paulo', everyMs: 3_600_000 },
    scopes: () => Promise.resolve([world.scope]),
    requestedBy: { name: 'dict-vsync', authenticated: true },
  });
  const ended = async (): Promise<string[]> => {
    const reports = await listReports(world.database, { limit: 100 });
    return reports.flatMap(({ completedAt, outcome }) => (completedAt === null ? [] : [outcome ?? '']));
  };
  for (let looks = 0; (await ended()).length < 3 && looks < 500; looks++) await new Promise((done) => setTimeout(done, 20));
  ending.abort(new Error('the test is over'));
  await working;
  const outcomes = (await ended()).reverse();
  assert.equal(outcomes[0], 'completed');
  assert.ok(outcomes.length >= 3 && outcomes.slice(1).every((outcome) => outcome.startsWith('in-sync')), outcomes.join(', '));
  assert.deepEqual(failures, []);
  await world.assertEqualSides();
});
