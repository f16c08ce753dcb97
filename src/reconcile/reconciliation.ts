/**
 * The words of a reconciliation: its states, its rungs, what its steps depend on and the limits they keep. The rows are
 * run-store.ts and divergence-store.ts; what happens in each state are the steps (steps.ts).
 */

import type { DictApi } from '../dict/api.ts';
import { unreachable } from '../platform/assert.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import type { VerifySettings } from '../verify/settings.ts';

/**
 * From the cheapest proof to the dearest: DICT's event log, the CID set file, recomputing every row. `listing` stands before them where
 * a paged listing of entries has given hints: none of them is a proof.
 */
export type Rung = 'listing' | 'log' | 'file' | 'scan';

export type OpenState =
  | 'requested'
  | 'generating'
  | 'downloading'
  | 'comparing'
  | 'judging'
  | 'awaiting approval'
  | 'applying'
  | 'confirming';

export type EndState = 'completed' | 'partial' | 'failed' | 'cancelled' | 'superseded';

export type ReconciliationState = OpenState | EndState;

/** All limits and waits of a reconciliation. Times in milliseconds of the injected clock. */
export interface ReconcileSettings {
  /** How far DICT's clock and the core's may differ from ours. */
  readonly clockSkewMs: number;
  /** How long an entry with an open claim is left alone before a person decides. */
  readonly openClaimGraceMs: number;
  /** How often one rung takes in differences before the next one is climbed; also how often a confirmation is asked again. */
  readonly roundsMax: number;
  /** More settled divergences than this need a person's approval (rule R7). */
  readonly approvalThreshold: number;
  /** More than this are a critical incident too. */
  readonly criticalThreshold: number;
  readonly approvalExpiresMs: number;
  /** A file is refused when more orphans than both of these would follow from it (rule R14). */
  readonly implausibleOrphanShare: number;
  readonly implausibleOrphans: number;
  /** Waits before each look at a file in generation; the last one repeats. */
  readonly filePollsMs: readonly number[];
  readonly fileGenerationLimitMs: number;
  readonly fileBytesMax: number;
  /** Files asked for, and downloads tried, before the run fails. */
  readonly fileFailuresMax: number;
  /**
   * A file that differs in more CIDs than this is not settled one by one: an import is what is needed. An outdated entry differs in
   * two, so that as many divergences as DICT's by-CID bucket holds tokens (36,000) always fit.
   */
  readonly differencesMax: number;
  readonly byCidConcurrency: number;
  /** Differences judged in one step, and repairs made in one transaction. */
  readonly judgeBatch: number;
  readonly repairBatch: number;
  /** How often one difference is judged before it is left open. */
  readonly attemptsMax: number;
  /** How long a run belongs to a process that is not heard of. */
  readonly leaseMs: number;
}

/** The defaults that the configuration documents. */
export const RECONCILE_DEFAULTS: ReconcileSettings = {
  clockSkewMs: 5_000,
  openClaimGraceMs: 3_600_000,
  roundsMax: 3,
  approvalThreshold: 100,
  criticalThreshold: 1_000,
  approvalExpiresMs: 86_400_000,
  implausibleOrphanShare: 0.01,
  implausibleOrphans: 10,
  filePollsMs: [5_000, 10_000, 20_000, 30_000, 60_000],
  fileGenerationLimitMs: 600_000,
  fileBytesMax: 1_073_741_824,
  fileFailuresMax: 3,
  differencesMax: 72_000,
  byCidConcurrency: 16,
  judgeBatch: 200,
  repairBatch: 100,
  attemptsMax: 3,
  leaseMs: 60_000,
};

/** The part of a logger that is used here. */
export interface ReconcileLog {
  info(details: Readonly<Record<string, unknown>>, message: string): void;
  warn(details: Readonly<Record<string, unknown>>, message: string): void;
}

export interface ReconcileDeps {
  readonly database: Database;
  readonly dict: DictApi;
  readonly clock: Clock;
  readonly settings: ReconcileSettings;
  /** What verification goes by: its in-flight grace, its budget of the event log and its patience with ingest hold here too. */
  readonly verify: VerifySettings;
  /** Where downloaded files stand while a run compares them. */
  readonly workDirectory: string;
  /** A new UUID. */
  readonly newId: () => string;
  readonly log: ReconcileLog;
}

/** One step per kind of work, so that a runner can give each its own time limit and retries. */
export const STEP_NAMES = [
  'beginReconciliation',
  'requestCidSetFile',
  'downloadCidSetFile',
  'compareCidSetFile',
  'scanEntries',
  'judgeDivergences',
  'awaitApproval',
  'applyRepairs',
  'confirmReconciliation',
] as const;

export type StepName = (typeof STEP_NAMES)[number];

/** What a flow does after a step. Small plain JSON. */
export type Next =
  /** Call that step at once. */
  | { readonly kind: 'go'; readonly step: StepName }
  /** Call it after that time. */
  | { readonly kind: 'sleep'; readonly step: StepName; readonly waitMs: number }
  /** Call it when woken (an approval, a resume), at latest after that time. */
  | { readonly kind: 'wait'; readonly step: StepName; readonly waitMs: number }
  /** Run this verification, then call it. */
  | {
      readonly kind: 'verify';
      readonly step: StepName;
      readonly verificationRunId: string;
      readonly participant: string;
      readonly keyType: string;
    }
  /** The run is over. */
  | { readonly kind: 'ended'; readonly state: EndState; readonly reason: string | null }
  /** Another process has taken the run over: nothing more may be done here. */
  | { readonly kind: 'lost' };

/** The run's next step, by where it stands. */
export function stepOf(state: OpenState, rung: Rung): StepName {
  switch (state) {
    case 'requested':
      return 'beginReconciliation';
    case 'generating':
      return 'requestCidSetFile';
    case 'downloading':
      return 'downloadCidSetFile';
    case 'comparing':
      return rung === 'scan' ? 'scanEntries' : 'compareCidSetFile';
    case 'judging':
      return 'judgeDivergences';
    case 'awaiting approval':
      return 'awaitApproval';
    case 'applying':
      return 'applyRepairs';
    case 'confirming':
      return 'confirmReconciliation';
    default:
      return unreachable(state);
  }
}

/** The answer of a step that has moved the run to that state. */
export function go(state: OpenState, rung: Rung): Next {
  return { kind: 'go', step: stepOf(state, rung) };
}
