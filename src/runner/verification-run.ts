/** Verifications inside this process: the flow over its steps, under the same policies as in a workflow engine. */

import { verification } from '../flow/verification.ts';
import type { VerificationOutcome } from '../verify/outcome.ts';
import { createVerificationSteps, type VerificationInput, type VerificationSteps, type VerifyDeps } from '../verify/steps.ts';
import { inProcessContext, type RunnerDeps } from './in-process-runner.ts';
import type { StepKind } from './step-policy.ts';

const kinds: { readonly [Name in keyof VerificationSteps]: StepKind } = {
  begin: 'database',
  // Both limit each of their calls themselves, and wait for tokens within that.
  ask: 'other',
  explain: 'dictBatch',
};

/** Runs, or resumes, one verification to its outcome. Rejects with `VerificationRefused` where it must not be sent. */
export function runVerification(deps: RunnerDeps & VerifyDeps, input: VerificationInput): Promise<VerificationOutcome> {
  return verification(inProcessContext(deps, createVerificationSteps(deps), kinds), input);
}
