/**
 * The rows of dict_divergences: what a run found, what became of it, and how many count towards the thresholds. What they mean is
 * judged in judgement.ts. Rows hold CIDs and keys, never the entries themselves: whoever repairs reads them from DICT anew.
 */

import { asCid, type Cid, cidToHex } from '../cid/cid.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';

/** The vocabulary of reports and metrics. */
export type DivergenceKind = 'missing_local' | 'outdated_local' | 'orphaned' | 'duplicated' | 'unresolved' | 'altered';

export type DivergenceState = 'found' | 'deferred' | 'settled' | 'applied' | 'review' | 'open' | 'dropped' | 'paired';

/** Who alone has the CID; `row`: an entry of ours that does not hash to its own CID. */
export type DivergenceSide = 'dict' | 'local' | 'row';

export type FoundBy = 'listing' | 'log' | 'residual' | 'file' | 'scan' | 'recheck';

export interface Divergence {
  readonly id: number;
  readonly side: DivergenceSide;
  readonly cid: Cid;
  readonly key: string | null;
  readonly kind: DivergenceKind | null;
  readonly localCid: Cid | null;
  readonly dictCid: Cid | null;
  readonly state: DivergenceState;
  readonly foundBy: FoundBy;
  readonly since: Date | null;
  readonly dueAt: Date | null;
  readonly judgedSeq: number | null;
  readonly attempts: number;
  readonly reason: string | null;
  readonly approvalId: string | null;
}

/** A difference as it was found, before anything is known about it. */
export interface NewDifference {
  readonly side: DivergenceSide;
  readonly cid: Cid;
  readonly foundBy: FoundBy;
  /** DICT's time of the event that made it differ, where the log told. */
  readonly since: Date | null;
  /** Not to be judged before; null: at once. */
  readonly dueAt: Date | null;
  readonly carriedFrom?: number | null;
}

interface DivergenceRow extends Omit<Divergence, 'cid' | 'localCid' | 'dictCid'> {
  readonly cid: Buffer;
  readonly localCid: Buffer | null;
  readonly dictCid: Buffer | null;
}

const columns = `id, side, cid, key, kind, local_cid AS "localCid", dict_cid AS "dictCid", state, found_by AS "foundBy", since,
  due_at AS "dueAt", judged_seq AS "judgedSeq", attempts, reason, approval_id AS "approvalId"`;

/**
 * Adds what was found to a run. A difference that the run knows is judged again, unless it waits for that already or for a
 * person: found a second time, an earlier verdict was overtaken.
 */
export async function insertDifferences(
  tx: Transaction,
  run: Scope & { readonly id: string },
  differences: readonly NewDifference[],
  now: Date,
): Promise<void> {
  if (differences.length === 0) return;
  await tx.query(
    `INSERT INTO dict_divergences AS known (reconciliation_id, participant, key_type, side, cid, state, found_by, since, due_at,
       attempts, carried_from, found_at, updated_at)
     SELECT $1, $2, $3, side, decode(cid, 'hex'), CASE WHEN due_at > $5 THEN 'deferred' ELSE 'found' END, found_by, since, due_at,
       0, carried_from, $5, $5
     FROM jsonb_to_recordset($4) AS given (side text, cid text, found_by text, since timestamptz, due_at timestamptz,
       carried_from bigint)
     ON CONFLICT (reconciliation_id, side, cid) DO UPDATE
     SET state = excluded.state, found_by = CASE known.found_by WHEN 'listing' THEN excluded.found_by ELSE known.found_by END,
       since = excluded.since, due_at = excluded.due_at, approval_id = NULL, updated_at = excluded.updated_at
     WHERE known.state IN ('applied', 'open', 'dropped', 'paired')`,
    [
      run.id,
      run.participant,
      run.keyType,
      JSON.stringify(
        differences.map((difference) => ({
          side: difference.side,
          cid: cidToHex(difference.cid),
          found_by: difference.foundBy,
          since: difference.since,
          due_at: difference.dueAt,
          carried_from: difference.carriedFrom ?? null,
        })),
      ),
      now,
    ],
  );
}

/** Faults of the base itself that no answer of DICT's mends: they are open from the start. */
export async function insertOpen(
  tx: Transaction,
  run: Scope & { readonly id: string },
  faults: readonly { readonly cid: Cid; readonly key: string; readonly kind: DivergenceKind | null; readonly reason: string }[],
  now: Date,
): Promise<void> {
  if (faults.length === 0) return;
  await tx.query(
    `INSERT INTO dict_divergences (reconciliation_id, participant, key_type, side, cid, key, kind, state, found_by, attempts, reason,
       found_at, updated_at)
     SELECT $1, $2, $3, 'row', decode(cid, 'hex'), key, kind, 'open', 'scan', 0, reason, $5, $5
     FROM jsonb_to_recordset($4) AS given (cid text, key text, kind text, reason text)
     ON CONFLICT (reconciliation_id, side, cid) DO NOTHING`,
    [
      run.id,
      run.participant,
      run.keyType,
      JSON.stringify(faults.map(({ cid, key, kind, reason }) => ({ cid: cidToHex(cid), key, kind, reason }))),
      now,
    ],
  );
}

/**
 * Differences of one side that can be judged now, in the order they were found. Each half follows the index by state to its limit:
 * as one condition with OR, every batch would sort all that waits.
 */
export async function readToJudge(
  sql: Sql,
  runId: string,
  wanted: { readonly side: DivergenceSide; readonly now: Date; readonly limit: number },
): Promise<Divergence[]> {
  const { rows } = await sql.query<DivergenceRow>(
    `(SELECT ${columns} FROM dict_divergences WHERE reconciliation_id = $1 AND side = $2 AND state = 'found' ORDER BY id LIMIT $4)
     UNION ALL
     (SELECT ${columns} FROM dict_divergences
      WHERE reconciliation_id = $1 AND side = $2 AND state = 'deferred' AND due_at <= $3 ORDER BY id LIMIT $4)
     ORDER BY id LIMIT $4`,
    [runId, wanted.side, wanted.now, wanted.limit],
  );
  return rows.map(divergenceOf);
}

/** Settled divergences that await their repair: what DICT has first, then what it has not, in the order they were found. */
export async function readSettled(sql: Sql, runId: string, limit: number): Promise<Divergence[]> {
  const { rows } = await sql.query<DivergenceRow>(
    `SELECT ${columns} FROM dict_divergences WHERE reconciliation_id = $1 AND state = 'settled' ORDER BY side, id LIMIT $2`,
    [runId, limit],
  );
  return rows.map(divergenceOf);
}

/** What a step made of a divergence; what is absent stays. `null` empties. */
export interface DivergenceChange {
  readonly id: number;
  readonly state: DivergenceState;
  readonly key?: string | null;
  readonly kind?: DivergenceKind | null;
  readonly localCid?: Cid | null;
  readonly dictCid?: Cid | null;
  readonly dueAt?: Date | null;
  readonly judgedSeq?: number | null;
  readonly provedAt?: Date | null;
  readonly attempts?: number;
  readonly reason?: string | null;
  readonly evidence?: Readonly<Record<string, unknown>> | null;
  readonly approvalId?: string | null;
  readonly settledAt?: Date | null;
  readonly appliedAt?: Date | null;
  readonly appliedSeq?: number | null;
}

/** Writes what a step made of some divergences. Only after `fenceRun` in the same transaction. */
export async function updateDivergences(tx: Transaction, changes: readonly DivergenceChange[], now: Date): Promise<void> {
  if (changes.length === 0) return;
  // jsonb tells a member that is null from one that is absent: `?` asks whether it is there.
  const next = (name: string, column: string, value: string): string =>
    `${column} = CASE WHEN given.change ? '${name}' THEN ${value} ELSE d.${column} END`;
  const text = (name: string, type: string): string => `(given.change ->> '${name}')::${type}`;
  const bytes = (name: string): string => `decode(given.change ->> '${name}', 'hex')`;
  await tx.query(
    `UPDATE dict_divergences AS d
     SET state = given.change ->> 'state', updated_at = $2,
       ${next('key', 'key', text('key', 'text'))}, ${next('kind', 'kind', text('kind', 'text'))},
       ${next('localCid', 'local_cid', bytes('localCid'))}, ${next('dictCid', 'dict_cid', bytes('dictCid'))},
       ${next('dueAt', 'due_at', text('dueAt', 'timestamptz'))}, ${next('judgedSeq', 'judged_seq', text('judgedSeq', 'bigint'))},
       ${next('provedAt', 'proved_at', text('provedAt', 'timestamptz'))}, ${next('attempts', 'attempts', text('attempts', 'integer'))},
       ${next('reason', 'reason', text('reason', 'text'))},
       ${next('evidence', 'evidence', `nullif(given.change -> 'evidence', 'null'::jsonb)`)},
       ${next('approvalId', 'approval_id', text('approvalId', 'uuid'))},
       ${next('settledAt', 'settled_at', text('settledAt', 'timestamptz'))},
       ${next('appliedAt', 'applied_at', text('appliedAt', 'timestamptz'))},
       ${next('appliedSeq', 'applied_seq', text('appliedSeq', 'bigint'))}
     FROM jsonb_array_elements($1) AS given (change)
     WHERE d.id = (given.change ->> 'id')::bigint`,
    [JSON.stringify(changes.map(jsonOf)), now],
  );
}

/** The other halves of outdated entries: only-local CIDs that a settled divergence of the same run accounts for (rule R3). */
export async function pairLocals(tx: Transaction, runId: string, localCids: readonly Cid[], now: Date): Promise<void> {
  if (localCids.length === 0) return;
  await tx.query(
    `UPDATE dict_divergences SET state = 'paired', reason = 'the other half of an outdated entry', updated_at = $3
     WHERE reconciliation_id = $1 AND side = 'local' AND state IN ('found', 'deferred', 'open')
       AND cid = ANY (ARRAY(SELECT decode(hex, 'hex') FROM unnest($2::text[]) AS hex))`,
    [runId, localCids.map(cidToHex), now],
  );
}

/** Only-local CIDs of these that a divergence on DICT's side of the run accounts for, as hex. */
export async function pairedLocals(sql: Sql, runId: string, localCids: readonly Cid[]): Promise<Set<string>> {
  const { rows } = await sql.query<{ cid: Buffer }>(
    `SELECT local_cid AS cid FROM dict_divergences
     WHERE reconciliation_id = $1 AND side = 'dict' AND state NOT IN ('dropped', 'found')
       AND local_cid = ANY (ARRAY(SELECT decode(hex, 'hex') FROM unnest($2::text[]) AS hex))`,
    [runId, localCids.map(cidToHex)],
  );
  return new Set(rows.map((row) => row.cid.toString('hex')));
}

/** What was neither settled for good nor handed to a person stays open, with the reason why the run ended. */
export async function leaveOpen(tx: Transaction, runId: string, reason: string, now: Date): Promise<void> {
  await tx.query(
    `UPDATE dict_divergences SET state = 'open', reason = coalesce(reason, $2), due_at = NULL, updated_at = $3
     WHERE reconciliation_id = $1 AND state IN ('found', 'deferred', 'settled')`,
    [runId, reason, now],
  );
}

/** Takes over what the last run of the same participant and key type left open (rule R20); answers how many. */
export async function carryOpen(
  tx: Transaction,
  run: Scope & { readonly id: string },
  limit: number,
  now: Date,
): Promise<number> {
  const { rowCount } = await tx.query(
    `INSERT INTO dict_divergences (reconciliation_id, participant, key_type, side, cid, state, found_by, since, attempts,
       carried_from, found_at, updated_at)
     SELECT $1, d.participant, d.key_type, d.side, d.cid, 'found', d.found_by, d.since, 0, d.id, $4, $4
     FROM dict_divergences d
     WHERE d.state = 'open' AND d.reconciliation_id = (
       SELECT r.id FROM dict_reconciliations r
       WHERE r.participant = $2 AND r.key_type = $3 AND r.ended_at IS NOT NULL AND r.state <> 'superseded'
       ORDER BY r.started_at DESC, r.ended_at DESC LIMIT 1)
     ORDER BY d.id LIMIT $5
     ON CONFLICT (reconciliation_id, side, cid) DO NOTHING`,
    [run.id, run.participant, run.keyType, now, limit],
  );
  return rowCount;
}

/**
 * CIDs of a run's divergences that are open or with a person, as hex: a verification that meets them again tells nothing new. But what
 * only a listing has shown to be missing at DICT was not judged yet, for want of the log's word or the file's.
 */
export async function knownUnsettled(sql: Sql, runId: string): Promise<Set<string>> {
  const { rows } = await sql.query<{ cid: Buffer; localCid: Buffer | null }>(
    `SELECT cid, local_cid AS "localCid" FROM dict_divergences WHERE reconciliation_id = $1 AND state IN ('open', 'review')
       AND NOT (found_by = 'listing' AND side = 'local')`,
    [runId],
  );
  return new Set(
    rows.flatMap(({ cid, localCid }) => (localCid === null ? [cid] : [cid, localCid]).map((bytes) => bytes.toString('hex'))),
  );
}

/**
 * Repairs of a run whose key an event of the core's has touched since (rule R4): the CID that was repaired to, and those that the
 * event brought. As differences on DICT's side, to be looked up anew.
 */
export async function repairsTouchedSince(sql: Sql, runId: string, now: Date): Promise<NewDifference[]> {
  const { rows } = await sql.query<{ cid: Buffer }>(
    `SELECT DISTINCT c.cid
     FROM dict_divergences d
     JOIN dict_cids touched ON touched.participant = d.participant AND touched.key = d.key AND touched.key_type = d.key_type
       AND touched.source = 'event' AND touched.added_at >= d.applied_at
     JOIN dict_cids c ON c.participant = d.participant AND c.key = d.key AND c.key_type = d.key_type
       AND (c.cid = touched.cid OR c.cid = d.dict_cid)
     WHERE d.reconciliation_id = $1 AND d.state = 'applied'`,
    [runId],
  );
  return rows.map(({ cid }) => ({ side: 'dict', cid: asCid(cid), foundBy: 'recheck', since: null, dueAt: now }));
}

/** Open differences between the two sets of CIDs are over once DICT has said OK; what is wrong in a row is not. */
export async function dropExplained(tx: Transaction, runId: string, now: Date): Promise<void> {
  await tx.query(
    `UPDATE dict_divergences SET state = 'dropped', reason = 'DICT and base agree by now', updated_at = $2
     WHERE reconciliation_id = $1 AND state = 'open' AND side IN ('dict', 'local')`,
    [runId, now],
  );
}

function divergenceOf(row: DivergenceRow): Divergence {
  return {
    ...row,
    cid: asCid(row.cid),
    localCid: row.localCid === null ? null : asCid(row.localCid),
    dictCid: row.dictCid === null ? null : asCid(row.dictCid),
  };
}

function jsonOf({ localCid, dictCid, ...change }: DivergenceChange): Record<string, unknown> {
  return {
    ...change,
    ...(localCid === undefined ? {} : { localCid: localCid === null ? null : cidToHex(localCid) }),
    ...(dictCid === undefined ? {} : { dictCid: dictCid === null ? null : cidToHex(dictCid) }),
  };
}
