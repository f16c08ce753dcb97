/** Verifications inside this process: the flow over its steps, under the same policies as in a workflow engine. */

import { type MaintenanceInput, type MaintenanceOutcome, maintenanceWindow } from '../flow/maintenance-window.ts';
import { verification } from '../flow/verification.ts';
import { createWindowSteps, WindowRefused, type WindowSteps } from '../verify/maintenance-window.ts';
import type { VerificationOutcome } from '../verify/outcome.ts';
import { createVerificationSteps, type VerificationInput, type VerificationSteps, type VerifyDeps } from '../verify/steps.ts';
import { inProcessContext, type RunnerDeps } from './in-process-runner.ts';
import type { StepKind } from './step-policy.ts';

/** Which policy each step of a verification has. */
export const verificationKinds: { readonly [Name in keyof VerificationSteps]: StepKind } = {
  begin: 'database',
  // Both limit each of their calls themselves, and wait for tokens within that.
  ask: 'other',
  explain: 'dictBatch',
};

/** Runs, or resumes, one verification to its outcome. Rejects with `VerificationRefused` where it must not be sent. */
export function runVerification(deps: RunnerDeps & VerifyDeps, input: VerificationInput): Promise<VerificationOutcome> {
  return verification(inProcessContext(deps, createVerificationSteps(deps), verificationKinds), input);
}

const windowKinds: { readonly [Name in keyof WindowSteps]: StepKind } = {
  openWindow: 'dictBatch',
  watchWindow: 'dictBatch',
  closeWindow: 'database',
};

/**
 * Runs, or resumes, verifications inside a maintenance window. However it ends, also when this process is told to stop, the core
 * has been told to go on. Rejects with `WindowRefused` where another window is open.
 */
export async function runMaintenanceWindow(deps: RunnerDeps & VerifyDeps, input: MaintenanceInput): Promise<MaintenanceOutcome> {
  const windowSteps = createWindowSteps(deps);
  const steps = { ...windowSteps, ...createVerificationSteps(deps) };
  try {
    return await maintenanceWindow(inProcessContext(deps, steps, { ...windowKinds, ...verificationKinds }), input);
  } catch (cause) {
    if (!(cause instanceof WindowRefused)) await windowSteps.closeWindow({ windowId: input.windowId, by: 'failed' });
    throw cause;
  }
}
