/**
 * The flow of one verification: take the step that the last one named, wait as long as it said, until the run is concluded. It
 * keeps no truth, so it can be started again from its first line at any time.
 */

import type { NextStep, VerificationOutcome } from '../verify/outcome.ts';
import type { VerificationInput, VerificationSteps } from '../verify/steps.ts';
import type { FlowContext } from './context.ts';

/** The steps bound every kind of repetition themselves; this bound only ends a flow whose steps are at fault. */
const stepsMax = 1_000;

/** Runs, or resumes, the verification of that run id to its outcome. */
export async function verification(
  context: FlowContext<VerificationSteps>,
  input: VerificationInput,
): Promise<VerificationOutcome> {
  const { runId } = input;
  let next: NextStep = await context.steps.begin(input);
  for (let taken = 0; taken < stepsMax; taken++) {
    if (next.step === 'concluded') return next.outcome;
    if (next.waitMs > 0) await context.sleep(next.waitMs);
    next = next.step === 'ask' ? await context.steps.ask({ runId }) : await context.steps.explain({ runId });
  }
  throw new Error(`verification ${runId} did not conclude within ${stepsMax} steps`);
}
