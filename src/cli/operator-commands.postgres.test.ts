/** Commands that only show, tried through the whole command line against a real database. */

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { type CommandOutcome, runLine } from '../../test/support/command-run.ts';
import { testDatabase } from '../../test/support/database.ts';
import { participant } from '../dict/participant.ts';
import { appendAudit, systemActor } from '../ledger/audit.ts';
import type { Database } from '../platform/postgres/database.ts';
import { parseDetailsKeys, sealDetails } from '../report/details-cipher.ts';
import { closeReport, openReport } from '../report/sync-report.ts';

const ours = participant('00038166');
const keysText = `1:${randomBytes(32).toString('base64')}`;
const cid = Buffer.alloc(32, 0xab);

interface World {
  readonly database: Database;
  run(...argv: string[]): Promise<CommandOutcome>;
}

async function world(t: TestContext): Promise<World> {
  const database = await testDatabase(t);
  const env = { DATABASE_URL: database.url, DICT_VSYNC_REPORT_DETAILS_KEYS: keysText, DICT_VSYNC_LOG_LEVEL: 'error' };
  return { database, run: (...argv) => runLine(argv, { env }) };
}

async function oneEntry(database: Database): Promise<void> {
  const now = new Date('2026-03-01T12:00:00.000Z');
  await database.query(
    `INSERT INTO dict_participants (participant, cid_algorithm, orphan_policy, created_at, updated_at)
     VALUES ($1, 'dict', 'review', $2, $2)`,
    [ours, now],
  );
  await database.query(
    `INSERT INTO dict_entries (participant, key, key_type, status, cid, branch, account_number, account_type, owner_type,
       owner_tax_id, owner_name, request_id, request_id_since, occurred_at, seq, updated_at)
     VALUES ($1, '52998224725', 'CPF', 'ACTIVE', $3, '0001', '0007654321', 'CACC', 'NATURAL_PERSON', '52998224725',
       'Nome Gerado', '00000000-0000-4000-8000-000000000000', $2, $2, 1, $2)`,
    [ours, now, cid],
  );
  await database.query(
    `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, added_at, source, algorithm)
     VALUES ($1, 'CPF', $3, '52998224725', 1, $2, 'import', 'dict')`,
    [ours, now, cid],
  );
  await database.query(
    `INSERT INTO dict_vsyncs (participant, key_type, vsync, keys, seq, updated_at) VALUES ($1, 'CPF', $3, 1, 1, $2)`,
    [ours, now, cid],
  );
}

describe('status', () => {
  it('says how to begin while the base is empty', async (t) => {
    const { run } = await world(t);
    const { stdout, exitCode } = await run('status');
    assert.equal(exitCode, 0);
    assert.match(stdout, /base is empty.*dict-vsync import/);
  });

  it('shows VSync, keys and ages of each participant and key type', async (t) => {
    const { run, database } = await world(t);
    await oneEntry(database);
    const people = await run('status');
    assert.match(people.stdout, /00038166\s+CPF\s+1\s+abababababababab…\s+never\s+never/);
    const { scopes } = JSON.parse((await run('status', '--json')).stdout);
    assert.equal(scopes[0].vsync, cid.toString('hex'));
    assert.equal(scopes[0].lastVerificationLevel, 'never');
  });

  it('names a verification older than 36 hours as overdue', async (t) => {
    const { run, database } = await world(t);
    await oneEntry(database);
    const runId = randomUUID();
    const long = new Date(Date.now() - 37 * 3_600_000);
    await database.query(
      `INSERT INTO dict_verification_runs (run_id, participant, key_type, trigger, state, asked, failures, looks, unexplained,
         widened, contradictions, watching, started_at, due_at)
       VALUES ($1, $2, 'CPF', 'test', 'ask', 0, 0, 0, 0, 0, 0, false, $3, $3)`,
      [runId, ours, long],
    );
    await database.query(
      `INSERT INTO dict_sync_verifications (id, run_id, attempt, participant, key_type, seq, vsync, keys, requested_at, answered_at,
         result) VALUES ($1, $1, 1, $2, 'CPF', 1, $4, 1, $3, $3, 'OK')`,
      [runId, ours, long, cid],
    );
    assert.match((await run('status')).stdout, /37 h ago \(overdue\)/);
  });
});

describe('entry find', () => {
  const ways: readonly (readonly string[])[] = [
    ['--key', '52998224725'],
    ['--cid', cid.toString('hex').toUpperCase()],
    ['--account', '0007654321', '--branch', '0001'],
    ['--key-type', 'cpf'],
  ];
  for (const way of ways) {
    it(`finds by ${way[0]}, shows it masked and audits the access`, async (t) => {
      const { run, database } = await world(t);
      await oneEntry(database);
      const { stdout, exitCode } = await run('entry', 'find', ...way);
      assert.equal(exitCode, 0);
      assert.match(stdout, /\*\*\*982247\*\*/);
      assert.doesNotMatch(stdout, /52998224725|Nome Gerado|0007654321/);
      const log = await run('audit', 'list', '--participant', ours, '--json');
      assert.match(log.stdout, /"ENTRY_FIND".*"entries":1/);
      assert.doesNotMatch(log.stdout, new RegExp(cid.toString('hex')));
    });
  }

  it('says so when nothing is found', async (t) => {
    const { run, database } = await world(t);
    await oneEntry(database);
    const { stderr, exitCode } = await run('entry', 'find', '--key', 'nobody@example.com');
    assert.equal(exitCode, 1);
    assert.match(stderr, /no entry found/);
  });
});

describe('report', () => {
  async function withReport(t: TestContext): Promise<World & { readonly id: string }> {
    const made = await world(t);
    const opening = {
      id: randomUUID(),
      startedAt: new Date(Date.now() - 60_000),
      participant: ours,
      keyType: 'CPF',
      syncType: 'RECONCILIATION',
      requestedBy: 'ana',
    };
    await openReport(made.database, opening);
    const figures = {
      verificationsSent: 3,
      totalKeysLocal: 10,
      totalKeysBacen: null,
      missingLocal: 2,
      outdatedLocal: 1,
      orphaned: 0,
      duplicated: 0,
      unresolved: 0,
      altered: 0,
      entriesCreated: 2,
      entriesUpdated: 1,
      entriesDeleted: 0,
      divergencesOpen: 0,
      byCidReads: 4,
      filesRequested: 0,
    };
    const details = sealDetails(parseDetailsKeys(keysText), opening.id, [{ kind: 'missing_local', key: '***982247**' }]);
    const completedAt = new Date();
    await closeReport(made.database, opening, {
      status: 'COMPLETED',
      outcome: 'in-sync (ok)',
      completedAt,
      figures,
      errorMessage: null,
      details,
    });
    return { ...made, id: opening.id };
  }

  it('lists runs for people, as JSON with the known field names, and as CSV', async (t) => {
    const { run, id } = await withReport(t);
    assert.match((await run('report', 'list')).stdout, new RegExp(`${id}.*COMPLETED`));
    const [report] = JSON.parse((await run('report', 'list', '--json')).stdout);
    assert.deepEqual([report.sync_id, report.missing_local_count, report.data_mismatch_count], [id, 2, 1]);
    const lines = (await run('report', 'list', '--csv')).stdout.split('\r\n');
    assert.equal(lines.length, 3);
    assert.ok(lines[0]?.startsWith('id,started,participant'));
  });

  it('shows one run with its sealed details opened', async (t) => {
    const { run, id } = await withReport(t);
    const shown = JSON.parse((await run('report', 'show', id, '--json')).stdout);
    assert.deepEqual(shown.divergences_json, [{ kind: 'missing_local', key: '***982247**' }]);
  });

  it('sums a period up', async (t) => {
    const { run } = await withReport(t);
    const { stdout, exitCode } = await run('report', 'summary');
    assert.equal(exitCode, 0);
    assert.match(stdout, /runs that ended well, %\s+100\s+> 99.9\s+yes/);
  });
});

describe('audit', () => {
  it('proves that the log is whole, and names the first row that is not', async (t) => {
    const { run, database } = await world(t);
    const record = {
      participant: ours,
      keyType: null,
      occurredAt: new Date(),
      actor: systemActor,
      kind: 'administration',
      action: 'TEST',
      outcome: 'success',
      details: {},
      correlationId: null,
    } as const;
    await database.transaction((transaction) => appendAudit(transaction, [record, record]));
    assert.match((await run('audit', 'verify', '--participant', ours)).stdout, /intact: 2 rows/);
    await database.query(`UPDATE audit_log SET action = 'OTHER' WHERE id = 1`);
    const { stderr, exitCode } = await run('audit', 'verify', '--participant', ours);
    assert.equal(exitCode, 1);
    assert.match(stderr, /broken at row 1/);
  });
});

it('wrong arguments end with a clear message, a non-zero status and nothing on standard output', async (t) => {
  const { run } = await world(t);
  const wrong: readonly (readonly [line: string, says: RegExp])[] = [
    ['status --participant 123', /--participant.*eight digits/],
    ['status extra', /too many arguments/],
    ['entry find', /one of --key, --cid, --account and --key-type/],
    ['entry find --key a --cid '.concat('0'.repeat(64)), /one of --key, --cid and --account/],
    ['entry find --cid 12', /64 hex digits/],
    ['entry find --account 12a', /1 to 20 digits/],
    ['entry find --branch 1 --key a', /--branch goes with --account/],
    ['entry find --key-type FAX', /one of CPF, CNPJ/],
    ['entry find --key a --limit 0', /whole number from 1/],
    ['report list --since yesterday', /ISO 8601/],
    ['report list --status DONE', /RUNNING, COMPLETED/],
    ['report list --json --csv', /cannot be used with/],
    ['report show', /missing required argument/],
    ['report show 17', /not a run’s id/],
    ['report show 123e4567-e89b-42d3-a456-426614174000', /there is no run/],
    ['report summary --since 2026-02-01 --until 2026-01-01', /--since must be before --until/],
    ['audit list', /--participant/],
    ['audit list --participant 00038166 --limit many', /whole number/],
    ['audit verify --participant x', /eight digits/],
    ['reconcile', /the base knows no participant/],
    ['reconcile --participant 00038166', /nothing of 00038166/],
    ['reconcile --from-rung log', /file, scan/],
    ['reconcile --pause 17', /not a run’s id/],
    ['reconcile --pause 123e4567-e89b-42d3-a456-426614174000', /there is no open run/],
    ['reconcile --resume 123e4567-e89b-42d3-a456-426614174000', /there is no run/],
    ['reconcile --pause a --resume b', /cannot be used with/],
    ['reconcile now', /too many arguments/],
    ['worker', /DICT_URL is not set/],
    ['worker now', /too many arguments/],
    ['nothing-like-this', /unknown command/],
  ];
  for (const [line, says] of wrong) {
    await t.test(`dict-vsync ${line}`, async () => {
      const { stdout, stderr, exitCode } = await run(...line.split(' '));
      assert.notEqual(exitCode, 0);
      assert.match(stderr, says);
      assert.equal(stdout, '');
    });
  }
});
