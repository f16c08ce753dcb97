/**
 * The divergences that an approval covers: their digest, which the approval holds (rule R8), and the list as it may be shown, keys
 * masked.
 */

import { maskKey } from '../ledger/masking.ts';
import { assert } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import type { DivergenceKind, DivergenceState, FoundBy } from './divergence-store.ts';

/** A list of divergences that stands for itself. */
export interface CoveredList {
  readonly divergences: number;
  /** SHA-256 over what each divergence is and which CIDs it is about, one line each, in the order they were found. */
  readonly digest: Buffer;
}

/**
 * The settled divergences of a run that an approval covers, or (null) that none covers yet. Digested where they stand, so that
 * however many they are, none of them is in this process.
 */
export async function digestCovered(sql: Sql, runId: string, approvalId: string | null): Promise<CoveredList> {
  const { rows } = await sql.query<{ divergences: number; digest: Buffer }>(
    `SELECT count(*) AS divergences, sha256(convert_to(coalesce(string_agg(
       coalesce(kind, 'null') || '|' || side || '|' || encode(cid, 'hex') || '|' || coalesce(encode(local_cid, 'hex'), '') || E'\\n',
       '' ORDER BY id), ''), 'UTF8')) AS digest
     FROM dict_divergences
     WHERE reconciliation_id = $1 AND state = 'settled' AND approval_id IS NOT DISTINCT FROM $2::uuid`,
    [runId, approvalId],
  );
  const list = rows[0];
  assert(list !== undefined, 'an aggregate answers one row');
  return list;
}

/** Puts the settled divergences that no approval covers yet under that one. */
export async function coverSettled(tx: Transaction, runId: string, approvalId: string, now: Date): Promise<void> {
  await tx.query(
    `UPDATE dict_divergences SET approval_id = $2, updated_at = $3
     WHERE reconciliation_id = $1 AND state = 'settled' AND approval_id IS NULL`,
    [runId, approvalId, now],
  );
}

/** A divergence as it may be shown. */
export interface ShownDivergence {
  readonly id: number;
  readonly kind: DivergenceKind | null;
  readonly side: 'dict' | 'local' | 'row';
  readonly key: string | null;
  readonly state: DivergenceState;
  readonly foundBy: FoundBy;
  readonly reason: string | null;
  readonly approvalId: string | null;
}

/** What an approval covers, keys masked; at most `limit`. */
export async function listCovered(sql: Sql, approvalId: string, limit: number): Promise<ShownDivergence[]> {
  const { rows } = await sql.query<ShownDivergence & { readonly keyType: string }>(
    `SELECT id, kind, side, key, state, found_by AS "foundBy", reason, approval_id AS "approvalId", key_type AS "keyType"
     FROM dict_divergences WHERE approval_id = $1 ORDER BY id LIMIT $2`,
    [approvalId, limit],
  );
  return rows.map(masked);
}

function masked({ keyType, key, ...row }: ShownDivergence & { readonly keyType: string }): ShownDivergence {
  return { ...row, key: key === null ? null : maskKey(key, keyType) };
}
