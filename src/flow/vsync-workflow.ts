/**
 * The flow of an entry-level synchronisation (VSYNC-workflow, INT-003): list a participant's entries page by page, look for keys of ours
 * that were not shown, reconcile each key type beginning with what the listing hinted at, leave one report. It keeps no truth:
 * started again it goes on with the listing that is open for the participant.
 */

import type { Actor } from '../ledger/audit.ts';
import type { ListingClaim, ListingNext, SyncType } from '../reconcile/listing.ts';
import type { ListingSteps } from '../reconcile/listing-steps.ts';
import type { ReconciliationSteps } from '../reconcile/steps.ts';
import type { VSyncResult, VSyncSteps } from '../report/vsync.ts';
import type { VerificationSteps } from '../verify/steps.ts';
import type { FlowContext } from './context.ts';
import { reconciliation } from './reconciliation.ts';

/** `VSyncInput` of VSYNC-workflow, under its own names, for one participant: whoever starts flows splits "all" up. */
export interface VSyncInput {
  /** ISPB. */
  readonly ParticipantISPB: string;
  readonly SyncType: SyncType;
  /** For INCREMENTAL: ISO 8601; null: since the last one that completed. */
  readonly LastSyncDate: string | null;
}

/** What the flow is given besides: ids and who asked. */
export interface VSyncStart {
  /** A new UUID: the report's, unless a listing is open already. */
  readonly listingId: string;
  /** A name that no other started flow has. */
  readonly owner: string;
  readonly requestedBy: Actor;
  /** The key types that are reconciled. */
  readonly keyTypes: readonly string[];
}

export type VSyncOutcome =
  | { readonly kind: 'ended'; readonly result: VSyncResult }
  | { readonly kind: 'refused'; readonly reason: string }
  /** Another process works on it. */
  | { readonly kind: 'elsewhere'; readonly listingId: string };

type AllSteps = ListingSteps & VSyncSteps & ReconciliationSteps & VerificationSteps;

/** The steps bound every kind of repetition themselves; this bound only ends a flow whose steps are at fault. */
const stepsMax = 100_000;
/** How often a listing that another process holds is looked at again. */
const claimsMax = 10;
/** Other reconciliations of a key type that are seen to their end before ours begins. */
const othersMax = 3;

/** The name under which one such flow runs at a time. */
export function vsyncWorkflowId(participant: string): string {
  return `vsync-${participant}`;
}

/** Runs, or resumes, the synchronisation of one participant. */
export async function vsyncWorkflow(context: FlowContext<AllSteps>, input: VSyncInput, start: VSyncStart): Promise<VSyncOutcome> {
  const claim = await claimListing(context, input, start);
  if (claim.kind === 'refused') return claim;
  if (claim.kind === 'held') return { kind: 'elsewhere', listingId: claim.listingId };
  const { listingId } = claim;
  await context.steps.openVSyncReport({ listingId });
  const listed = await list(context, claim);
  if (listed.kind === 'lost') return { kind: 'elsewhere', listingId };
  const { keyTypes } = start;
  if (listed.kind === 'failed') return end(context, { listingId, keyTypes, failure: listed.reason, refusals: [] });
  // One that is suspended or fails must not leave the others running behind its back.
  const settled = await Promise.allSettled(keyTypes.map((keyType) => reconcileListed(context, { listingId, keyType }, start)));
  const outcomes = settled.map((one) => {
    if (one.status === 'rejected') throw one.reason;
    return one.value;
  });
  if (outcomes.some(({ kind }) => kind === 'elsewhere')) return { kind: 'elsewhere', listingId };
  const refusals = outcomes.flatMap((one) => (one.kind === 'refused' ? [{ keyType: one.keyType, reason: one.reason }] : []));
  return end(context, { listingId, keyTypes, failure: null, refusals });
}

async function end(context: FlowContext<AllSteps>, input: Parameters<VSyncSteps['endVSync']>[0]): Promise<VSyncOutcome> {
  return { kind: 'ended', result: await context.steps.endVSync(input) };
}

/** A process that was killed leaves its lease behind: it is waited for, within a bound. */
async function claimListing(context: FlowContext<AllSteps>, input: VSyncInput, start: VSyncStart): Promise<ListingClaim> {
  const { ParticipantISPB: participant, SyncType: syncType, LastSyncDate: lastSyncDate } = input;
  const { listingId, owner, requestedBy } = start;
  const wanted = { listingId, participant, syncType, lastSyncDate, owner, requestedBy };
  let claim = await context.steps.claimListing(wanted);
  for (let taken = 1; taken < claimsMax && claim.kind === 'held'; taken++) {
    await context.sleep(claim.waitMs);
    claim = await context.steps.claimListing(wanted);
  }
  return claim;
}

type Listed = { readonly kind: 'listed' } | { readonly kind: 'lost' } | { readonly kind: 'failed'; readonly reason: string };

async function list(
  context: FlowContext<AllSteps>,
  { listingId, token, next: first }: Extract<ListingClaim, { readonly kind: 'claimed' }>,
): Promise<Listed> {
  const input = { listingId, token };
  let next: ListingNext = first;
  try {
    for (let taken = 0; taken < stepsMax; taken++) {
      if (next.kind === 'reconcile' || next.kind === 'ended') return { kind: 'listed' };
      if (next.kind === 'lost') return { kind: 'lost' };
      if (next.kind === 'wait') await context.waitForWake(next.waitMs);
      next = next.kind === 'compare' ? await context.steps.compareListing(input) : await context.steps.readListingPage(input);
    }
    return { kind: 'failed', reason: `the listing did not end within ${stepsMax} steps` };
  } catch (cause) {
    // A DICT error is final here: the runner has tried it again as often as helps. Whatever else (a suspended flow) is the runner's.
    if (!(cause instanceof Error && cause.name === 'DictError')) throw cause;
    return { kind: 'failed', reason: cause.message };
  }
}

type Reconciled =
  | { readonly kind: 'done' }
  | { readonly kind: 'elsewhere' }
  | { readonly kind: 'refused'; readonly keyType: string; readonly reason: string };

/** A reconciliation that is open already is gone on with; ours, with the listing's hints, comes after it. */
async function reconcileListed(
  context: FlowContext<AllSteps>,
  wanted: { readonly listingId: string; readonly keyType: string },
  { owner }: VSyncStart,
): Promise<Reconciled> {
  const { keyType } = wanted;
  for (let others = 0; others <= othersMax; others++) {
    const opening = await context.steps.openListed(wanted);
    if (opening.kind === 'refused' || opening.kind === 'superseded') return { kind: 'refused', keyType, reason: opening.reason };
    const outcome = await reconciliation(context, { runId: opening.runId, owner: `${owner} ${keyType}` });
    if (outcome.kind === 'elsewhere') return { kind: 'elsewhere' };
    if (opening.kind === 'opened') return { kind: 'done' };
  }
  return { kind: 'refused', keyType, reason: `${othersMax} other reconciliations came first` };
}
