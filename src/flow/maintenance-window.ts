/**
 * The flow of a maintenance window: open, wait until nothing moves, verify each key type, end it whatever happened. It keeps no
 * truth: started again with the same input it goes on where it was, and does not verify twice what it has the outcome of.
 */

import type { WindowInput, WindowState, WindowSteps } from '../verify/maintenance-window.ts';
import type { VerificationOutcome } from '../verify/outcome.ts';
import type { VerificationSteps } from '../verify/steps.ts';
import type { FlowContext } from './context.ts';
import { verification } from './verification.ts';

/** Run ids of the verifications inside, one for each key type of the window and in their order. */
export interface MaintenanceInput extends WindowInput {
  readonly runIds: readonly string[];
}

export type MaintenanceOutcome =
  | {
      readonly kind: 'verified';
      readonly outcomes: readonly { readonly keyType: string; readonly outcome: VerificationOutcome }[];
    }
  /** The window's time was over before everything had come to rest. */
  | { readonly kind: 'never-quiet'; readonly because: string };

/** The window's own time ends it; this bound only ends a flow whose steps are at fault. */
const looksMax = 10_000;

/** Verifies all of a participant's given key types inside a window. */
export function maintenanceWindow(
  context: FlowContext<WindowSteps & VerificationSteps>,
  input: MaintenanceInput,
): Promise<MaintenanceOutcome> {
  return insideWindow(context, input, async () => {
    const outcomes: { readonly keyType: string; readonly outcome: VerificationOutcome }[] = [];
    for (const [index, keyType] of input.keyTypes.entries()) {
      const runId = input.runIds[index] ?? input.windowId;
      const { participant } = input;
      const outcome = await verification(context, { runId, participant, keyType, trigger: 'maintenance-window' });
      outcomes.push({ keyType, outcome });
    }
    return { kind: 'verified', outcomes };
  });
}

/** Does something inside a window; it is not begun where the window's time was over before everything had come to rest. */
export async function insideWindow<Result>(
  context: FlowContext<WindowSteps>,
  input: WindowInput,
  work: () => Promise<Result>,
): Promise<Result | { readonly kind: 'never-quiet'; readonly because: string }> {
  const { windowId } = input;
  let state: WindowState = await context.steps.openWindow(input);
  try {
    let because = 'the window had ended before';
    for (let look = 0; look < looksMax && state.kind === 'draining'; look++) {
      because = state.because;
      await context.sleep(state.waitMs);
      state = await context.steps.watchWindow(input);
    }
    if (state.kind !== 'quiet') return { kind: 'never-quiet', because };
    const result = await work();
    await context.steps.closeWindow({ windowId, by: 'completed' });
    return result;
  } catch (cause) {
    await context.steps.closeWindow({ windowId, by: 'failed' });
    throw cause;
  }
}
