/**
 * The main job for one participant and key type: verify; where DICT and the base differ, reconcile; leave a report. Keeps no
 * truth: started again, it goes on with the reconciliation that is open.
 */

import type { ReconciliationSteps } from '../reconcile/steps.ts';
import type {
  SynchronisationEnd,
  SynchronisationInput,
  SynchronisationResult,
  SynchronisationSteps,
} from '../report/synchronisation.ts';
import type { VerificationOutcome } from '../verify/outcome.ts';
import type { VerificationSteps } from '../verify/steps.ts';
import type { FlowContext } from './context.ts';
import { reconciliation } from './reconciliation.ts';
import { verification } from './verification.ts';

type AllSteps = SynchronisationSteps & VerificationSteps & ReconciliationSteps;

/** `elsewhere`: another process works on the reconciliation of this participant and key type. */
export type Synchronised =
  | (SynchronisationResult & { readonly kind: 'ended' })
  | { readonly kind: 'elsewhere'; readonly runId: string };

/** Runs, or resumes, the synchronisation of one participant and key type. */
export async function synchronisation(context: FlowContext<AllSteps>, input: SynchronisationInput): Promise<Synchronised> {
  const beginning = await context.steps.beginSynchronisation(input);
  const begun = { ...input, syncId: beginning.syncId };
  if (beginning.kind === 'refused') return end(context, { ...begun, runId: null, outcome: null, refusal: beginning.reason });
  if (beginning.kind === 'reconcile') return reconcileAndEnd(context, begun, beginning.runId, null);
  const { participant, keyType } = input;
  const outcome = await verification(context, { runId: begun.syncId, participant, keyType, trigger: 'synchronisation' });
  if (!needsReconciliation(outcome)) return end(context, { ...begun, runId: null, outcome, refusal: null });
  const opening = await context.steps.openReconciliation({ ...begun, outcome });
  if (opening.kind === 'refused') return end(context, { ...begun, runId: null, outcome, refusal: opening.reason });
  if (opening.kind === 'superseded') return end(context, { ...begun, runId: null, outcome, refusal: opening.reason });
  const synchronised = await reconcileAndEnd(context, begun, opening.runId, outcome);
  if (synchronised.kind === 'ended' || opening.kind !== 'attached') return synchronised;
  // The run has a report of its own, which whoever works on it closes; this one must not stay open for ever.
  const refusal = `reconciliation ${opening.runId} was opened meanwhile, and another process works on it`;
  return end(context, { ...begun, runId: null, outcome, refusal });
}

function needsReconciliation(outcome: VerificationOutcome): boolean {
  return outcome.kind === 'diverged' || (outcome.kind === 'inconclusive' && outcome.next === 'file');
}

async function reconcileAndEnd(
  context: FlowContext<AllSteps>,
  input: SynchronisationInput,
  runId: string,
  outcome: VerificationOutcome | null,
): Promise<Synchronised> {
  const reconciled = await reconciliation(context, { runId, owner: input.owner });
  if (reconciled.kind === 'elsewhere') return { kind: 'elsewhere', runId };
  return end(context, { ...input, runId, outcome, refusal: null });
}

async function end(context: FlowContext<AllSteps>, input: SynchronisationEnd): Promise<Synchronised> {
  const result = await context.steps.endSynchronisation(input);
  await context.steps.tidyUp(input);
  return { kind: 'ended', ...result };
}
