/** An entry-level synchronisation whose process is killed with SIGKILL before and after each of its own steps. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadBase } from '../src/demo/loading.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { testDatabase } from './support/database.ts';
import { sharedClock } from './support/reconcile-victim.ts';
import { SCOPE } from './support/reconcile-world.ts';
import type { VSyncOrders } from './support/vsync-victim.ts';

const victim = fileURLToPath(new URL('./support/vsync-victim.ts', import.meta.url));
const factor = 100;
const victimLimitMs = 120_000;

type World = Awaited<ReturnType<typeof killWorld>>;

/** Base and DICT with 60 equal keys, and at DICT: 3 more, 2 changed, 1 gone, none of it in the log. */
async function killWorld(t: TestContext) {
  const database = await testDatabase(t);
  const shared = { startMs: Date.now(), factor };
  const clock = sharedClock(shared);
  const simulator = await startSimulator({ clock, policies: null });
  const workDirectory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-kill-'));
  t.after(async () => {
    await simulator.close();
    await rm(workDirectory, { recursive: true, force: true });
  });
  const samples = [...sampleEntries({ seed: 3, ...SCOPE, count: 63 })];
  const both = samples.slice(0, 60);
  simulator.state.seedEntries(both);
  const loading = { database, clock, newId: randomUUID, directory: workDirectory, signal: t.signal };
  await loadBase(loading, both, new Date(clock.now().getTime() - 3_600_000), () => {});
  for (const sample of samples.slice(60)) simulator.state.insert(sample);
  for (const { entry } of both.slice(0, 2)) simulator.state.alter(entry.key, { accountNumber: '0000000042' });
  for (const { entry } of both.slice(2, 3)) simulator.state.remove(entry.key);
  const { apiUrl, listingUrl } = simulator;
  const orders = { databaseUrl: database.url, apiUrl, listingUrl, workDirectory, ...SCOPE, clock: shared };
  return { database, state: simulator.state, orders };
}

interface Death {
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(world: World, kill: VSyncOrders['kill']): Promise<Death> {
  const child = spawn(process.execPath, [victim, JSON.stringify({ ...world.orders, kill })], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: victimLimitMs,
  });
  const texts = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk) => {
    texts.stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    texts.stderr += chunk;
  });
  const [, signal] = await once(child, 'close');
  return { signal, ...texts };
}

const deaths = [
  { step: 'claimListing', when: 'after', call: 1 },
  { step: 'openVSyncReport', when: 'before', call: 1 },
  { step: 'readListingPage', when: 'before', call: 2 },
  { step: 'readListingPage', when: 'after', call: 2 },
  { step: 'compareListing', when: 'before', call: 1 },
  { step: 'compareListing', when: 'after', call: 1 },
  { step: 'openListed', when: 'after', call: 1 },
  { step: 'judgeDivergences', when: 'after', call: 1 },
  { step: 'endVSync', when: 'before', call: 1 },
] as const;

describe('an entry-level synchronisation whose process is killed', () => {
  it('goes on where it was, under one report, and repairs each thing once', { timeout: 600_000 }, async (t) => {
    const world = await killWorld(t);
    for (const kill of deaths) {
      const death = await run(world, kill);
      assert.equal(death.signal, 'SIGKILL', `${kill.when} ${kill.step}: ${death.stdout}${death.stderr}`);
    }
    const last = await run(world, null);
    assert.match(last.stdout, /"Status":"COMPLETED"/, last.stderr);
    assert.match(last.stdout, /"EntriesSynced":62,"EntriesCreated":3,"EntriesUpdated":2,"EntriesDeleted":1/);
    const { rows } = await world.database.query<{ listings: number; reports: number; runs: number; repairs: number }>(
      `SELECT (SELECT count(*) FROM entry_listings) AS listings, (SELECT count(*) FROM sync_reports) AS reports,
         (SELECT count(*) FROM dict_reconciliations) AS runs,
         (SELECT count(*) FROM audit_log WHERE kind = 'correction') AS repairs`,
    );
    assert.deepEqual(rows[0], { listings: 1, reports: 1, runs: 1, repairs: 6 });
    // Five pages of 15, one of them read twice: it was on its way when its process was killed before it was committed.
    assert.ok((world.state.counts()['getKeys 200'] ?? 0) <= 6, JSON.stringify(world.state.counts()));
    const here = await world.database.query<{ cid: string }>(
      `SELECT encode(cid, 'hex') AS cid FROM dict_entries WHERE status = 'ACTIVE'`,
    );
    const there = [...world.state.activeEntries(SCOPE)].map(({ cid }) => cid);
    assert.deepEqual(here.rows.map(({ cid }) => cid).toSorted(), there.toSorted());
  });
});
