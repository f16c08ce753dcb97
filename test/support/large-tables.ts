/** What stands in each table of the large base, as expressions of a row's number `n` that the server computes. */

import { hash } from 'node:crypto';
import { participant } from '../../src/dict/participant.ts';
import type { Scope } from '../../src/vsync/scope.ts';

export const LARGE = {
  entries: 1_000_000,
  participant: participant('00038166'),
  /** Numbers up to this are keys of the large scope, each by an event of its own; those after it came with one import. */
  events: 900_000,
  keyType: 'PHONE',
  importedKeyType: 'CPF',
} as const;

export const LARGE_SCOPE: Scope = { participant: LARGE.participant, keyType: LARGE.keyType };

/** The CID of number `n`, as hex. */
export function largeCid(n: number): string {
  return hash('sha256', String(n), 'hex');
}

interface Times {
  readonly now: Date;
  readonly started: Date;
}

/** `values` is the select list over `n`, with the parameters from $1 on. */
export interface Filling {
  readonly table: string;
  readonly rows: number;
  readonly columns: string;
  readonly values: string;
  readonly parameters: (times: Times) => unknown[];
}

const scoped = ({ started }: Times): unknown[] => [LARGE.participant, LARGE.keyType, started];
const owned = ({ started }: Times): unknown[] => [LARGE.participant, started];
const phone = `'+5511' || lpad(n::text, 9, '0')`;
const cid = 'sha256(n::text::bytea)';
const otherCid = 'sha256((-n)::text::bytea)';
const isEvent = `n <= ${LARGE.events}`;
const runs = 200_000;
const reconciliations = 2_000;
const atRun = `$3::timestamptz + n * interval '7 minutes'`;
const atReconciliation = `$3::timestamptz + n * interval '9 hours'`;
// Of all runs that there are by then, in turn, as several participants and key types write them.
const reconciliation = `CASE WHEN n <= 300 THEN 1 + n % 2 ELSE 1 + n % ${reconciliations} END`;

const base: readonly Filling[] = [
  {
    table: 'dict_entries',
    rows: LARGE.entries,
    columns: `participant, key, key_type, status, cid, branch, account_number, account_type, owner_type, owner_tax_id, owner_name,
      request_id, request_id_since, occurred_at, event_action, seq, updated_at`,
    values: `$1, CASE WHEN ${isEvent} THEN ${phone} ELSE lpad(n::text, 11, '0') END,
      CASE WHEN ${isEvent} THEN '${LARGE.keyType}' ELSE '${LARGE.importedKeyType}' END, 'ACTIVE', ${cid}, '0001',
      lpad((n / 2)::text, 10, '0'), 'CACC', 'NATURAL_PERSON', lpad(n::text, 11, '0'), 'Nome Gerado',
      '00000000-0000-4000-8000-000000000000', $2, $2, 'key.created', CASE WHEN ${isEvent} THEN n ELSE 1 END, $2::timestamptz`,
    parameters: owned,
  },
  {
    table: 'dict_cids',
    rows: LARGE.entries,
    columns: 'participant, key_type, cid, key, added_seq, added_at, source, algorithm',
    values: `$1, CASE WHEN ${isEvent} THEN '${LARGE.keyType}' ELSE '${LARGE.importedKeyType}' END, ${cid},
      CASE WHEN ${isEvent} THEN ${phone} ELSE lpad(n::text, 11, '0') END, CASE WHEN ${isEvent} THEN n ELSE 1 END, $2::timestamptz,
      CASE WHEN ${isEvent} THEN 'event' ELSE 'import' END, 'dict'`,
    parameters: owned,
  },
  {
    table: 'dict_vsync_changes',
    rows: LARGE.events,
    columns: 'participant, key_type, seq, source, changes, committed_at',
    // One commit per event, the last at `now`.
    values: `$1, $2, n, 'event', '\\x01'::bytea || ${cid}, $3::timestamptz - (${LARGE.events} - n) * interval '10 seconds'`,
    parameters: ({ now }) => [LARGE.participant, LARGE.keyType, now],
  },
];

const history: readonly Filling[] = [
  {
    table: 'event_inbox',
    rows: 200_000,
    columns: 'event_id, outcome, occurred_at, received_at',
    values: `md5('event' || n)::uuid, 'applied', $1::timestamptz, $1::timestamptz - (200001 - n) * interval '3.5 seconds'`,
    parameters: ({ now }) => [now],
  },
  {
    table: 'event_dead_letters',
    rows: 100_000,
    columns: 'id, event_id, participant, raw, reason, detail, origin, received_at',
    values: `md5('dead' || n)::uuid, md5('event' || n), $1, '{}'::bytea, 'invalid_field', 'a field', 'test',
      $2::timestamptz + n * interval '1 minute'`,
    parameters: owned,
  },
  {
    table: 'audit_log',
    rows: 200_000,
    columns: `participant, key_type, occurred_at, actor, authenticated, kind, action, outcome, details, previous_hash, hash`,
    values: `$1, $2, $3::timestamptz, 'dict-vsync', true, 'correction', 'VSYNC_UPDATE_DATA', 'success', '{"key": "***"}',
      sha256((n - 1)::text::bytea), ${cid}`,
    parameters: scoped,
  },
  {
    table: 'event_outbox',
    rows: 200_000,
    columns: 'id, type, participant, partition_key, payload, occurred_at, published_at',
    values: `md5('outbox' || n)::uuid, 'br.dict.vsync.CoreCorrectionRequested', $1, n::text, '{}', $2::timestamptz, $2::timestamptz`,
    parameters: owned,
  },
  {
    table: 'core_corrections',
    rows: 200_000,
    columns: 'id, participant, key, key_type, correction, cid, told_at, settled_at, settled_by',
    values: `md5('correction' || n)::uuid, $1, ${phone}, $2, 'upsert', ${cid}, $3::timestamptz,
      CASE WHEN n % 100 = 0 THEN NULL ELSE $3::timestamptz END, CASE WHEN n % 100 = 0 THEN NULL ELSE 'echo' END`,
    parameters: scoped,
  },
  {
    table: 'sync_reports',
    rows: 100_000,
    columns: `id, started_at, participant, key_type, sync_type, requested_by, status, outcome, completed_at, duration_ms,
      total_keys_local, missing_local_count, outdated_local_count, orphaned_count, duplicated_count, unresolved_count,
      altered_count, divergences_open`,
    values: `md5('report' || n)::uuid, $3::timestamptz + n * ($4::timestamptz - $3::timestamptz) / 100001, $1, $2, 'RECONCILIATION',
      'dict-vsync', 'COMPLETED', 'completed', $4::timestamptz, 1000, 900000, 1, 0, 0, 0, 0, 0, 0`,
    parameters: ({ now, started }) => [LARGE.participant, LARGE.keyType, started, now],
  },
];

const verifications: readonly Filling[] = [
  {
    table: 'dict_verification_runs',
    rows: runs,
    columns: `run_id, participant, key_type, trigger, state, asked, failures, looks, unexplained, widened, contradictions, watching,
      started_at, due_at, outcome, result, concluded_at`,
    values: `md5('run' || n)::uuid, $1, $2, 'hourly', 'concluded', 0, 0, 0, 0, 0, 0, false, ${atRun}, ${atRun}, 'in-sync',
      jsonb_build_object('kind', 'in-sync', 'proof', 'ok', 'seq', n, 'responseTime', ${atRun}), ${atRun}`,
    parameters: scoped,
  },
  {
    table: 'dict_sync_verifications',
    rows: runs,
    columns: `id, run_id, attempt, participant, key_type, seq, vsync, keys, requested_at, answered_at, response_time, dict_id, result`,
    values: `md5('question' || n)::uuid, md5('run' || n)::uuid, 1, $1, $2, n, ${cid}, 900000, ${atRun}, ${atRun}, ${atRun}, n::text,
      'OK'`,
    parameters: scoped,
  },
  {
    table: 'dict_sync_differences',
    rows: runs,
    columns: 'run_id, participant, key_type, cid, side, found_by, state, seen_seq, seen_at',
    values: `md5('run' || (1 + n / 1000))::uuid, $1, $2, ${cid}, 'dict', 'log', 'located', n, $3::timestamptz`,
    parameters: scoped,
  },
];

const reconciled: readonly Filling[] = [
  {
    table: 'dict_reconciliations',
    rows: reconciliations,
    columns: `id, participant, key_type, state, rung, rounds, unconfirmed, trigger, requested_by, authenticated, fencing_token,
      file_polls, file_failures, files_requested, files_lost, by_cid_reads, last_repair_seq, started_at, updated_at, ended_at`,
    values: `md5('reconciliation' || n)::uuid, $1, $2, 'completed', 'log', 1, 0, 'verification', 'dict-vsync', true, 1, 0, 0, 0, 0, 0, n,
      ${atReconciliation}, ${atReconciliation}, ${atReconciliation}`,
    parameters: scoped,
  },
  {
    table: 'reconciliation_approvals',
    rows: reconciliations,
    columns: `id, reconciliation_id, participant, divergences, digest, requested_by, requested_at, expires_at, decision, decided_by,
      authenticated, reason, decided_at`,
    values: `md5('approval' || n)::uuid, md5('reconciliation' || n)::uuid, $1, 150, ${cid}, 'dict-vsync', $2::timestamptz,
      $2::timestamptz, 'approved', 'ana', true, 'checked', $2::timestamptz`,
    parameters: owned,
  },
  {
    table: 'dict_divergences',
    rows: 300_000,
    columns: `reconciliation_id, participant, key_type, side, cid, key, kind, local_cid, dict_cid, state, found_by, judged_seq,
      attempts, approval_id, found_at, settled_at, applied_at, applied_seq, updated_at`,
    values: `md5('reconciliation' || (${reconciliation}))::uuid, $1, $2, 'dict', ${cid}, ${phone}, 'outdated_local', ${otherCid}, ${cid},
      'applied', 'log', n, 0, md5('approval' || (${reconciliation}))::uuid, $3::timestamptz, $3::timestamptz, $3::timestamptz, n,
      $3::timestamptz`,
    parameters: scoped,
  },
  {
    table: 'manual_review_queue',
    rows: 200_000,
    columns: `id, participant, key_type, key, reason, detail, divergence_id, local_cid, entry_seq, status, version, action_taken,
      created_at, updated_at`,
    values: `md5('review' || n)::uuid, $1, $2, ${phone}, 'orphaned', 'a detail', n, ${cid}, n,
      CASE WHEN n % 100 = 0 THEN 'PENDING' ELSE 'RESOLVED' END, 1, CASE WHEN n % 100 = 0 THEN NULL ELSE 'keep' END,
      $3::timestamptz, $3::timestamptz`,
    parameters: scoped,
  },
  {
    table: 'scan_findings',
    rows: 200_000,
    columns: 'scan_id, participant, key_type, key, kind, stored_cid, computed_cid, found_at',
    values: `md5('scan' || n % 200)::uuid, $1, $2, ${phone}, 'altered', ${cid}, ${otherCid}, $3::timestamptz`,
    parameters: scoped,
  },
];

/** Series of tables that refer to each other, in that order; the series can be filled side by side. */
export const fillings: readonly (readonly Filling[])[] = [base, history, verifications, reconciled];
