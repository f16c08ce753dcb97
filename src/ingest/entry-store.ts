/**
 * Rows of dict_entries, read and written as they are: which state follows which is decided by who calls (entry-transition.ts,
 * and the repairs). Every writer holds the scope's VSync row (lockVSyncs) before it locks entries.
 */

import { KEY_TYPES } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import { arrayOf, rowsOf, rowTypeOf } from '../platform/postgres/binary-parameters.ts';
import type { Prepared, Sql, Transaction } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { ENTRY_COLUMN_TYPES, ENTRY_COLUMNS, type EntryRow, storedEntry, valuesOf } from './entry-row.ts';
import { HELD_COLUMNS, type HeldKey, heldState } from './held-row.ts';
import type { PlacedEntry, StoredEntry } from './stored-entry.ts';

const names = Object.keys(ENTRY_COLUMN_TYPES);
const keyColumns: readonly string[] = ['participant', 'key_type', 'key'];
const replaceable = names.filter((name) => !keyColumns.includes(name));

/** The primary key has the type before the key: where the caller names none, or what is stored may be wrong, all of them are looked at. */
const ofAnyType = 'participant = $1 AND key_type = ANY ($2)';

/** The rows of these keys, locked until the transaction ends; keys without a row are absent from the answer. */
export async function lockEntries(
  tx: Transaction,
  participant: Participant,
  keys: readonly string[],
): Promise<Map<string, StoredEntry>> {
  const { rows } = await tx.query<EntryRow>(
    `SELECT ${ENTRY_COLUMNS} FROM dict_entries WHERE ${ofAnyType} AND key = ANY ($3) ORDER BY key FOR UPDATE`,
    [participant, KEY_TYPES, keys],
  );
  return new Map(rows.map((row) => [row.key, storedEntry(row)]));
}

/** The row of one key, or null. */
export async function readEntry(sql: Sql, participant: Participant, key: string): Promise<StoredEntry | null> {
  const { rows } = await sql.query<EntryRow>(`SELECT ${ENTRY_COLUMNS} FROM dict_entries WHERE ${ofAnyType} AND key = $3`, [
    participant,
    KEY_TYPES,
    key,
  ]);
  return rows[0] === undefined ? null : storedEntry(rows[0]);
}

/** The rows of these keys as they are now, by key; keys without a row are absent from the answer. */
export async function readEntries(
  sql: Sql,
  participant: Participant,
  keys: readonly string[],
): Promise<Map<string, StoredEntry>> {
  if (keys.length === 0) return new Map();
  const { rows } = await sql.query<EntryRow>(`SELECT ${ENTRY_COLUMNS} FROM dict_entries WHERE ${ofAnyType} AND key = ANY ($3)`, [
    participant,
    KEY_TYPES,
    keys,
  ]);
  return new Map(rows.map((row) => [row.key, storedEntry(row)]));
}

/** The next rows of a scope in the order of their keys, after that key (null: from the first); at most `limit`. */
export async function readEntriesAfter(
  sql: Sql,
  { participant, keyType }: Scope,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<StoredEntry[]> {
  const { rows } = await sql.query<EntryRow>(
    `SELECT ${ENTRY_COLUMNS} FROM dict_entries
     WHERE participant = $1 AND key_type = $2 AND ($3::text IS NULL OR key > $3) ORDER BY key LIMIT $4`,
    [participant, keyType, after, limit],
  );
  return rows.map(storedEntry);
}

/** The rows of a source of the row filter (row-filter/row-source.ts), which is the FROM and WHERE. */
export async function readEntriesFrom(sql: Sql, source: string): Promise<StoredEntry[]> {
  const { rows } = await sql.query<EntryRow>(`SELECT ${ENTRY_COLUMNS} ${source}`);
  return rows.map(storedEntry);
}

const readPlaced: Prepared = {
  name: 'entries-of-keys',
  text: `SELECT given.at, e.ctid, ${HELD_COLUMNS.map((name) => `e.${name}`).join(', ')}
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS given (participant, key_type, key, at)
    CROSS JOIN LATERAL (
      SELECT ctid, ${HELD_COLUMNS.join(', ')} FROM dict_entries
      WHERE participant = given.participant AND key_type = given.key_type AND key = given.key LIMIT 1) AS e`,
};

/**
 * The rows of these keys, in the same order; null where there is none. Not locked: whoever writes an entry holds the VSync row of its
 * scope, so that nothing of a held scope changes. Locking each row as well would write a log record for each.
 */
export async function readHeldEntries(tx: Transaction, keys: readonly HeldKey[]): Promise<(PlacedEntry | null)[]> {
  const found = new Array<PlacedEntry | null>(keys.length).fill(null);
  if (keys.length === 0) return found;
  const { rows } = await tx.prepared(readPlaced, [
    arrayOf(
      'text',
      keys.map(({ participant }) => participant),
    ),
    arrayOf(
      'text',
      keys.map(({ keyType }) => keyType),
    ),
    arrayOf(
      'text',
      keys.map(({ key }) => key),
    ),
  ]);
  for (const row of rows) {
    const at = Number(row[0]) - 1;
    const key = keys[at];
    const place = row[1];
    assert(key !== undefined && place != null, 'a row that was found has its place');
    found[at] = { place, stored: heldState(key, row, 2) };
  }
  return found;
}

const insertNew: Prepared = {
  name: 'entries-insert',
  text: `INSERT INTO dict_entries (${ENTRY_COLUMNS}) SELECT ${ENTRY_COLUMNS} FROM unnest($1::dict_entry_row[])`,
};

/** Inserts the rows of keys that have none; rejects with unique_violation where one has. */
export async function insertEntries(tx: Transaction, entries: readonly StoredEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const { rowCount } = await tx.prepared(insertNew, [await packed(tx, entries)]);
  assert(rowCount === entries.length, `${rowCount} of ${entries.length} entries were inserted`);
}

const replacePlaced: Prepared = {
  name: 'entries-replace',
  text: `UPDATE dict_entries AS e SET ${replaceable.map((name) => `${name} = given.${name}`).join(', ')}
    FROM ROWS FROM (unnest($1::tid[]), unnest($2::dict_entry_row[])) AS given (place, ${ENTRY_COLUMNS})
    WHERE e.ctid = given.place`,
};

/** Replaces rows that were read by `readHeldEntries` in the same transaction. */
export async function replaceEntries(
  tx: Transaction,
  entries: readonly { readonly place: string; readonly next: StoredEntry }[],
): Promise<void> {
  if (entries.length === 0) return;
  const rows = await packed(
    tx,
    entries.map(({ next }) => next),
  );
  const { rowCount } = await tx.prepared(replacePlaced, [entries.map(({ place }) => place), rows]);
  assert(rowCount === entries.length, `${rowCount} of ${entries.length} entries were replaced`);
}

const upsert: Prepared = {
  name: 'entries-upsert',
  text: `INSERT INTO dict_entries (${ENTRY_COLUMNS}) SELECT ${ENTRY_COLUMNS} FROM unnest($1::dict_entry_row[])
    ON CONFLICT (participant, key_type, key) DO UPDATE SET ${replaceable.map((name) => `${name} = excluded.${name}`).join(', ')}`,
};

/** Inserts or replaces whole rows. Each (participant, key_type, key) at most once per call. */
export async function writeEntries(tx: Transaction, entries: readonly StoredEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const { rowCount } = await tx.prepared(upsert, [await packed(tx, entries)]);
  assert(rowCount === entries.length, `${rowCount} of ${entries.length} entries were written`);
}

async function packed(tx: Transaction, entries: readonly StoredEntry[]): Promise<Buffer> {
  return rowsOf(await rowTypeOf(tx, 'dict_entry_row'), ENTRY_COLUMN_TYPES, entries.map(valuesOf));
}
