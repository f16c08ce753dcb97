/** The ledger on a real database: chains that show tampering, corrections that wait for the core. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import type { Entry } from '../dict/entry.ts';
import { participant } from '../dict/participant.ts';
import type { Database } from '../platform/postgres/database.ts';
import { type AuditRecord, appendAudit, checkAuditChain, readAudit, systemActor } from './audit.ts';
import { pendingAtCore, settleByAcknowledgement, settleByEcho, tellCore } from './core-correction.ts';

const ours = participant('00038166');
const now = new Date('2026-03-01T12:00:00.000Z');
const later = new Date('2026-03-01T13:00:00.000Z');

function record(action: string, of: string = ours): AuditRecord {
  return {
    participant: of,
    keyType: 'CPF',
    occurredAt: now,
    actor: systemActor,
    kind: 'correction',
    action,
    outcome: 'success',
    details: { zebra: 1, key: '***456789**', nested: { b: [2, { d: null, c: 'ç' }], a: 1.5 } },
    correlationId: null,
  };
}

async function append(database: Database, ...records: AuditRecord[]): Promise<void> {
  await database.transaction((transaction) => appendAudit(transaction, records));
}

describe('the audit log', () => {
  it('chains the rows of each participant, whatever order jsonb keeps members in', async (t) => {
    const database = await testDatabase(t);
    await append(database, record('FIRST'), record('ELSEWHERE', '60746948'));
    await append(database, record('SECOND'), record('THIRD'));
    const chain = await checkAuditChain(database, ours);
    assert.equal(chain.intact && chain.rows, 3);
    assert.equal((await checkAuditChain(database, '60746948')).intact, true);
    assert.deepEqual(
      (await readAudit(database, ours, 2)).map((row) => row.action),
      ['SECOND', 'THIRD'],
    );
  });

  const manipulations: readonly { readonly what: string; readonly statement: string }[] = [
    { what: 'a row was altered', statement: `UPDATE audit_log SET actor = 'somebody else' WHERE action = 'SECOND'` },
    { what: 'a detail was altered', statement: `UPDATE audit_log SET details = '{}' WHERE action = 'SECOND'` },
    { what: 'a row was cut out', statement: `DELETE FROM audit_log WHERE action = 'SECOND'` },
    {
      what: 'a row’s time was moved',
      statement: `UPDATE audit_log SET occurred_at = occurred_at + interval '1 s' WHERE action = 'SECOND'`,
    },
  ];
  for (const { what, statement } of manipulations) {
    it(`shows that ${what}`, async (t) => {
      const database = await testDatabase(t);
      await append(database, record('FIRST'), record('SECOND'), record('THIRD'));
      await database.query(statement);
      assert.equal((await checkAuditChain(database, ours)).intact, false);
    });
  }

  it('stays one chain when many append at once', async (t) => {
    const database = await testDatabase(t);
    await Promise.all(Array.from({ length: 20 }, (_, n) => append(database, record(`A${n}`), record(`B${n}`))));
    const chain = await checkAuditChain(database, ours);
    assert.equal(chain.intact && chain.rows, 40);
  });

  it('loses its rows with the transaction that they tell of', async (t) => {
    const database = await testDatabase(t);
    const rolledBack = database.transaction(async (transaction) => {
      await appendAudit(transaction, [record('NEVER')]);
      throw new Error('rolled back');
    });
    await assert.rejects(rolledBack, /rolled back/);
    const chain = await checkAuditChain(database, ours);
    assert.equal(chain.intact && chain.rows, 0);
  });
});

const entry: Entry = {
  key: '52998224725',
  keyType: 'CPF',
  account: {
    participant: ours,
    branch: '0001',
    accountNumber: '1',
    accountType: 'CACC',
    openingDate: '2020-01-01T03:00:00.000Z',
  },
  owner: { type: 'NATURAL_PERSON', taxIdNumber: '52998224725', name: 'Nome Gerado', tradeName: null },
};
const cid = Buffer.alloc(32, 7);
const corrected = { participant: ours, key: entry.key, keyType: 'CPF' };
const upsert = { correction: 'upsert', cid, entry, requestId: '00000000-0000-4000-8000-000000000001' } as const;
const deletion = { correction: 'delete' } as const;

describe('corrections pending at core', () => {
  it('are told through the outbox and counted with their age until the core’s own event carries the same CID', async (t) => {
    const database = await testDatabase(t);
    await database.transaction((transaction) => tellCore(transaction, [{ ...corrected, correction: upsert }], now, null));
    const { rows } = await database.query<{ type: string; correction: string }>(
      `SELECT type, payload ->> 'correction' AS correction FROM event_outbox`,
    );
    assert.deepEqual(rows, [{ type: 'br.dict.vsync.CoreCorrectionRequested', correction: 'upsert' }]);
    assert.deepEqual(await pendingAtCore(database), [{ participant: ours, keyType: 'CPF', pending: 1, oldestToldAt: now }]);

    const echo = [{ participant: ours, key: entry.key, cid }];
    await database.transaction((transaction) => settleByEcho(transaction, echo, later));
    assert.deepEqual(await pendingAtCore(database), []);
    assert.deepEqual(await settledBy(database), ['echo']);
  });

  it('are superseded by an event of the core that says otherwise', async (t) => {
    const database = await testDatabase(t);
    await database.transaction((transaction) => tellCore(transaction, [{ ...corrected, correction: deletion }], now, null));
    const other = [{ participant: ours, key: entry.key, cid }];
    await database.transaction((transaction) => settleByEcho(transaction, other, later));
    assert.deepEqual(await settledBy(database), ['superseded']);
  });

  it('are superseded by a later correction of the same key, and settled by the core’s acknowledgement', async (t) => {
    const database = await testDatabase(t);
    await database.transaction((transaction) => tellCore(transaction, [{ ...corrected, correction: upsert }], now, null));
    await database.transaction((transaction) => tellCore(transaction, [{ ...corrected, correction: deletion }], later, null));
    assert.equal(await database.transaction((transaction) => settleByAcknowledgement(transaction, corrected, later)), true);
    assert.equal(await database.transaction((transaction) => settleByAcknowledgement(transaction, corrected, later)), false);
    assert.deepEqual(await settledBy(database), ['superseded', 'acknowledged']);
  });
});

async function settledBy(database: Database): Promise<string[]> {
  const { rows } = await database.query<{ settled_by: string }>('SELECT settled_by FROM core_corrections ORDER BY told_at');
  return rows.map((row) => row.settled_by);
}
