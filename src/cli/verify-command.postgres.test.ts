/** Specifies what a person sees of `verify`: its table, its exit status, and what it says to wrong arguments. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runLine } from '../../test/support/command-run.ts';
import { testDatabase } from '../../test/support/database.ts';
import { computeCid } from '../cid/cid.ts';
import { participant } from '../dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../dict/sample-entries.ts';
import { scaledClock } from '../platform/clock.ts';
import { startSimulator } from '../simulator/simulator.ts';
import { commitTransitions, lockVSyncs } from '../vsync/vsync-store.ts';

const scope = { participant: participant('00038166'), keyType: 'EVP' } as const;
const timeScale = 200;

/** A base and a simulator that hold the same ten keys, and the command line on both. */
async function world(t: TestContext) {
  const database = await testDatabase(t);
  const clock = scaledClock(timeScale);
  const directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-'));
  t.after(() => rm(directory, { recursive: true }));
  const simulator = await startSimulator({ clock, policies: null });
  t.after(() => simulator.close());
  const env = {
    DATABASE_URL: database.url,
    DICT_URL: simulator.apiUrl,
    DICT_VSYNC_PROGRAM_TIME_SCALE: String(timeScale),
    DICT_VSYNC_LOG_LEVEL: 'error',
    DATA_DIR: directory,
  };
  const samples = [...sampleEntries({ seed: 1, ...scope, count: 11 })];
  const given: SampleEntry[] = samples.slice(0, 10);
  simulator.state.seedEntries(given);
  await database.query(
    `INSERT INTO dict_participants (participant, cid_algorithm, orphan_policy, created_at, updated_at)
     VALUES ($1, 'dict', 'review', $2, $2)`,
    [scope.participant, clock.now()],
  );
  await database.transaction(async (tx) => {
    const [locked] = await lockVSyncs(tx, [scope], clock.now());
    assert.ok(locked);
    const added = given.map(({ entry, requestId }) => ({
      change: 'added' as const,
      cid: computeCid(entry, requestId),
      key: entry.key,
    }));
    await commitTransitions(tx, locked, added, { source: 'import', algorithm: 'dict', now: clock.now() });
  });
  const [unknown] = samples.slice(10);
  assert.ok(unknown);
  return {
    database,
    state: simulator.state,
    unknown,
    run: (...argv: string[]) => runLine(['verify', ...argv], { env }),
    reconcile: (...argv: string[]) => runLine(['reconcile', ...argv], { env }),
  };
}

describe('verify', () => {
  it('shows every key type with its proof, and ends with 0 when all is in sync', async (t) => {
    const { run } = await world(t);
    const { stdout, stderr, exitCode } = await run();
    assert.equal(exitCode, 0, stderr);
    for (const keyType of ['CPF', 'CNPJ', 'PHONE', 'EMAIL', 'EVP']) {
      assert.match(stdout, new RegExp(`00038166\\s+${keyType}\\s+in-sync\\s+ok`));
    }
  });

  it('ends with 1 and the number of located keys when something diverged', async (t) => {
    const { run, state, unknown } = await world(t);
    assert.equal((await run('--key-type', 'EVP')).exitCode, 0);
    state.insert(unknown, { log: true });
    const { stdout, stderr, exitCode } = await run('--key-type', 'evp', '--json');
    assert.equal(exitCode, 1);
    assert.match(stderr, /1 of 1 not in sync.*reconcile/);
    const [row] = JSON.parse(stdout);
    assert.deepEqual([row.participant, row.keyType, row.outcome.kind, row.outcome.located], ['00038166', 'EVP', 'diverged', 1]);
  });

  it('ends with 2 when DICT cannot be asked, and when it must not be', async (t) => {
    const { run, state, database } = await world(t);
    state.addFault({ operation: 'createSyncVerification', times: 99, error: 'Forbidden' });
    const unavailable = await run('--key-type', 'EVP');
    assert.equal(unavailable.exitCode, 2);
    assert.match(unavailable.stdout, /EVP\s+unavailable\s+Forbidden \(HTTP 403\)/);
    await database.query(`UPDATE dict_participants SET cid_algorithm = 'canonical-json-1.0'`);
    const refused = await run('--key-type', 'EVP');
    assert.equal(refused.exitCode, 2);
    assert.match(refused.stdout, /EVP\s+refused\s+.*canonical-json-1\.0/);
  });

  it('verifies inside a maintenance window and lets the core go on', async (t) => {
    const { run, database } = await world(t);
    const { stdout, stderr, exitCode } = await run('--key-type', 'EVP', '--maintenance-window', '10');
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /EVP\s+in-sync\s+ok/);
    const { rows } = await database.query<{ type: string }>(`SELECT type FROM event_outbox ORDER BY position`);
    assert.deepEqual(
      rows.map(({ type }) => type.replace('br.dict.vsync.', '')),
      ['OperationsHoldRequested', 'SyncVerificationConcluded', 'OperationsResumeRequested'],
    );
  });

  it('has its counterpart in a reconciliation inside a maintenance window', async (t) => {
    const { reconcile, database, state, unknown } = await world(t);
    state.insert(unknown);
    const { stdout, stderr, exitCode } = await reconcile('--key-type', 'EVP', '--maintenance-window', '60');
    assert.equal(exitCode, 0, stdout + stderr);
    const { rows } = await database.query<{ type: string }>(`SELECT type FROM event_outbox ORDER BY position`);
    assert.match(rows[0]?.type ?? '', /OperationsHoldRequested$/);
    assert.match(rows.at(-1)?.type ?? '', /OperationsResumeRequested$/);
    assert.equal((await database.query(`SELECT FROM dict_entries WHERE status = 'ACTIVE'`)).rowCount, 1);
  });

  for (const [argv, complaint] of [
    [['--participant', '38166'], /eight digits/],
    [['--participant', '99999999'], /the base has nothing of 99999999/],
    [['--key-type', 'PIX'], /one of CPF, CNPJ/],
    [['--maintenance-window', '0'], /from 1 to 240/],
    [['--maintenance-window', 'soon'], /from 1 to 240/],
    [['EVP'], /too many arguments/],
    [['--unknown'], /unknown option/],
  ] as const) {
    it(`complains about ${argv.join(' ')}`, async (t) => {
      const { run, state } = await world(t);
      const { stderr, exitCode } = await run(...argv);
      assert.notEqual(exitCode, 0);
      assert.match(stderr, complaint);
      assert.deepEqual(state.counts(), {});
    });
  }

  it('says how to begin when the base is empty', async (t) => {
    const { url } = await testDatabase(t);
    const empty = await runLine(['verify'], { env: { DATABASE_URL: url, DICT_URL: 'http://127.0.0.1:1/' } });
    assert.equal(empty.exitCode, 2);
    assert.match(empty.stderr, /dict-vsync import/);
  });
});
