/**
 * The flow of one reconciliation: take it over, then take the step that the last one named, wait as long as it said, verify where it
 * asks for that. Where the run stands is in the database, so the flow can be started again from its first line at any time.
 */

import type { Claim } from '../reconcile/claiming.ts';
import type { EndState, Next } from '../reconcile/reconciliation.ts';
import type { ReconciliationSteps } from '../reconcile/steps.ts';
import type { VerificationSteps } from '../verify/steps.ts';
import type { FlowContext } from './context.ts';
import { verification } from './verification.ts';

/** `owner`: a name that no other started flow has; the lease is taken in it. */
export interface ReconciliationInput {
  readonly runId: string;
  readonly owner: string;
}

export type ReconciliationOutcome =
  | { readonly kind: 'ended'; readonly state: EndState; readonly reason: string | null }
  /** Another process works on the run, or has taken it over. */
  | { readonly kind: 'elsewhere' };

/** The steps bound every kind of repetition themselves; this bound only ends a flow whose steps are at fault. */
const stepsMax = 100_000;
/** How often a run that another process holds is looked at again. */
const claimsMax = 10;

/** Runs, or resumes, a reconciliation to its end. */
export async function reconciliation(
  context: FlowContext<ReconciliationSteps & VerificationSteps>,
  input: ReconciliationInput,
): Promise<ReconciliationOutcome> {
  const claim = await claimRun(context, input);
  if (claim.kind === 'held') return { kind: 'elsewhere' };
  const token = claim.kind === 'claimed' ? claim.token : 0;
  let next: Next = claim.next;
  for (let taken = 0; taken < stepsMax; taken++) {
    if (next.kind === 'ended') return { kind: 'ended', state: next.state, reason: next.reason };
    if (next.kind === 'lost') return { kind: 'elsewhere' };
    next = await follow(context, { runId: input.runId, token }, next);
  }
  throw new Error(`reconciliation ${input.runId} did not end within ${stepsMax} steps`);
}

/** A process that was killed leaves its lease behind: it is waited for, within a bound. */
async function claimRun(context: FlowContext<ReconciliationSteps>, input: ReconciliationInput): Promise<Claim> {
  let claim: Claim = await context.steps.claimReconciliation(input);
  for (let taken = 1; taken < claimsMax && claim.kind === 'held'; taken++) {
    await context.sleep(claim.waitMs);
    claim = await context.steps.claimReconciliation(input);
  }
  return claim;
}

async function follow(
  context: FlowContext<ReconciliationSteps & VerificationSteps>,
  input: { readonly runId: string; readonly token: number },
  next: Exclude<Next, { readonly kind: 'ended' | 'lost' }>,
): Promise<Next> {
  if (next.kind === 'sleep') await context.sleep(next.waitMs);
  if (next.kind === 'wait') await context.waitForWake(next.waitMs);
  try {
    if (next.kind === 'verify') {
      const { participant, keyType } = next;
      await verification(context, { runId: next.verificationRunId, participant, keyType, trigger: 'reconciliation' });
    }
    return await context.steps[next.step](input);
  } catch (cause) {
    // What a step rejects with here is final: the runner has tried it again as often as helps.
    // An error of DICT's tells its name and correlation id that way, which `message` does not.
    return context.steps.failReconciliation({ ...input, reason: `${next.step} failed: ${String(cause)}` });
  }
}
