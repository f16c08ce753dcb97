/** Looking entries up by what a person knows of them. That each way goes by an index is test/query-plans.postgres.test.ts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { participant } from '../dict/participant.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { searchEntries } from './entry-search.ts';

const entries = 1_000;
const ours = participant('00038166');
const participants = [ours, participant('60746948')];

/** Rows made by the server itself: 32-byte CIDs by SHA-256 of the number, keys of eleven digits. */
async function fill(database: Sql): Promise<void> {
  await database.query(
    `INSERT INTO dict_entries (participant, key, key_type, status, cid, branch, account_number, account_type, owner_type,
       owner_tax_id, owner_name, request_id, request_id_since, occurred_at, seq, updated_at)
     SELECT $1, lpad(n::text, 11, '0'), CASE n % 2 WHEN 0 THEN 'CPF' ELSE 'PHONE' END, 'ACTIVE', sha256(n::text::bytea),
       '0001', lpad((n / 2)::text, 10, '0'), 'CACC', 'NATURAL_PERSON', lpad(n::text, 11, '0'), 'Nome Gerado',
       '00000000-0000-4000-8000-000000000000', $2, $2, 1, $2
     FROM generate_series(1, $3::int) AS n`,
    [ours, new Date(0), entries],
  );
  await database.query(
    `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, added_at, source, algorithm)
     SELECT participant, key_type, cid, key, 1, $1, 'import', 'dict' FROM dict_entries`,
    [new Date(0)],
  );
}

const cid = Buffer.from('2fdc0e8f5ec1a9eb1f0b4b8eb8f2a9f2d9f3d1d2c1c9b6f8f1d2a3b4c5d6e7f8', 'hex');
test('looking entries up', async (t) => {
  const database = await testDatabase(t);
  await fill(database);

  await t.test('finds the entries of an account, and only those', async () => {
    const search = { by: 'account', participants, accountNumber: '0000000021', branch: '0001' } as const;
    const found = await searchEntries(database, search, 50);
    assert.deepEqual(
      found.map((entry) => entry.key),
      ['00000000042', '00000000043'],
    );
  });

  await t.test('finds whose a CID was after it has been replaced', async () => {
    const [entry] = await searchEntries(database, { by: 'key', participants, key: '00000000042' }, 1);
    assert.ok(entry?.cid);
    await database.query('UPDATE dict_entries SET cid = $3 WHERE participant = $1 AND key = $2', [ours, entry.key, cid]);
    const found = await searchEntries(database, { by: 'cid', participants, cid: entry.cid }, 50);
    assert.deepEqual(
      found.map(({ key }) => key),
      ['00000000042'],
    );
  });

  await t.test('shows no more than asked for', async () => {
    const found = await searchEntries(database, { by: 'keyType', participants, keyType: 'CPF' }, 7);
    assert.equal(found.length, 7);
  });
});
