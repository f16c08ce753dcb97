/**
 * The steps that make one synchronisation of verification and reconciliation: its report is opened before anything is asked and
 * closed with what came of it, and a reconciliation that an earlier process left open is gone on with instead of a new one.
 */

import { isKeyType } from '../dict/key-type.ts';
import { isParticipant } from '../dict/participant.ts';
import type { Actor } from '../ledger/audit.ts';
import { assert } from '../platform/assert.ts';
import type { Transaction } from '../platform/postgres/database.ts';
import { type Opening, openReconciliation } from '../reconcile/opening.ts';
import type { EndState, ReconcileDeps, Rung } from '../reconcile/reconciliation.ts';
import { readOpenRun, readRun } from '../reconcile/run-store.ts';
import { tidyJournal } from '../verify/housekeeping.ts';
import type { VerificationOutcome } from '../verify/outcome.ts';
import type { Scope } from '../vsync/scope.ts';
import { type DetailsKeys, sealDetails } from './details-cipher.ts';
import { readDivergenceDetails, readRunFigures } from './run-figures.ts';
import { closeReport, findReport, openReport, type ReportResult } from './sync-report.ts';

/** Plain JSON. `syncId` is the report's id, and the first verification's. */
export interface SynchronisationInput {
  readonly syncId: string;
  readonly participant: string;
  readonly keyType: string;
  /** A name no other started flow has. */
  readonly owner: string;
  readonly requestedBy: Actor;
  /** Null: verify first. Else repair from this rung on, whatever DICT says. */
  readonly fromRung: Rung | null;
}

/** How a synchronisation begins. */
export type Beginning =
  | { readonly kind: 'verify'; readonly syncId: string }
  /** An open reconciliation is gone on with, or a person chose where to begin. */
  | { readonly kind: 'reconcile'; readonly syncId: string; readonly runId: string }
  | { readonly kind: 'refused'; readonly syncId: string; readonly reason: string };

/** What is known at the end; `runId` is null where nothing had to be reconciled. */
export interface SynchronisationEnd extends SynchronisationInput {
  readonly runId: string | null;
  readonly outcome: VerificationOutcome | null;
  /** Why no reconciliation followed, where one should have. */
  readonly refusal: string | null;
}

export interface SynchronisationResult {
  readonly syncId: string;
  readonly runId: string | null;
  readonly status: ReportResult['status'];
  /** Such as `in-sync (ok)`, `completed`, or `partial: …`. */
  readonly outcome: string;
}

export interface SynchronisationSteps {
  beginSynchronisation(input: SynchronisationInput): Promise<Beginning>;
  openReconciliation(input: SynchronisationInput & { readonly outcome: VerificationOutcome }): Promise<Opening>;
  endSynchronisation(input: SynchronisationEnd): Promise<SynchronisationResult>;
  /** Keeps the scope's journal from growing, once the report is closed. */
  tidyUp(input: SynchronisationInput): Promise<void>;
}

export interface SynchronisationDeps extends ReconcileDeps {
  /** Null: reports keep no details. */
  readonly detailsKeys: DetailsKeys | null;
}

/** The steps over their dependencies. */
export function createSynchronisationSteps(deps: SynchronisationDeps): SynchronisationSteps {
  return {
    beginSynchronisation: (input) => begin(deps, input),
    openReconciliation: (input) => openAfter(deps, input),
    endSynchronisation: (input) => end(deps, input),
    tidyUp: (input) => tidyJournal(deps, scopeOf(input)),
  };
}

function scopeOf({ participant, keyType }: SynchronisationInput): Scope {
  assert(isParticipant(participant), `"${participant}" is an ISPB`);
  assert(isKeyType(keyType), `"${keyType}" is a key type`);
  return { participant, keyType };
}

async function begin(deps: SynchronisationDeps, input: SynchronisationInput): Promise<Beginning> {
  const scope = scopeOf(input);
  const open = await readOpenRun(deps.database, scope.participant, scope.keyType);
  if (open !== null) {
    const syncId = open.verificationRunId ?? open.id;
    await ensureReport(deps, input, syncId, open.startedAt);
    return { kind: 'reconcile', syncId, runId: open.id };
  }
  await closeAbandoned(deps, scope, input.syncId);
  if (input.fromRung === null) {
    await ensureReport(deps, input, input.syncId, deps.clock.now());
    return { kind: 'verify', syncId: input.syncId };
  }
  const opening = await openReconciliation(deps, {
    ...scope,
    requestedBy: input.requestedBy,
    verificationRunId: null,
    fromRung: input.fromRung,
  });
  const syncId = 'runId' in opening ? opening.runId : input.syncId;
  await ensureReport(deps, input, syncId, deps.clock.now());
  return 'runId' in opening
    ? { kind: 'reconcile', syncId, runId: opening.runId }
    : { kind: 'refused', syncId, reason: opening.reason };
}

async function ensureReport(
  deps: SynchronisationDeps,
  input: SynchronisationInput,
  syncId: string,
  startedAt: Date,
): Promise<void> {
  if ((await findReport(deps.database, syncId)) !== null) return;
  const { participant, keyType, requestedBy } = input;
  await openReport(deps.database, {
    id: syncId,
    startedAt,
    participant,
    keyType,
    syncType: 'RECONCILIATION',
    requestedBy: requestedBy.name,
  });
}

/**
 * Reports that a process left RUNNING when it ended before its verification did: there is nothing to go on with, this run
 * takes their place. Should such a process still live, it closes its report with its own result later.
 */
async function closeAbandoned(deps: SynchronisationDeps, scope: Scope, except: string): Promise<void> {
  await deps.database.query(
    `UPDATE sync_reports SET status = 'FAILED', outcome = 'abandoned', completed_at = $4, error_message = $5,
       duration_ms = GREATEST(0, extract(epoch FROM $4::timestamptz - started_at) * 1000)::bigint, verifications_sent = 0,
       total_keys_local = 0, missing_local_count = 0, outdated_local_count = 0, orphaned_count = 0, duplicated_count = 0,
       unresolved_count = 0, altered_count = 0, entries_created = 0, entries_updated = 0, entries_deleted = 0,
       divergences_open = 0, by_cid_reads = 0, files_requested = 0
     WHERE participant = $1 AND key_type = $2 AND status = 'RUNNING' AND id <> $3`,
    [
      scope.participant,
      scope.keyType,
      except,
      deps.clock.now(),
      'the process ended before the verification concluded; a later run took its place',
    ],
  );
}

async function openAfter(
  deps: SynchronisationDeps,
  input: SynchronisationInput & { readonly outcome: VerificationOutcome },
): Promise<Opening> {
  const fromFile = input.outcome.kind === 'inconclusive' || (input.outcome.kind === 'diverged' && input.outcome.located === 0);
  return openReconciliation(deps, {
    ...scopeOf(input),
    requestedBy: input.requestedBy,
    verificationRunId: input.syncId,
    fromRung: fromFile ? 'file' : 'log',
  });
}

async function end(deps: SynchronisationDeps, input: SynchronisationEnd): Promise<SynchronisationResult> {
  const report = await findReport(deps.database, input.syncId);
  assert(report !== null, `the report of synchronisation ${input.syncId} was opened`);
  const details = input.runId === null ? [] : await readDivergenceDetails(deps.database, input.runId);
  const completedAt = deps.clock.now();
  return deps.database.transaction(async (tx) => {
    const judged = await judge(tx, input);
    const figures = await readRunFigures(tx, scopeOf(input), report.startedAt, input.runId);
    await closeReport(tx, report, {
      ...judged,
      completedAt,
      figures,
      details: deps.detailsKeys === null ? null : sealDetails(deps.detailsKeys, input.syncId, details),
    });
    return { syncId: input.syncId, runId: input.runId, status: judged.status, outcome: judged.outcome };
  });
}

const statusOfEnd: Readonly<Record<EndState, ReportResult['status']>> = {
  completed: 'COMPLETED',
  superseded: 'COMPLETED',
  partial: 'PARTIAL',
  cancelled: 'FAILED',
  failed: 'FAILED',
};

type Judged = Pick<ReportResult, 'status' | 'outcome' | 'errorMessage'>;

async function judge(tx: Transaction, { runId, outcome, refusal }: SynchronisationEnd): Promise<Judged> {
  if (refusal !== null) return { status: 'FAILED', outcome: 'refused', errorMessage: refusal };
  if (runId === null) return judgeVerification(outcome);
  const run = await readRun(tx, runId);
  assert(run !== null, `reconciliation ${runId} exists`);
  const ended = isEnd(run.state) ? run.state : 'failed';
  const reason = run.reason === null ? '' : `: ${run.reason}`;
  return { status: statusOfEnd[ended], outcome: `${run.state}${reason}`, errorMessage: run.reason };
}

function isEnd(state: string): state is EndState {
  return Object.hasOwn(statusOfEnd, state);
}

function judgeVerification(outcome: VerificationOutcome | null): Judged {
  if (outcome === null) return { status: 'FAILED', outcome: 'not verified', errorMessage: 'no verification was made' };
  if (outcome.kind === 'in-sync') return { status: 'COMPLETED', outcome: `in-sync (${outcome.proof})`, errorMessage: null };
  const status = outcome.kind === 'inconclusive' ? 'PARTIAL' : 'FAILED';
  return { status, outcome: `${outcome.kind}: ${outcome.reason}`, errorMessage: outcome.reason };
}
