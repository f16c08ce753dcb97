/**
 * A range of a scope's keys as of one moment: the rows, and the CIDs that count for keys of that range. Ranges join without gaps, so
 * that a CID whose key has no row is met too.
 */

import type { Cid } from '../cid/cid.ts';
import { asCid } from '../cid/cid.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { readEntriesAfter } from './entry-store.ts';
import type { StoredEntry } from './stored-entry.ts';

export interface KeySlice {
  /** In the order of their keys. */
  readonly entries: readonly StoredEntry[];
  readonly countingCids: ReadonlyMap<string, readonly Cid[]>;
  /** The last key of the range; null: to the end. */
  readonly upto: string | null;
}

async function readCounting(sql: Sql, scope: Scope, after: string | null, upto: string | null): Promise<Map<string, Cid[]>> {
  const { rows } = await sql.query<{ key: string; cid: Buffer }>(
    `SELECT key, cid FROM dict_cids
     WHERE participant = $1 AND key_type = $2 AND removed_seq IS NULL AND ($3::text IS NULL OR key > $3)
       AND ($4::text IS NULL OR key <= $4)
     ORDER BY key, cid`,
    [scope.participant, scope.keyType, after, upto],
  );
  const counting = new Map<string, Cid[]>();
  for (const { key, cid } of rows) {
    const known = counting.get(key);
    if (known === undefined) counting.set(key, [asCid(cid)]);
    else known.push(asCid(cid));
  }
  return counting;
}

/** The next keys after that one (null: from the first). To be read in one moment: a repeatable read, or under the scope's lock. */
export async function readSlice(sql: Sql, scope: Scope, after: string | null, limit: number): Promise<KeySlice> {
  const entries = await readEntriesAfter(sql, scope, { after, limit });
  const upto = entries.length < limit ? null : (entries.at(-1)?.key ?? null);
  return { entries, countingCids: await readCounting(sql, scope, after, upto), upto };
}

/** Every key of the slice: those with a row, and those that only a CID knows. */
export function keysOf(
  slice: KeySlice,
): { readonly key: string; readonly entry: StoredEntry | null; readonly counting: readonly Cid[] }[] {
  const known = slice.entries.map((entry) => ({ key: entry.key, entry, counting: slice.countingCids.get(entry.key) ?? [] }));
  const withRow = new Set(slice.entries.map((entry) => entry.key));
  const rowless = [...slice.countingCids].filter(([key]) => !withRow.has(key));
  return [...known, ...rowless.map(([key, counting]) => ({ key, entry: null, counting }))];
}
