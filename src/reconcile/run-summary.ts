/** What a run came to, for reports, status and the console. Figures and masked keys only. */

import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { maskKey } from '../ledger/masking.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { DivergenceKind, DivergenceState, FoundBy } from './divergence-store.ts';
import type { ReconciliationState, Rung } from './reconciliation.ts';

/** Divergences of one kind, state and way of being found. */
export interface DivergenceCount {
  readonly kind: DivergenceKind | null;
  readonly state: DivergenceState;
  readonly foundBy: FoundBy;
  /** Left open by an earlier run (rule R20). */
  readonly carried: boolean;
  readonly count: number;
}

export interface RunSummary {
  readonly runId: string;
  readonly participant: Participant;
  readonly keyType: KeyType;
  readonly state: ReconciliationState;
  readonly reason: string | null;
  readonly rung: Rung;
  readonly requestedBy: string;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly counts: readonly DivergenceCount[];
  readonly byCidReads: number;
  readonly filesRequested: number;
  /** Files asked for by a process that died before DICT's answer was stored. */
  readonly filesLost: number;
  /** Lines of the file that was read; null where none was. */
  readonly fileLines: number | null;
  /** Verification whose NOK began it, and the last one that was to confirm it. */
  readonly verificationRunId: string | null;
  readonly confirmRunId: string | null;
  readonly evidence: Readonly<Record<string, unknown>> | null;
}

const columns = `id AS "runId", participant, key_type AS "keyType", state, reason, rung, requested_by AS "requestedBy",
  started_at AS "startedAt", ended_at AS "endedAt", by_cid_reads AS "byCidReads", files_requested AS "filesRequested",
  files_lost AS "filesLost", file_lines AS "fileLines", verification_run_id AS "verificationRunId",
  confirm_run_id AS "confirmRunId", evidence`;

/** A run's summary; null where there is no such run. */
export async function summariseRun(sql: Sql, runId: string): Promise<RunSummary | null> {
  const { rows } = await sql.query<Omit<RunSummary, 'counts'>>(`SELECT ${columns} FROM dict_reconciliations WHERE id = $1`, [
    runId,
  ]);
  const run = rows[0];
  if (run === undefined) return null;
  const { rows: counts } = await sql.query<DivergenceCount>(
    `SELECT kind, state, found_by AS "foundBy", carried_from IS NOT NULL AS carried, count(*) AS count
     FROM dict_divergences WHERE reconciliation_id = $1
     GROUP BY kind, state, found_by, carried_from IS NOT NULL ORDER BY kind, state, found_by`,
    [runId],
  );
  return { ...run, counts };
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

/** Divergences of a run after that id (0: from the first), keys masked; at most `limit`. */
export async function listDivergences(
  sql: Sql,
  runId: string,
  page: { readonly after: number; readonly limit: number },
): Promise<ShownDivergence[]> {
  const { rows } = await sql.query<ShownDivergence & { readonly keyType: string }>(
    `SELECT id, kind, side, key, state, found_by AS "foundBy", reason, approval_id AS "approvalId", key_type AS "keyType"
     FROM dict_divergences WHERE reconciliation_id = $1 AND id > $2 ORDER BY id LIMIT $3`,
    [runId, page.after, page.limit],
  );
  return rows.map(masked);
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
