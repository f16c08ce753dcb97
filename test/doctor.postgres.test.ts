/** `doctor` on the database, and on what it can only ask DICT with a base: whether our signature is accepted. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { flatEntry } from '../src/event/flat-entry.ts';
import { writeProgress } from '../src/ingest/ingest-progress.ts';
import { runLine } from './support/command-run.ts';
import { emptyDatabase, testDatabase } from './support/database.ts';
import { type DoctorWorld, doctorWorld, otherFiles } from './support/doctor-world.ts';

const ours = participant('00038166');

/** A base that holds what DICT holds. */
async function baseOf(t: TestContext, world: DoctorWorld): Promise<Awaited<ReturnType<typeof testDatabase>>> {
  const database = await testDatabase(t);
  const entries = [...sampleEntries({ seed: 1, participant: ours, keyType: 'PHONE', count: 20 })];
  world.simulator.state.seedEntries(entries);
  const lines = entries.map(({ entry, requestId }) => JSON.stringify(flatEntry(entry, requestId)));
  const { exitCode, stderr } = await runLine(['import', '-', '--as-of', new Date().toISOString()], {
    env: { ...world.env, DATABASE_URL: database.url },
    cwd: world.directory,
    stdin: `${lines.join('\n')}\n`,
  });
  assert.equal(exitCode, 0, stderr);
  return database;
}

describe('doctor with a base', () => {
  it('sees that DICT accepts our signature, for two tokens and without a trace in the base', async (t) => {
    const world = await doctorWorld(t);
    const database = await baseOf(t, world);
    const traces = `SELECT (SELECT count(*) FROM audit_log) AS audited, (SELECT count(*) FROM dict_sync_verifications) AS asked,
      (SELECT count(*) FROM event_outbox) AS told`;
    const before = await database.query<Record<'audited' | 'asked' | 'told', number>>(traces);
    const examined = await world.examine({ DATABASE_URL: database.url });
    assert.equal(examined.exitCode, 0);
    assert.deepEqual([examined.warn, examined.fail, examined.skip], [0, 0, 0], JSON.stringify(examined.findings, null, 1));
    assert.match(examined.of('our signature').seen, /^DICT took a signed verification of PHONE \(number 1001\) and said OK$/);
    assert.match(examined.of('database').seen, /^PostgreSQL [0-9]+/);
    assert.match(examined.of('schema').seen, /^up to date \([0-9]{6}_[a-z_]+\.sql\)$/);
    assert.deepEqual(world.simulator.state.counts(), { 'listPolicies 200': 1, 'createSyncVerification 201': 1 });
    const after = await database.query<Record<'audited' | 'asked' | 'told', number>>(traces);
    const counted = ({ rows: [row] }: typeof before) => [row?.audited, row?.asked, row?.told];
    assert.deepEqual(counted(after), counted(before));
  });

  it('is told NOK and calls that no failure', async (t) => {
    const world = await doctorWorld(t);
    const database = await baseOf(t, world);
    const [inserted] = sampleEntries({ seed: 2, participant: ours, keyType: 'PHONE', count: 1 });
    assert.ok(inserted);
    world.simulator.state.insert(inserted);
    const examined = await world.examine({ DATABASE_URL: database.url });
    assert.equal(examined.exitCode, 0);
    assert.match(examined.of('our signature').seen, /said NOK: ordinary under traffic; "dict-vsync verify" explains it/);
  });

  it('fails when DICT does not accept our signature, with the correlation id for the Central Bank', async (t) => {
    const world = await doctorWorld(t);
    const database = await baseOf(t, world);
    const examined = await world.examine({
      DATABASE_URL: database.url,
      DICT_VSYNC_DICT_SIGNING_KEY: otherFiles.participantSigning.keyFile,
      DICT_VSYNC_DICT_SIGNING_CERTIFICATE: otherFiles.participantSigning.certificateFile,
    });
    assert.equal(examined.exitCode, 1);
    assert.equal(examined.fail, 1);
    assert.match(examined.of('our signature').seen, /DICT does not accept it; correlation [0-9a-f]{32}/);
    assert.match(examined.of('our signature').advice ?? '', /DICT_VSYNC_DICT_SIGNING_CERTIFICATE/);
    assert.equal(examined.of('DICT signature').level, 'ok');
  });

  it('asks nothing about CIDs that are not DICT’s, nor while ingest is behind (R1, R18)', async (t) => {
    const world = await doctorWorld(t);
    const database = await baseOf(t, world);
    await database.query(`UPDATE dict_participants SET cid_algorithm = 'canonical-json-1.0'`);
    assert.equal((await world.examine({ DATABASE_URL: database.url })).of('our signature').level, 'skip');
    await database.query(`UPDATE dict_participants SET cid_algorithm = 'dict'`);
    const [now, longAgo] = [new Date(), new Date(Date.now() - 3_600_000)];
    await database.transaction((tx) =>
      writeProgress(
        tx,
        { origin: 'core', consumed: 0, backlog: 5, oldestUnconsumedAt: longAgo, latestOccurredAt: null, endedAt: null },
        now,
      ),
    );
    const behind = (await world.examine({ DATABASE_URL: database.url })).of('our signature');
    assert.equal(behind.level, 'skip');
    assert.match(behind.seen, /ingest is behind/);
    assert.equal(world.simulator.state.counts()['createSyncVerification 201'], undefined);
  });

  it('fails at nothing where others have used the last tokens of verifications meanwhile', async (t) => {
    const world = await doctorWorld(t);
    const database = await baseOf(t, world);
    world.simulator.state.addFault({ operation: 'createSyncVerification', times: 1, error: 'RateLimited' });
    const examined = await world.examine({ DATABASE_URL: database.url });
    assert.deepEqual([examined.exitCode, examined.fail], [0, 0], JSON.stringify(examined.findings, null, 1));
    const { level, seen } = examined.of('our signature');
    assert.deepEqual([level, seen], ['skip', 'not tried: DICT has no token of SYNC_VERIFICATIONS_WRITE left']);
  });

  it('leaves the last tokens of verifications alone', async (t) => {
    const world = await doctorWorld(t);
    const database = await baseOf(t, world);
    world.simulator.state.setTokens(ours, 'SYNC_VERIFICATIONS_WRITE', 3);
    const examined = await world.examine({ DATABASE_URL: database.url });
    assert.equal(examined.of('our signature').level, 'skip');
    assert.equal(world.simulator.state.counts()['createSyncVerification 201'], undefined);
  });
});

describe('doctor on the database', () => {
  it('warns of a schema that is not made yet, and does not make it', async (t) => {
    const world = await doctorWorld(t);
    const database = await emptyDatabase(t);
    const examined = await world.examine({ DATABASE_URL: database.url });
    assert.equal(examined.exitCode, 0);
    assert.equal(examined.of('schema').level, 'warn');
    assert.match(examined.of('schema').seen, /^not made yet$/);
    const { rows } = await database.query<{ tables: number }>(
      `SELECT count(*) AS tables FROM pg_tables WHERE schemaname = 'public'`,
    );
    assert.equal(Number(rows[0]?.tables), 0);
  });

  it('warns of an old schema, naming the first migration that is missing', async (t) => {
    const world = await doctorWorld(t);
    const database = await testDatabase(t);
    await database.query('DELETE FROM schema_migrations WHERE number >= 11');
    const examined = await world.examine({ DATABASE_URL: database.url });
    assert.equal(examined.of('schema').level, 'warn');
    assert.match(examined.of('schema').seen, /^[0-9]+ of [0-9]+ migrations are missing, from 000011_ingest_at_scale\.sql on$/);
    assert.match(examined.of('schema').advice ?? '', /dict-vsync migrate/);
  });

  it('fails at a schema that is newer than the program', async (t) => {
    const world = await doctorWorld(t);
    const database = await testDatabase(t);
    await database.query(`INSERT INTO schema_migrations (number, name, checksum, applied_at) VALUES (999, 'later', '', now())`);
    const examined = await world.examine({ DATABASE_URL: database.url });
    assert.equal(examined.exitCode, 1);
    assert.match(examined.of('schema').seen, /newer than this program/);
    assert.match(examined.of('schema').advice ?? '', /newer/);
  });

  it('fails in time at a server that takes the connection and says nothing', async (t) => {
    const world = await doctorWorld(t);
    const sockets = new Set<Socket>();
    const server = createServer((socket) => void sockets.add(socket.on('error', () => {})));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    const address = server.address();
    assert.ok(address !== null && typeof address !== 'string');
    const examined = await world.examine({
      DATABASE_URL: `postgres://postgres@127.0.0.1:${address.port}/none`,
      DICT_VSYNC_DATABASE_CONNECT_TIMEOUT: '1s',
    });
    assert.equal(examined.exitCode, 1);
    assert.match(examined.of('database').seen, /cannot be reached/);
    assert.equal(examined.of('DICT answer').level, 'ok');
  });

  it('starts an embedded server that stands still, and lets it stop again', async (t) => {
    const world = await doctorWorld(t);
    const made = await runLine(['migrate'], { env: world.env, cwd: world.directory });
    assert.equal(made.exitCode, 0, made.stderr);
    const examined = await world.examine();
    assert.equal(examined.exitCode, 0);
    assert.match(examined.of('database').seen, /^PostgreSQL [0-9.]+, embedded$/);
    assert.match(examined.of('schema').seen, /^up to date/);
    assert.equal(existsSync(path.join(world.env['DATA_DIR'] ?? '', 'postgres/cluster/postmaster.pid')), false);
  });

  it('fails at a database that takes no changes', async (t) => {
    const world = await doctorWorld(t);
    const database = await testDatabase(t);
    const url = new URL(database.url);
    url.searchParams.set('options', '-c default_transaction_read_only=on');
    const examined = await world.examine({ DATABASE_URL: url.href });
    assert.equal(examined.exitCode, 1);
    assert.match(examined.findings.find(({ level }) => level === 'fail')?.seen ?? '', /takes no changes/);
  });

  it('fails at a database that is not there, and at a wrong password, without showing it', async (t) => {
    const world = await doctorWorld(t);
    const database = await testDatabase(t);
    const nowhere = await world.examine({ DATABASE_URL: 'postgres://postgres:geheim@127.0.0.1:9/none' });
    assert.equal(nowhere.exitCode, 1);
    assert.match(nowhere.of('database').seen, /cannot be reached.*ECONNREFUSED/);
    assert.match(nowhere.of('database').advice ?? '', /DATABASE_URL/);
    const url = new URL(database.url);
    url.password = 'geheim';
    const refused = await world.examine({ DATABASE_URL: url.href });
    assert.match(refused.of('database').advice ?? '', /password in DATABASE_URL/);
    assert.equal(JSON.stringify([nowhere, refused]).includes('geheim'), false);
    assert.equal(refused.of('DICT answer').level, 'ok', 'the rest is examined even so');
  });
});
