/** Keys that a scan's filter named: each once, however often it was named, worked off in the order of the keys. */

import type { KeyType } from '../dict/key-type.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import type { ScanRun } from './scan-run.ts';

type OfRun = Pick<ScanRun, 'id' | 'participant'>;

/**
 * Adds keys; those that are there already stay as they are. In one order for everybody: lanes that name the same keys, each in its own
 * order, would wait for each other in a circle.
 */
export async function addCandidates(
  sql: Sql,
  { id, participant }: OfRun,
  candidates: readonly { readonly keyType: KeyType; readonly key: string }[],
): Promise<void> {
  if (candidates.length === 0) return;
  await sql.query(
    `INSERT INTO scan_candidates (scan_id, participant, key_type, key)
     SELECT $1, $2, key_type, key FROM unnest($3::text[], $4::text[]) AS given (key_type, key)
     ORDER BY key_type, key
     ON CONFLICT DO NOTHING`,
    [id, participant, candidates.map(({ keyType }) => keyType), candidates.map(({ key }) => key)],
  );
}

/**
 * The next keys of a key type after that one (null: the first), in their order. From the first again each time, the index would lead
 * through all that were removed.
 */
export async function nextCandidates(
  sql: Sql,
  { id, participant }: OfRun,
  keyType: KeyType,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<string[]> {
  const { rows } = await sql.query<{ key: string }>(
    `SELECT key FROM scan_candidates
     WHERE scan_id = $1 AND participant = $2 AND key_type = $3 AND ($4::text IS NULL OR key > $4) ORDER BY key LIMIT $5`,
    [id, participant, keyType, after, limit],
  );
  return rows.map(({ key }) => key);
}

/** Takes away the keys up to and with that one. */
export async function removeCandidates(
  tx: Transaction,
  { id, participant }: OfRun,
  keyType: KeyType,
  upto: string,
): Promise<void> {
  await tx.query('DELETE FROM scan_candidates WHERE scan_id = $1 AND participant = $2 AND key_type = $3 AND key <= $4', [
    ...[id, participant, keyType, upto],
  ]);
}

/** How many keys are left. */
export async function countCandidates(sql: Sql, { id, participant }: OfRun): Promise<number> {
  const { rows } = await sql.query<{ keys: number }>(
    'SELECT count(*) AS keys FROM scan_candidates WHERE scan_id = $1 AND participant = $2',
    [id, participant],
  );
  return rows[0]?.keys ?? 0;
}
