/** Verifications inside this process: the flow over its steps, under the same policies as in a workflow engine. */

import { insideWindow, type MaintenanceInput, type MaintenanceOutcome, maintenanceWindow } from '../flow/maintenance-window.ts';
import { verification } from '../flow/verification.ts';
import { createWindowSteps, type WindowInput, WindowRefused, type WindowSteps } from '../verify/maintenance-window.ts';
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
export function runMaintenanceWindow(deps: RunnerDeps & VerifyDeps, input: MaintenanceInput): Promise<MaintenanceOutcome> {
  const steps = { ...createWindowSteps(deps), ...createVerificationSteps(deps) };
  const context = inProcessContext(deps, steps, { ...windowKinds, ...verificationKinds });
  return endingWindow(deps, input.windowId, () => maintenanceWindow(context, input));
}

/** The same for any other work, which is not begun where the window's time was over before everything had come to rest. */
export function runInsideWindow<Result>(
  deps: RunnerDeps & VerifyDeps,
  input: WindowInput,
  work: () => Promise<Result>,
): Promise<Result | { readonly kind: 'never-quiet'; readonly because: string }> {
  const context = inProcessContext(deps, createWindowSteps(deps), windowKinds);
  return endingWindow(deps, input.windowId, () => insideWindow(context, input, work));
}

/** A runner that is told to stop takes no further step, not even the one that ends the window. */
async function endingWindow<Result>(deps: VerifyDeps, windowId: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof WindowRefused)) await createWindowSteps(deps).closeWindow({ windowId, by: 'failed' });
    throw cause;
  }
}
