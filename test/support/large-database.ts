/**
 * A base of 1,000,000 keys with years of history around it, made by the server itself. CIDs are SHA-256 of a number instead of an HMAC
 * of attributes, so that both sides can make them; VSyncs, buckets and journal fit together as in any base. What stands in each table
 * is large-tables.ts.
 */

import { cidFromHex } from '../../src/cid/cid.ts';
import type { KeyType } from '../../src/dict/key-type.ts';
import type { Database } from '../../src/platform/postgres/database.ts';
import { openReport } from '../../src/report/sync-report.ts';
import { rebuildBuckets } from '../../src/vsync/bucket-store.ts';
import { emptyVSync, xorInto } from '../../src/vsync/vsync.ts';
import { type Filling, fillings, LARGE, largeCid } from './large-tables.ts';

/** Tables that grow with the base or with time. */
export const BIG_TABLES: readonly string[] = fillings.flatMap((series) => series.map(({ table }) => table));

/** A thousandth of everything, whose statistics stay, then the rest. */
const parts: readonly { readonly after: number; readonly upto: number }[] = [
  { after: 0, upto: 0.001 },
  { after: 0.001, upto: 1 },
];

/**
 * Fills an empty base; `now` is the time of the last event. The statistics that it leaves are those of a thousandth of it, and none
 * are gathered by themselves.
 */
export async function fillLargeBase(database: Database, now: Date): Promise<void> {
  const started = new Date(now.getTime() - 3 * 365 * 86_400_000);
  await beforehand(database, now, started);
  const indexes = await dropIndexes(database);
  for (const part of parts) {
    const rows = async (series: readonly Filling[]): Promise<void> => {
      for (const filling of series) await fill(database, filling, part, { now, started });
    };
    await Promise.all(fillings.map(rows));
    if (part.upto < 1) await database.query('ANALYZE');
  }
  const left = indexes.values();
  const build = async (): Promise<void> => {
    for (const definition of left) await database.query(definition);
  };
  await Promise.all([build(), build()]);
  await writeVSync(database, LARGE.keyType, 1, LARGE.events, LARGE.events, now);
  await writeVSync(database, LARGE.importedKeyType, LARGE.events + 1, LARGE.entries, 1, started);
}

async function beforehand(database: Database, now: Date, started: Date): Promise<void> {
  for (const table of BIG_TABLES) {
    if (table !== 'sync_reports') await database.query(`ALTER TABLE ${table} SET (autovacuum_enabled = off)`);
  }
  await database.query(
    `INSERT INTO dict_participants (participant, cid_algorithm, orphan_policy, created_at, updated_at)
     VALUES ($1, 'dict', 'review', $2, $2)`,
    [LARGE.participant, started],
  );
  await database.query(
    `INSERT INTO dict_vsync_changes (participant, key_type, seq, source, changes, committed_at) VALUES ($1, $2, 1, 'import', NULL, $3)`,
    [LARGE.participant, LARGE.importedKeyType, started],
  );
  // Their partitions are made by the program itself.
  for (const year of [0, 1, 2, 3]) {
    await openReport(database, {
      id: '00000000-0000-4000-8000-000000000000',
      startedAt: new Date(now.getTime() - year * 365 * 86_400_000),
      participant: LARGE.participant,
      keyType: LARGE.keyType,
      syncType: 'RECONCILIATION',
      requestedBy: 'dict-vsync',
    });
  }
}

/** Takes away what is made faster afterwards; answers how. */
async function dropIndexes(database: Database): Promise<string[]> {
  const { rows } = await database.query<{ name: string; definition: string }>(
    `SELECT indexname AS name, indexdef AS definition FROM pg_indexes
     WHERE tablename = ANY ($1) AND tablename <> 'sync_reports'
       AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = indexname)`,
    [BIG_TABLES],
  );
  for (const { name } of rows) await database.query(`DROP INDEX ${name}`);
  return rows.map(({ definition }) => definition);
}

async function fill(
  database: Database,
  { table, rows, columns, values, parameters }: Filling,
  part: { readonly after: number; readonly upto: number },
  times: { readonly now: Date; readonly started: Date },
): Promise<void> {
  const given = parameters(times);
  const bound = [Math.round(rows * part.after) + 1, Math.round(rows * part.upto)];
  await database.query(
    `INSERT INTO ${table} (${columns}) SELECT ${values}
     FROM generate_series($${given.length + 1}::int, $${given.length + 2}::int) AS n`,
    [...given, ...bound],
  );
}

async function writeVSync(
  database: Database,
  keyType: KeyType,
  first: number,
  last: number,
  seq: number,
  at: Date,
): Promise<void> {
  const vsync = emptyVSync();
  for (let n = first; n <= last; n++) xorInto(vsync, cidFromHex(largeCid(n)));
  await database.query(
    'INSERT INTO dict_vsyncs (participant, key_type, vsync, keys, seq, updated_at) VALUES ($1, $2, $3, $4, $5, $6)',
    [LARGE.participant, keyType, Buffer.from(vsync), last - first + 1, seq, at],
  );
  await rebuildBuckets(database, { participant: LARGE.participant, keyType });
}
