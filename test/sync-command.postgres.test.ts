/** `dict-vsync sync` through the whole command line, against the real simulator and database. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { loadBase } from '../src/demo/loading.ts';
import { participant } from '../src/dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../src/dict/sample-entries.ts';
import { systemClock } from '../src/platform/clock.ts';
import { listReports } from '../src/report/sync-report.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { type CommandOutcome, runLine } from './support/command-run.ts';
import { testDatabase } from './support/database.ts';

const psp = participant('00038166');
const second = participant('12345678');

/** Both participants have the same 20 e-mail keys here and there, the first also 10 phone keys; nothing is young enough to wait for. */
async function commandWorld(t: TestContext) {
  const database = await testDatabase(t);
  const simulator = await startSimulator({ policies: null, logLagMs: 0 });
  const directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-sync-'));
  t.after(async () => {
    await simulator.close();
    await rm(directory, { recursive: true, force: true });
  });
  const samples: SampleEntry[] = [psp, second].flatMap((of) => [
    ...sampleEntries({ seed: 5, participant: of, keyType: 'EMAIL', count: 20 }),
  ]);
  samples.push(...sampleEntries({ seed: 5, participant: psp, keyType: 'PHONE', count: 10 }));
  simulator.state.seedEntries(samples);
  const loading = { database, clock: systemClock, newId: randomUUID, directory, signal: t.signal };
  await loadBase(loading, samples, new Date(Date.now() - 3_600_000), () => {});
  const env = {
    DATABASE_URL: database.url,
    DATA_DIR: directory,
    DICT_URL: simulator.apiUrl,
    DICT_LISTING_URL: simulator.listingUrl,
    DICT_VSYNC_LOG_LEVEL: 'silent',
    DICT_VSYNC_PROGRAM_KEY_TYPES: 'EMAIL,PHONE',
    DICT_VSYNC_VERIFICATION_IN_FLIGHT_GRACE: '0s',
    DICT_VSYNC_VERIFICATION_LOG_LAG: '0s',
    DICT_VSYNC_VERIFICATION_CLOCK_SKEW: '0s',
    DICT_VSYNC_RECONCILIATION_CLOCK_SKEW: '0s',
    DICT_VSYNC_RECONCILIATION_APPROVAL_THRESHOLD: '4',
    DICT_VSYNC_RECONCILIATION_LEASE: '2s',
  };
  const command = (...argv: string[]): Promise<CommandOutcome> => runLine(argv, { env, cwd: directory });
  return { database, state: simulator.state, samples, env, command };
}

/** What --json prints is the product's own; the tests say what is in it. */
function rowsOf({ stdout }: CommandOutcome): Record<string, unknown>[] {
  const rows: unknown = JSON.parse(stdout);
  assert.ok(Array.isArray(rows));
  return rows;
}

describe('dict-vsync sync', { timeout: 300_000 }, () => {
  it('compares all participants, each under its own workflow id, and prints VSyncResult', async (t) => {
    const world = await commandWorld(t);
    // Of both key types.
    for (const { entry } of [...world.samples.slice(0, 2), ...world.samples.slice(-1)]) {
      world.state.alter(entry.key, { accountNumber: '0099887766' });
    }
    const done = await world.command('sync', '--json');
    assert.equal(done.exitCode, 0, done.stderr);
    const rows = rowsOf(done);
    assert.deepEqual(
      rows.map((row) => [row['workflow'], row['Status'], row['EntriesSynced'], row['EntriesUpdated'], row['ErrorMessage']]),
      [
        ['vsync-00038166', 'COMPLETED', 30, 3, ''],
        ['vsync-12345678', 'COMPLETED', 20, 0, ''],
      ],
    );
    const report = await world.command('report', 'show', String(rows[0]?.['ReportID']), '--json');
    assert.equal(report.exitCode, 0, report.stderr);
    assert.match(report.stdout, /"sync_type": "FULL"/);
    const summary = JSON.parse((await world.command('report', 'summary', '--json')).stdout);
    assert.equal(summary.totals.keys, 50);
    const incremental = await world.command('sync', '--type', 'INCREMENTAL', '--participant', '00038166');
    assert.equal(incremental.exitCode, 0, incremental.stderr);
    assert.match(incremental.stdout, /00038166\s+COMPLETED/);
    assert.doesNotMatch(incremental.stdout, /12345678/);
  });

  it('ends with status 3 while repairs wait for approval, and goes on afterwards', async (t) => {
    const world = await commandWorld(t);
    for (const { entry } of world.samples.slice(0, 6)) world.state.alter(entry.key, { accountNumber: '0099887766' });
    const waiting = await world.command('sync', '--participant', '00038166');
    assert.equal(waiting.exitCode, 3, waiting.stderr);
    assert.match(waiting.stdout, /WAITING/);
    const { rows } = await world.database.query<{ id: string }>(
      `SELECT id FROM dict_reconciliations WHERE state = 'awaiting approval'`,
    );
    const approved = await world.command('approve', rows[0]?.id ?? '', '--reason', 'planted', '--operator', 'bea');
    assert.equal(approved.exitCode, 0, approved.stderr);
    const done = await world.command('sync', '--participant', '00038166', '--json');
    assert.equal(done.exitCode, 0, done.stderr);
    assert.equal(rowsOf(done)[0]?.['EntriesUpdated'], 6);
  });

  it('is what a worker with a time for it does by itself: one that waited goes on at once', async (t) => {
    const world = await commandWorld(t);
    for (const { entry } of world.samples.slice(0, 6)) world.state.alter(entry.key, { accountNumber: '0099887766' });
    assert.equal((await world.command('sync', '--participant', '00038166')).exitCode, 3);
    const { rows } = await world.database.query<{ id: string; run: string }>(
      `SELECT l.id, r.id AS run FROM entry_listings l JOIN dict_reconciliations r ON r.listing_id = l.id WHERE r.state = 'awaiting approval'`,
    );
    await world.command('approve', rows[0]?.run ?? '', '--reason', 'planted', '--operator', 'bea');
    const ending = new AbortController();
    const env = { ...world.env, PARTICIPANT_ISPB: '00038166', DICT_VSYNC_SYNC_DAILY_AT: '02:00' };
    const working = runLine(['worker'], { env, cwd: world.env.DATA_DIR, signal: ending.signal });
    let status = 'RUNNING';
    // Ends when the worker has done it, or when the test's time is over.
    while (status === 'RUNNING' && !t.signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const [report] = (await listReports(world.database, { limit: 100 })).filter(({ id }) => id === rows[0]?.id);
      status = report?.status ?? 'none';
    }
    ending.abort();
    const worked = await working;
    assert.deepEqual([status, worked.exitCode], ['COMPLETED', 0], worked.stderr);
  });

  it('is paused by its id and goes on by --resume', async (t) => {
    const world = await commandWorld(t);
    for (const { entry } of world.samples.slice(0, 6)) world.state.alter(entry.key, { accountNumber: '0099887766' });
    assert.equal((await world.command('sync', '--participant', '00038166')).exitCode, 3);
    const { rows } = await world.database.query<{ id: string; run: string }>(
      `SELECT l.id, r.id AS run FROM entry_listings l JOIN dict_reconciliations r ON r.listing_id = l.id WHERE r.state = 'awaiting approval'`,
    );
    const id = rows[0]?.id ?? '';
    const paused = await world.command('sync', '--pause', id);
    assert.equal(paused.exitCode, 0, paused.stderr);
    assert.equal((await world.command('sync', '--pause', id)).exitCode, 1);
    await world.command('approve', rows[0]?.run ?? '', '--reason', 'planted', '--operator', 'bea');
    const still = await world.command('sync', '--participant', '00038166');
    assert.deepEqual([still.exitCode, /paused; "dict-vsync sync --resume/.test(still.stderr)], [3, true], still.stderr);
    const resumed = await world.command('sync', '--resume', id);
    assert.equal(resumed.exitCode, 0, resumed.stderr);
    assert.match(resumed.stdout, new RegExp(`COMPLETED\\s+30\\s+0\\s+6\\s+0\\s+${id}`));
    assert.equal((await world.command('sync', '--resume', id)).exitCode, 1);
  });

  it('says what is wrong with what it was given', async (t) => {
    const world = await commandWorld(t);
    const cases: readonly (readonly [string[], number, RegExp])[] = [
      [['sync', '--type', 'PARTIAL'], 2, /Allowed choices are FULL, INCREMENTAL/],
      [['sync', '--since', '2026-01-01'], 2, /--since is for --type INCREMENTAL/],
      [['sync', '--type', 'INCREMENTAL', '--since', 'ontem'], 2, /ISO 8601/],
      [['sync', '--type', 'INCREMENTAL'], 1, /2 of 2 not completed/],
      [['sync', '--participant', '99999999'], 1, /has nothing of 99999999/],
      [['sync', '--pause', 'x'], 2, /a UUID/],
      [['sync', '--pause', randomUUID()], 1, /no open synchronisation/],
      [['sync', '--resume', randomUUID()], 1, /there is no synchronisation/],
    ];
    for (const [argv, status, message] of cases) {
      const outcome = await world.command(...argv);
      assert.equal(outcome.exitCode, status, `${argv.join(' ')}: ${outcome.stderr}`);
      assert.match(outcome.stderr, message);
    }
    const { DICT_LISTING_URL: _, ...env } = world.env;
    const refused = await runLine(['sync'], { env });
    assert.deepEqual([refused.exitCode, /DICT_LISTING_URL is not set/.test(refused.stderr)], [1, true], refused.stderr);
  });
});
