/** The switch of loaded tables for empty ones: what it must not lose of the tables, and of what happens meanwhile (R16). */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { fileOf, importOf, isClean, withOtherAlgorithm } from '../../test/support/imported-file.ts';
import { type EventText, oneSample, received, withAccount } from '../../test/support/key-events.ts';
import { assertSound, baseState } from '../../test/support/stored-state.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { participant } from '../dict/participant.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { systemClock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { readEntry } from './entry-store.ts';
import { ingestBatch } from './ingest-batch.ts';
import { tableShape } from './table-shape.ts';

const pool = ['00038166', '60701190'].flatMap((ispb) => KEY_TYPES.map((keyType) => oneSample(keyType, 'pool', ispb)));
const lines = pool.map(({ entry, requestId }) => JSON.stringify(flatEntry(entry, requestId)));

describe('tables that took the place of the empty ones', () => {
  it('cannot be told from those that the migrations made: names, checks, indexes, grants and settings', async (t) => {
    const database = await testDatabase(t);
    await database.query('ALTER TABLE dict_entries SET (autovacuum_vacuum_scale_factor = 0.01, fillfactor = 90)');
    await database.query('GRANT SELECT ON dict_entries, dict_cids TO PUBLIC');
    await database.query('CREATE INDEX "A name of one\'s own" ON dict_entries (lower(owner_name)) WHERE owner_type IS NOT NULL');
    const shapes = async () => [
      await tableShape(database, 'dict_entries'),
      await tableShape(database, 'dict_cids'),
      await numbers(database),
    ];
    const before = await shapes();
    await importOf(database, fileOf(t, lines));
    const after = await shapes();
    assert.deepEqual(after.slice(0, 2), before.slice(0, 2));
    assert.notDeepEqual(after[2], before[2]);
    assert.equal((await baseState(database)).entries.length, lines.length);
  });

  for (const [what, statement] of [
    ['a view', 'CREATE VIEW names AS SELECT owner_name FROM dict_entries'],
    ['a comment', `COMMENT ON COLUMN dict_entries.key IS 'personal'`],
    ['statistics', 'CREATE STATISTICS of_accounts ON account_number, branch FROM dict_entries'],
  ] as const) {
    it(`stay where they are when something hangs on them that would be lost, such as ${what}: the rows are folded in`, async (t) => {
      const database = await testDatabase(t);
      await database.query(statement);
      const before = [await tableShape(database, 'dict_entries'), await numbers(database)];
      const result = await importOf(database, fileOf(t, [...lines, ...lines.slice(0, 2)]));
      assert.deepEqual([result.loaded, result.unchanged], [lines.length, 2]);
      assert.deepEqual([await tableShape(database, 'dict_entries'), await numbers(database)], before);
      await assertSound(database);
      assert.ok(await isClean(database));
    });
  }
});

async function numbers(database: Database): Promise<unknown> {
  const { rows } = await database.query<{ entries: number; cids: number }>(
    `SELECT 'dict_entries'::regclass::oid AS entries, 'dict_cids'::regclass::oid AS cids`,
  );
  return rows[0];
}

describe('import beside running ingest', () => {
  const { entry, requestId } = oneSample('EMAIL', 'pool');
  const later: EventText = {
    action: 'key.updated',
    occurred_at: '2026-03-01T13:00:00Z',
    payload: flatEntry(withAccount(entry, '9')),
  };

  for (const phase of ['loading', 'building indexes'] as const) {
    it(`loses no event that comes while it is ${phase}, and does not bring back what it changed (R16)`, async (t) => {
      const database = await testDatabase(t);
      let told: Promise<unknown> | null = null;
      const onProgress = (progress: { readonly phase: string }): void => {
        if (progress.phase === phase) told ??= ingestBatch({ database, clock: systemClock }, received(later));
      };
      const result = await importOf(database, fileOf(t, lines), { listener: { onProgress } });
      await (told ?? assert.fail(`never ${phase}`));
      const stored = await readEntry(database, entry.account.participant, entry.key);
      assert.deepEqual([stored?.entry?.account.accountNumber, stored?.requestId, stored?.status], ['9', requestId, 'ACTIVE']);
      assert.equal(result.rows, lines.length);
      assert.equal((await baseState(database)).entries.length, lines.length);
      await assertSound(database);
    });
  }

  it('does not go on with CIDs of an algorithm that was changed meanwhile', async (t) => {
    const database = await testDatabase(t);
    let changed: Promise<void> | null = null;
    const onProgress = (): void => {
      changed ??= withOtherAlgorithm(database, participant('60701190'));
    };
    await assert.rejects(importOf(database, fileOf(t, lines), { listener: { onProgress } }), {
      name: 'AlgorithmChanged',
      message: /60701190 was changed while its rows were imported; run the import again/,
    });
    await (changed ?? assert.fail());
    assert.equal((await baseState(database)).entries.length, 0);
    assert.ok(await isClean(database));
    await importOf(database, fileOf(t, lines));
    await assertSound(database);
  });
});
