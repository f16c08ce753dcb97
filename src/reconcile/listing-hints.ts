/**
 * What a listing has shown, and the CIDs that it hints at. A key that was shown with other attributes than ours has, at DICT, the CID of
 * those attributes and our RequestId, because an update keeps the RequestId: that CID can be asked about. For a key that we never
 * had no CID is known; DICT's log or the CID set file has to tell it.
 */

import { asCid, type Cid, cidToHex, computeCid } from '../cid/cid.ts';
import type { ExtendedEntry } from '../dict/entry.ts';
import { KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { activeCid, type StoredEntry } from '../ingest/stored-entry.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/scope.ts';
import type { NewDifference } from './divergence-store.ts';

/** What one listed entry means, beside what we hold under its key. */
export type ListedMeaning =
  | { readonly meaning: 'same' }
  | { readonly meaning: 'missing' | 'outdated' | 'unresolved'; readonly cid: Cid | null };

/** Lays a listed entry beside ours. Pure; only what a CID is made of is compared. */
export function meaningOf(listed: ExtendedEntry, stored: StoredEntry | null): ListedMeaning {
  if (stored === null || stored.keyType !== listed.keyType) return { meaning: 'missing', cid: null };
  if (stored.status === 'UNRESOLVED') return { meaning: 'unresolved', cid: null };
  const cid = stored.requestId === null ? null : computeCid(listed, stored.requestId);
  const ours = activeCid(stored);
  if (ours === null) return { meaning: 'missing', cid };
  return cid !== null && cidToHex(cid) === cidToHex(ours) ? { meaning: 'same' } : { meaning: 'outdated', cid };
}

export interface Hint {
  readonly keyType: KeyType;
  readonly side: 'dict' | 'local';
  readonly cid: Cid;
  /** Before that an event of the core's may still explain it; null: at once. */
  readonly dueAt: Date | null;
}

/** Adds keys to those that a listing has shown; answers which of them are new. */
export async function noteShown(tx: Transaction, listingId: string, keys: readonly string[]): Promise<Set<string>> {
  if (keys.length === 0) return new Set();
  const { rows } = await tx.query<{ key: string }>(
    `INSERT INTO entry_listing_keys (listing_id, key) SELECT $1, key FROM unnest($2::text[]) AS given (key)
     ON CONFLICT DO NOTHING RETURNING key`,
    [listingId, keys],
  );
  return new Set(rows.map(({ key }) => key));
}

/** Keeps hints; one that is known stays as it is. */
export async function insertHints(tx: Transaction, listingId: string, hints: readonly Hint[]): Promise<void> {
  if (hints.length === 0) return;
  await tx.query(
    `INSERT INTO entry_listing_hints (listing_id, key_type, side, cid, due_at)
     SELECT $1, key_type, side, decode(cid, 'hex'), due_at
     FROM jsonb_to_recordset($2) AS given (key_type text, side text, cid text, due_at timestamptz)
     ON CONFLICT DO NOTHING`,
    [
      listingId,
      JSON.stringify(
        hints.map(({ keyType, side, cid, dueAt }) => ({ key_type: keyType, side, cid: cidToHex(cid), due_at: dueAt })),
      ),
    ],
  );
}

/** One range of our keys, and which of them a listing has not shown although they were here before it began. */
export interface ComparedRange {
  readonly activeKeys: number;
  /** The last key of the range; null where no key follows any more. */
  readonly lastKey: string | null;
  readonly unlisted: readonly { readonly keyType: KeyType; readonly cid: Cid }[];
}

/** Looks the next active keys of ours up among those shown, in the order of their keys, which no index has across key types. */
export async function compareRange(
  sql: Sql,
  listing: { readonly id: string; readonly participant: Participant; readonly startedAt: Date },
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<ComparedRange> {
  const { rows } = await sql.query<{ key: string; keyType: KeyType; cid: Buffer | null; active: boolean; unlisted: boolean }>(
    `SELECT e.key, e.key_type AS "keyType", e.cid, e.status = 'ACTIVE' AS active,
       e.status = 'ACTIVE' AND e.updated_at < $3
         AND NOT EXISTS (SELECT FROM entry_listing_keys k WHERE k.listing_id = $1 AND k.key = e.key) AS unlisted
     FROM unnest($6::text[]) AS wanted (key_type)
     CROSS JOIN LATERAL (
       SELECT key, key_type, cid, status, updated_at FROM dict_entries
       WHERE participant = $2 AND key_type = wanted.key_type AND ($4::text IS NULL OR key > $4)
       ORDER BY key LIMIT $5) AS e
     ORDER BY e.key LIMIT $5`,
    [listing.id, listing.participant, listing.startedAt, after, limit, KEY_TYPES],
  );
  const unlisted = rows.flatMap(({ keyType, cid, unlisted: is }) => (is && cid !== null ? [{ keyType, cid: asCid(cid) }] : []));
  return {
    activeKeys: rows.filter(({ active }) => active).length,
    lastKey: rows.length < limit ? null : (rows.at(-1)?.key ?? null),
    unlisted,
  };
}

/** Takes back what was hinted at on one side: there is too much of it to be true. */
export async function dropHints(tx: Transaction, listingId: string, side: 'dict' | 'local'): Promise<void> {
  await tx.query('DELETE FROM entry_listing_hints WHERE listing_id = $1 AND side = $2', [listingId, side]);
}

/** The hints of one key type as differences to be judged, after that one; at most `limit`. */
export async function readHints(
  sql: Sql,
  listingId: string,
  scope: Pick<Scope, 'keyType'>,
  { after, limit }: { readonly after: NewDifference | null; readonly limit: number },
): Promise<NewDifference[]> {
  const { rows } = await sql.query<{ side: 'dict' | 'local'; cid: Buffer; dueAt: Date | null }>(
    `SELECT side, cid, due_at AS "dueAt" FROM entry_listing_hints
     WHERE listing_id = $1 AND key_type = $2 AND ($3::text IS NULL OR (side, cid) > ($3, $4::bytea))
     ORDER BY side, cid LIMIT $5`,
    [listingId, scope.keyType, after?.side ?? null, after === null ? null : Buffer.from(after.cid), limit],
  );
  return rows.map(({ side, cid, dueAt }) => ({ side, cid: asCid(cid), foundBy: 'listing', since: null, dueAt }));
}
