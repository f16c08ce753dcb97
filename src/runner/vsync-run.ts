/** Entry-level synchronisations inside this process: the flow over all its steps, one for each participant, several at a time. */

import { type VSyncInput, type VSyncOutcome, type VSyncStart, vsyncWorkflow } from '../flow/vsync-workflow.ts';
import { createListingSteps, type ListingSteps } from '../reconcile/listing-steps.ts';
import { createReconciliationSteps } from '../reconcile/steps.ts';
import { createVSyncSteps, type VSyncDeps, type VSyncSteps } from '../report/vsync.ts';
import { createVerificationSteps } from '../verify/steps.ts';
import { inProcessContext, type RunnerDeps } from './in-process-runner.ts';
import type { StepKind } from './step-policy.ts';
import { reconciliationKinds } from './synchronisation-run.ts';
import { verificationKinds } from './verification-run.ts';

const listingKinds: { readonly [Name in keyof (ListingSteps & VSyncSteps)]: StepKind } = {
  claimListing: 'database',
  readListingPage: 'listingPage',
  compareListing: 'databaseBulk',
  openListed: 'database',
  openVSyncReport: 'database',
  endVSync: 'databaseBulk',
};

export type VSyncRunDeps = RunnerDeps & VSyncDeps;

/** Runs, or resumes, one participant's synchronisation to its end. Rejects with `FlowSuspended` where it waits for a person. */
export function runVSync(deps: VSyncRunDeps, input: VSyncInput, start: VSyncStart): Promise<VSyncOutcome> {
  const steps = {
    ...createListingSteps(deps),
    ...createVSyncSteps(deps),
    ...createVerificationSteps({ ...deps, settings: deps.verify }),
    ...createReconciliationSteps(deps),
  };
  const kinds = { ...listingKinds, ...verificationKinds, ...reconciliationKinds };
  return vsyncWorkflow(inProcessContext(deps, steps, kinds), input, start);
}
