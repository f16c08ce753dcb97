/**
 * Runs flows inside this process: the same steps, time limits and retries that a workflow engine would apply. It remembers
 * nothing: whoever wants to go on after a crash starts the flow again with the same run id.
 */

import type { FlowContext } from '../flow/context.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import { classifyFailure, type StepKind, type StepPolicy, StepTimedOut, stepPolicies, waitBeforeNextMs } from './step-policy.ts';

export interface RunnerDeps {
  readonly clock: Clock;
  /** What the time limits of steps run on where `clock` runs faster than the system's: a database does not. Default: `clock`. */
  readonly limitClock?: Clock;
  readonly log: Logger;
  /** Aborted when the process is to stop: waits end, and no further step begins. */
  readonly signal: AbortSignal;
  /** Throw `FlowSuspended` instead of waiting for a person. */
  readonly suspendOnWait: boolean;
  /** The longest single wait for a person; the flow looks at the database again after each. */
  readonly wakePollMs: number;
}

/** The flow waits for a person and its runner was asked not to: start it again once the decision is there. */
export class FlowSuspended extends Error {
  override readonly name = 'FlowSuspended';

  constructor() {
    super('the flow waits for a decision');
  }
}

type Step = (input: never) => Promise<unknown>;

/** Wraps steps in their policies. `kinds` names the policy of every step. */
export function inProcessContext<Steps extends object>(
  deps: RunnerDeps,
  steps: Steps,
  kinds: { readonly [Name in keyof Steps]: StepKind },
): FlowContext<Steps> {
  const wrapped = Object.entries(steps).map(([name, step]: [string, Step]) => {
    // `kinds` has the same members as `steps`: its type says so.
    const policy = stepPolicies[kinds[name as keyof Steps]];
    return [name, (input: never) => runStep(deps, name, policy, () => step(input))];
  });
  return {
    // Every member is the same function behind its policy.
    steps: Object.fromEntries(wrapped) as Steps,
    sleep: (ms) => deps.clock.sleep(ms, deps.signal),
    waitForWake: async (ms) => {
      if (deps.suspendOnWait) throw new FlowSuspended();
      await deps.clock.sleep(Math.min(ms, deps.wakePollMs), deps.signal);
    },
  };
}

async function runStep<Output>(deps: RunnerDeps, name: string, policy: StepPolicy, step: () => Promise<Output>): Promise<Output> {
  let failedTries = 0;
  // Ends after the policy’s tries; only a lost database is waited for without a bound, until the process is to stop.
  for (;;) {
    deps.signal.throwIfAborted();
    try {
      return await withinTimeLimit(deps.limitClock ?? deps.clock, name, policy.timeLimitMs, step);
    } catch (failure) {
      const what = classifyFailure(failure);
      failedTries += 1;
      if (what === 'final' || (what === 'retry' && failedTries >= policy.tries)) throw failure;
      const waitMs = waitBeforeNextMs(policy, failedTries, failure);
      const reason = failure instanceof Error ? failure.message : String(failure);
      deps.log.warn({ step: name, failedTries, waitMs, reason }, 'a step failed and will be tried again');
      await deps.clock.sleep(waitMs, deps.signal);
    }
  }
}

/**
 * Gives a step up after its limit. The step itself may still be running then; what it writes carries a fencing token and
 * compares before it sets, so that a late effect is the same effect or none.
 */
async function withinTimeLimit<Output>(
  clock: Clock,
  name: string,
  limitMs: number | null,
  step: () => Promise<Output>,
): Promise<Output> {
  if (limitMs === null) return step();
  const ended = new AbortController();
  const limit = clock.sleep(limitMs, ended.signal).then(
    () => {
      throw new StepTimedOut(name, limitMs);
    },
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([step(), limit]);
  } finally {
    ended.abort();
  }
}
