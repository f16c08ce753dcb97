/** A reconciliation whose process is killed with SIGKILL at every state, and at random moments (rule R6). */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { computeCid } from '../src/cid/cid.ts';
import { type SampleEntry, sampleEntries } from '../src/dict/sample-entries.ts';
import { writeEntries } from '../src/ingest/entry-store.ts';
import { ensureParticipants } from '../src/ingest/participant-store.ts';
import { decideApproval } from '../src/reconcile/approval.ts';
import { openReconciliation } from '../src/reconcile/opening.ts';
import { readRun } from '../src/reconcile/run-store.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { commitTransitions, lockVSyncs } from '../src/vsync/vsync-store.ts';
import { testDatabase } from './support/database.ts';
import { sharedClock, VICTIM_SETTINGS, type VictimOrders, WORK_BEGINS } from './support/reconcile-victim.ts';
import { SCOPE } from './support/reconcile-world.ts';

const victim = fileURLToPath(new URL('./support/reconcile-victim.ts', import.meta.url));
const factor = 100;
const victimLimitMs = 60_000;

type World = Awaited<ReturnType<typeof killWorld>>;

/** Base and DICT with equal keys, and at DICT: 3 more, 2 changed, 1 gone, none of it in the log; a run from the file on. */
async function killWorld(t: TestContext, keys = 60) {
  const database = await testDatabase(t);
  const shared = { startMs: Date.now(), factor };
  const clock = sharedClock(shared);
  const simulator = await startSimulator({ clock, policies: null });
  const workDirectory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-kill-'));
  t.after(async () => {
    await simulator.close();
    await rm(workDirectory, { recursive: true, force: true });
  });
  const samples = [...sampleEntries({ seed: 3, ...SCOPE, count: keys + 3 })];
  const both = samples.slice(0, keys);
  simulator.state.seedEntries(both);
  const now = new Date(clock.now().getTime() - 3_600_000);
  await database.transaction(async (tx) => {
    await ensureParticipants(tx, [SCOPE.participant], now);
    const [locked] = await lockVSyncs(tx, [SCOPE], now);
    assert.ok(locked);
    await writeEntries(
      tx,
      both.map((sample) => rowOf(sample, locked.nextSeq, now)),
    );
    const transitions = both.map(({ entry, requestId }) => ({
      change: 'added' as const,
      cid: computeCid(entry, requestId),
      key: entry.key,
    }));
    await commitTransitions(tx, locked, transitions, { source: 'import', algorithm: 'dict', now });
  });
  for (const sample of samples.slice(keys)) simulator.state.insert(sample);
  for (const { entry } of both.slice(0, 2)) simulator.state.alter(entry.key, { accountNumber: '0000000042' });
  for (const { entry } of both.slice(2, 3)) simulator.state.remove(entry.key);
  const deps = { database, clock, settings: VICTIM_SETTINGS, newId: () => crypto.randomUUID() };
  const opening = await openReconciliation(deps, {
    ...SCOPE,
    requestedBy: { name: 'operator', authenticated: false },
    verificationRunId: null,
    fromRung: 'file',
  });
  assert.ok(opening.kind === 'opened');
  const { runId } = opening;
  const orders = { databaseUrl: database.url, apiUrl: simulator.apiUrl, workDirectory, runId, clock: shared };
  return { database, clock, state: simulator.state, runId, orders };
}

function rowOf({ entry, requestId }: SampleEntry, seq: number, now: Date): Parameters<typeof writeEntries>[1][number] {
  return {
    ...SCOPE,
    key: entry.key,
    status: 'ACTIVE',
    entry,
    requestId,
    cid: computeCid(entry, requestId),
    requestIdSince: now,
    registeredAt: now,
    participantRegisteredAt: now,
    externalId: null,
    syncedFrom: null,
    orphanedAt: null,
    occurredAt: now,
    eventAction: null,
    seq,
    updatedAt: now,
  };
}

interface Death {
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A victim; `began` says how many milliseconds it took to start, and never resolves for one that does not. */
function start(
  world: World,
  kill: VictimOrders['kill'],
  killAfterBytes?: number,
): { child: ChildProcess; began: Promise<number>; ended: Promise<Death> } {
  const spawnedMs = performance.now();
  const began = Promise.withResolvers<number>();
  const child = spawn(process.execPath, [victim, JSON.stringify({ ...world.orders, kill, killAfterBytes })], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: victimLimitMs,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
    if (stderr.includes(WORK_BEGINS)) began.resolve(performance.now() - spawnedMs);
  });
  const ended = once(child, 'close').then(([, signal]) => ({ signal, stdout, stderr }));
  return { child, began: began.promise, ended };
}

/** The operator's colleague agrees as soon as the run asks. */
async function approveWhenAsked(world: World): Promise<void> {
  const run = await readRun(world.database, world.runId);
  if (run?.state !== 'awaiting approval') return;
  const actor = { name: 'ana', authenticated: false };
  await decideApproval(world, { runId: world.runId, decision: 'approved', actor, reason: 'planted', digest: null });
}

async function assertRepaired(world: World): Promise<void> {
  const { rows } = await world.database.query<{ key: string; cid: string }>(
    `SELECT key, encode(cid, 'hex') AS cid FROM dict_entries WHERE status = 'ACTIVE' ORDER BY key`,
  );
  const there = [...world.state.activeEntries(SCOPE)].map(({ cid, entry }) => ({ key: entry.key, cid }));
  assert.deepEqual(rows.map(({ key, cid }) => [key, cid]).toSorted(), there.map(({ key, cid }) => [key, cid]).toSorted());
  const { rows: repairs } = await world.database.query<{ repairs: number }>(
    `SELECT count(*) AS repairs FROM audit_log WHERE kind = 'correction'`,
  );
  assert.equal(repairs[0]?.repairs, 6, 'each divergence was repaired once');
  assert.deepEqual(await readdir(world.orders.workDirectory), [], 'no file is left behind');
}

const steps = [
  'claimReconciliation',
  'beginReconciliation',
  'requestCidSetFile',
  'downloadCidSetFile',
  'compareCidSetFile',
  'judgeDivergences',
  'awaitApproval',
  'applyRepairs',
  'confirmReconciliation',
] as const;

describe('a reconciliation whose process is killed', () => {
  it('goes on where it was, killed before and after the step of every state, with one and the same file', {
    timeout: 180_000,
  }, async (t) => {
    const world = await killWorld(t);
    const met = new Set<string>();
    for (const step of steps) {
      for (const when of ['before', 'after'] as const) {
        await approveWhenAsked(world);
        const death = await start(world, { step, when }).ended;
        assert.equal(death.signal, 'SIGKILL', `${when} ${step}: ${death.stdout}${death.stderr}`);
        met.add((await readRun(world.database, world.runId))?.state ?? '');
        if (step === 'awaitApproval') await approveWhenAsked(world);
      }
    }
    const last = await start(world, null).ended;
    assert.equal(last.stdout, '{"kind":"ended","state":"completed","reason":null}\n', last.stderr);
    assert.equal(world.state.counts()['createCidSetFile 201'], 1);
    assert.deepEqual([...met].toSorted(), [
      'applying',
      'awaiting approval',
      'comparing',
      'confirming',
      'downloading',
      'generating',
      'judging',
      'requested',
    ]);
    await assertRepaired(world);
  });

  it('killed over its download, twice, goes on with what is proven on disk', { timeout: 180_000 }, async (t) => {
    const world = await killWorld(t, 12_000);
    // Three segments of 256 KiB and a little; each process gets through one of them and a half.
    for (let death = 0; death < 2; death++) {
      const { signal, stdout, stderr } = await start(world, null, 400_000).ended;
      assert.equal(signal, 'SIGKILL', `${stdout}${stderr}`);
      const left = await readdir(world.orders.workDirectory);
      assert.equal(left.filter((name) => name.startsWith(world.runId) && name.endsWith('.part')).length, 1, left.join(' '));
      const stored = await readFile(path.join(world.orders.workDirectory, left[0] ?? ''), 'latin1');
      assert.doesNotMatch(stored, /[0-9a-f]{64}/, 'no CID stands there in clear');
    }
    const timer = setInterval(() => void approveWhenAsked(world).catch(() => {}), 200);
    const last = await start(world, null).ended;
    clearInterval(timer);
    assert.equal(last.stdout, '{"kind":"ended","state":"completed","reason":null}\n', last.stderr);
    assert.match(last.stderr, /"bytes":524288,"of":7[0-9]{5},"message":"the download goes on where it was"/);
    assert.equal(world.state.counts()['createCidSetFile 201'], 1);
    await assertRepaired(world);
  });

  it('ends well after deaths at random moments; a file that is lost is counted', { timeout: 180_000 }, async (t) => {
    const world = await killWorld(t);
    const lives: string[] = [];
    let deaths = 0;
    let outcome = '';
    for (let round = 0; round < 40 && outcome === ''; round++) {
      await approveWhenAsked(world);
      const { child, began, ended } = start(world, null);
      let timer: NodeJS.Timeout | undefined;
      // Counted from when the work begins, in what the start took, which says how slow the machine is at the moment. Longer each time, at first
      // by little, so that many die, and in the end by much, so that it ends.
      void began.then((startMs) => {
        timer = setTimeout(
          () => child.kill('SIGKILL'),
          startMs * (0.05 + round * (0.02 + 0.06 * Math.random()) + 0.01 * round ** 2),
        );
      });
      const death = await ended;
      clearTimeout(timer);
      lives.push(death.signal ?? 'ended');
      if (death.signal === 'SIGKILL') deaths += 1;
      else outcome = death.stdout;
    }
    t.diagnostic(`lives: ${lives.join(', ')}`);
    assert.match(outcome, /"state":"completed"/);
    assert.ok(deaths >= 1);
    const run = await readRun(world.database, world.runId);
    assert.ok(run);
    assert.equal(run.filesRequested - run.filesLost, 1, 'every file asked for but one is counted as lost');
    assert.ok((world.state.counts()['createCidSetFile 201'] ?? 0) <= run.filesRequested);
    await assertRepaired(world);
  });
});
