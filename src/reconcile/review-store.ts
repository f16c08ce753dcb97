/** The rows of manual_review_queue: what waits for a person, one open item per key. One function per statement. */

import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';

export type ReviewReason = 'orphaned' | 'newer_here' | 'open_claim';

export type ReviewStatus = 'PENDING' | 'INVESTIGATING' | 'RESOLVED' | 'CLOSED';

/** What a person can do about an item. */
export const REVIEW_ACTIONS = ['confirm-deletion', 'keep', 'accept-dict', 'investigate'] as const;

export type ReviewAction = (typeof REVIEW_ACTIONS)[number];

export interface ReviewItem {
  readonly id: string;
  readonly participant: Participant;
  readonly keyType: KeyType;
  readonly key: string;
  readonly reason: ReviewReason;
  readonly detail: string;
  readonly divergenceId: number | null;
  readonly localCid: Buffer | null;
  readonly dictCid: Buffer | null;
  readonly entrySeq: number | null;
  readonly status: ReviewStatus;
  readonly version: number;
  readonly reviewedBy: string | null;
  readonly reviewedAt: Date | null;
  readonly actionTaken: ReviewAction | 'closed-by-itself' | null;
  readonly actionReason: string | null;
  readonly createdAt: Date;
}

const columns = `id, participant, key_type AS "keyType", key, reason, detail, divergence_id AS "divergenceId",
  local_cid AS "localCid", dict_cid AS "dictCid", entry_seq AS "entrySeq", status, version, reviewed_by AS "reviewedBy",
  reviewed_at AS "reviewedAt", action_taken AS "actionTaken", action_reason AS "actionReason", created_at AS "createdAt"`;

export type NewReview = Pick<
  ReviewItem,
  'id' | 'participant' | 'keyType' | 'key' | 'reason' | 'detail' | 'divergenceId' | 'localCid' | 'dictCid' | 'entrySeq'
>;

/** Puts items before a person, at most one per key; one that is open for the key takes the newer facts. */
export async function insertReviews(tx: Transaction, items: readonly NewReview[], now: Date): Promise<void> {
  if (items.length === 0) return;
  const hexOf = (cid: Buffer | null): string | null => cid?.toString('hex') ?? null;
  await tx.query(
    `INSERT INTO manual_review_queue AS known (id, participant, key_type, key, reason, detail, divergence_id, local_cid, dict_cid,
       entry_seq, status, version, created_at, updated_at)
     SELECT id, participant, key_type, key, reason, detail, divergence_id, decode(local_cid, 'hex'), decode(dict_cid, 'hex'),
       entry_seq, 'PENDING', 1, $2, $2
     FROM json_to_recordset($1) AS given (id uuid, participant text, key_type text, key text, reason text, detail text,
       divergence_id bigint, local_cid text, dict_cid text, entry_seq bigint)
     ON CONFLICT (participant, key) WHERE status IN ('PENDING', 'INVESTIGATING') DO UPDATE
     SET reason = excluded.reason, detail = excluded.detail, divergence_id = excluded.divergence_id,
         local_cid = excluded.local_cid, dict_cid = excluded.dict_cid, entry_seq = excluded.entry_seq,
         version = known.version + 1, updated_at = excluded.updated_at`,
    [
      JSON.stringify(
        items.map((item) => ({
          id: item.id,
          participant: item.participant,
          key_type: item.keyType,
          key: item.key,
          reason: item.reason,
          detail: item.detail,
          divergence_id: item.divergenceId,
          local_cid: hexOf(item.localCid),
          dict_cid: hexOf(item.dictCid),
          entry_seq: item.entrySeq,
        })),
      ),
      now,
    ],
  );
}

/** An item by its id; null where there is none. */
export async function readReview(sql: Sql, id: string): Promise<ReviewItem | null> {
  const { rows } = await sql.query<ReviewItem>(`SELECT ${columns} FROM manual_review_queue WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** The same, locked until the transaction ends. */
export async function lockReview(tx: Transaction, id: string): Promise<ReviewItem | null> {
  const { rows } = await tx.query<ReviewItem>(`SELECT ${columns} FROM manual_review_queue WHERE id = $1 FOR UPDATE`, [id]);
  return rows[0] ?? null;
}

/** Items by status, oldest first; at most `limit`. */
export async function readReviews(
  sql: Sql,
  wanted: { readonly participant: Participant | null; readonly statuses: readonly ReviewStatus[]; readonly limit: number },
): Promise<ReviewItem[]> {
  const { rows } = await sql.query<ReviewItem>(
    `SELECT ${columns} FROM manual_review_queue
     WHERE status = ANY ($1) AND ($2::text IS NULL OR participant = $2)
     ORDER BY created_at, id LIMIT $3`,
    [wanted.statuses, wanted.participant, wanted.limit],
  );
  return rows;
}

/** Writes a decision; false where the item has changed since that version. */
export async function writeReview(
  tx: Transaction,
  item: { readonly id: string; readonly version: number },
  decision: {
    readonly status: ReviewStatus;
    readonly action: ReviewAction;
    readonly reviewedBy: string;
    readonly authenticated: boolean;
    readonly reason: string;
  },
  now: Date,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE manual_review_queue
     SET status = $3, action_taken = $4, reviewed_by = $5, authenticated = $6, action_reason = $7, reviewed_at = $8,
         updated_at = $8, version = version + 1
     WHERE id = $1 AND version = $2 AND status IN ('PENDING', 'INVESTIGATING')`,
    [item.id, item.version, decision.status, decision.action, decision.reviewedBy, decision.authenticated, decision.reason, now],
  );
  return rowCount === 1;
}

/**
 * Closes items that events or DICT have settled meanwhile: an orphan that is active again or was deleted (rule R9), an entry whose
 * state is no longer the one that was judged.
 */
export async function closeSettledReviews(sql: Sql, participant: Participant | null, now: Date): Promise<number> {
  const { rowCount } = await sql.query(
    `UPDATE manual_review_queue AS item
     SET status = 'CLOSED', action_taken = 'closed-by-itself', action_reason = 'the entry has changed since', updated_at = $2,
         version = item.version + 1
     FROM dict_entries AS entry
     WHERE item.status IN ('PENDING', 'INVESTIGATING') AND ($1::text IS NULL OR item.participant = $1)
       AND entry.participant = item.participant AND entry.key_type = item.key_type AND entry.key = item.key
       AND CASE item.reason WHEN 'orphaned' THEN entry.status NOT IN ('ORPHANED', 'PENDING')
           ELSE entry.seq IS DISTINCT FROM item.entry_seq END`,
    [participant, now],
  );
  return rowCount;
}

/** Keys of these whose present difference a person has decided to keep as it is (rule R9), as `key`. */
export async function keptByPerson(
  sql: Sql,
  participant: Participant,
  differences: readonly { readonly key: string; readonly localCid: Uint8Array | null; readonly dictCid: Uint8Array }[],
): Promise<Set<string>> {
  if (differences.length === 0) return new Set();
  const { rows } = await sql.query<{ key: string }>(
    `SELECT DISTINCT item.key
     FROM manual_review_queue item
     JOIN jsonb_to_recordset($2) AS given (key text, local_cid text, dict_cid text) ON given.key = item.key
     WHERE item.participant = $1 AND item.status = 'RESOLVED' AND item.action_taken = 'keep'
       AND item.dict_cid = decode(given.dict_cid, 'hex') AND item.local_cid IS NOT DISTINCT FROM decode(given.local_cid, 'hex')`,
    [
      participant,
      JSON.stringify(
        differences.map(({ key, localCid, dictCid }) => ({
          key,
          local_cid: localCid === null ? null : Buffer.from(localCid).toString('hex'),
          dict_cid: Buffer.from(dictCid).toString('hex'),
        })),
      ),
    ],
  );
  return new Set(rows.map((row) => row.key));
}
