/** Synchronisations inside this process: the flow over all its steps, under the same policies as in a workflow engine. */

import { type Synchronised, synchronisation } from '../flow/synchronisation.ts';
import { createReconciliationSteps, type ReconciliationSteps } from '../reconcile/steps.ts';
import {
  createSynchronisationSteps,
  type SynchronisationDeps,
  type SynchronisationInput,
  type SynchronisationSteps,
} from '../report/synchronisation.ts';
import { createVerificationSteps, type VerificationSteps } from '../verify/steps.ts';
import { inProcessContext, type RunnerDeps } from './in-process-runner.ts';
import type { StepKind } from './step-policy.ts';
import { verificationKinds } from './verification-run.ts';

type AllSteps = SynchronisationSteps & VerificationSteps & ReconciliationSteps;

/** Which policy each step of a reconciliation has. */
export const reconciliationKinds: { readonly [Name in keyof ReconciliationSteps]: StepKind } = {
  claimReconciliation: 'database',
  failReconciliation: 'database',
  beginReconciliation: 'databaseBulk',
  requestCidSetFile: 'dict',
  downloadCidSetFile: 'download',
  compareCidSetFile: 'download',
  scanEntries: 'download',
  judgeDivergences: 'dictBatch',
  awaitApproval: 'databaseBulk',
  applyRepairs: 'dictBatch',
  confirmReconciliation: 'databaseBulk',
};

const kinds: { readonly [Name in keyof AllSteps]: StepKind } = {
  ...verificationKinds,
  ...reconciliationKinds,
  beginSynchronisation: 'database',
  openReconciliation: 'database',
  endSynchronisation: 'databaseBulk',
  tidyUp: 'databaseBulk',
};

export type SynchronisationRunDeps = RunnerDeps & SynchronisationDeps;

/** Runs one synchronisation to its end. Rejects with `FlowSuspended` where it waits for a decision and the runner does not. */
export function runSynchronisation(deps: SynchronisationRunDeps, input: SynchronisationInput): Promise<Synchronised> {
  const verify = { ...deps, settings: deps.verify };
  const steps = { ...createSynchronisationSteps(deps), ...createVerificationSteps(verify), ...createReconciliationSteps(deps) };
  return synchronisation(inProcessContext(deps, steps, kinds), input);
}
