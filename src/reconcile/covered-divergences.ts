/** The divergences that an approval covers, as they may be shown: keys are masked. */

import { maskKey } from '../ledger/masking.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { DivergenceKind, DivergenceState, FoundBy } from './divergence-store.ts';

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
