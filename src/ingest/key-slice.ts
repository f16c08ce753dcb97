/** Some keys of a scope as of one moment: the rows, and the CIDs that count for them. */

import type { Cid } from '../cid/cid.ts';
import { asCid } from '../cid/cid.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { readEntries } from './entry-store.ts';
import type { StoredEntry } from './stored-entry.ts';

export interface KeyFacts {
  readonly key: string;
  readonly entry: StoredEntry | null;
  readonly counting: readonly Cid[];
}

async function readCounting(sql: Sql, scope: Scope, keys: readonly string[]): Promise<Map<string, Cid[]>> {
  const { rows } = await sql.query<{ key: string; cid: Buffer }>(
    `SELECT key, cid FROM dict_cids
     WHERE participant = $1 AND key_type = $2 AND removed_seq IS NULL AND key = ANY ($3)
     ORDER BY key, cid`,
    [scope.participant, scope.keyType, keys],
  );
  const counting = new Map<string, Cid[]>();
  for (const { key, cid } of rows) {
    const known = counting.get(key);
    if (known === undefined) counting.set(key, [asCid(cid)]);
    else known.push(asCid(cid));
  }
  return counting;
}

/** What there is of these keys, in their order. To be read in one moment: a repeatable read, or under the scope's lock. */
export async function readKeys(sql: Sql, scope: Scope, keys: readonly string[]): Promise<KeyFacts[]> {
  const rows = await readEntries(sql, scope.participant, keys);
  // A row of another key type is that one's to judge.
  const entries = new Map([...rows].filter(([, entry]) => entry.keyType === scope.keyType));
  const counting = await readCounting(sql, scope, keys);
  return keys.map((key) => ({ key, entry: entries.get(key) ?? null, counting: counting.get(key) ?? [] }));
}
