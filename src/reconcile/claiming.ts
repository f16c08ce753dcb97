/**
 * Whose a run is. A flow takes a run over under a lease; its token is then part of every step, and a step whose token is no
 * longer the run's writes nothing and ends the flow (rule R6). Also what every step has in common: ended, paused, taken.
 */

import { unreachable } from '../platform/assert.ts';
import { type Next, type OpenState, type ReconcileDeps, type ReconciliationState, type Rung, stepOf } from './reconciliation.ts';
import { type Run, RunTaken, readRun, renewLease, takeRun } from './run-store.ts';

/** What every step is given. */
export interface StepInput {
  readonly runId: string;
  readonly token: number;
}

export type Claim =
  | { readonly kind: 'claimed'; readonly token: number; readonly next: Next }
  /** Another process works on it; ask again after that time. */
  | { readonly kind: 'held'; readonly waitMs: number }
  | { readonly kind: 'ended'; readonly next: Next };

const pausedPollMs = 60_000;

/** Takes a run over for `owner` (one name per started flow). Throws `TypeError` where there is no such run. */
export async function claimReconciliation(
  deps: ReconcileDeps,
  input: { readonly runId: string; readonly owner: string },
): Promise<Claim> {
  const { database, clock, settings } = deps;
  const now = clock.now();
  const leaseUntil = new Date(now.getTime() + settings.leaseMs);
  const token = await takeRun(database, input.runId, input.owner, now, leaseUntil);
  const run = await readRun(database, input.runId);
  if (run === null) throw new TypeError(`reconciliation ${input.runId} does not exist`);
  if (token !== null && isOpen(run.state))
    return { kind: 'claimed', token, next: { kind: 'go', step: stepOf(run.state, run.rung) } };
  if (run.endedAt !== null) return { kind: 'ended', next: endedNext(run) };
  const heldMs = (run.leaseUntil?.getTime() ?? 0) - now.getTime();
  return { kind: 'held', waitMs: Math.max(1_000, heldMs) };
}

/** A run whose state is not one of the ends. */
export type OpenRun = Run & { readonly state: OpenState };

/**
 * Runs a step's work on its run: only in the states that the step is for (a step called twice sees where the run is by now), only
 * while the token is the run's, and not while the run is paused.
 */
export async function inState(
  deps: ReconcileDeps,
  input: StepInput,
  states: readonly OpenState[],
  work: (run: OpenRun) => Promise<Next>,
): Promise<Next> {
  const { database, settings } = deps;
  try {
    const run = await readRun(database, input.runId);
    if (run === null) return { kind: 'lost' };
    if (!isOpenRun(run)) return endedNext(run);
    if (run.token !== input.token) return { kind: 'lost' };
    await heartbeat(deps, input);
    if (run.pausedAt !== null) {
      return { kind: 'wait', step: stepOf(run.state, run.rung), waitMs: Math.min(pausedPollMs, settings.leaseMs / 2) };
    }
    if (!states.includes(run.state)) return { kind: 'go', step: stepOf(run.state, run.rung) };
    return await work(run);
  } catch (cause) {
    if (cause instanceof RunTaken) return { kind: 'lost' };
    throw cause;
  }
}

/** Says that the run's process is alive. Steps that take long call it as they go. Throws `RunTaken`. */
export async function heartbeat(deps: ReconcileDeps, input: StepInput): Promise<void> {
  await renewLease(deps.database, input.runId, input.token, new Date(deps.clock.now().getTime() + deps.settings.leaseMs));
}

/** Keeps the lease alive while something goes on, at most four times in its length. Throws `RunTaken`. */
export function paced(deps: ReconcileDeps, input: StepInput): () => Promise<void> {
  let beatAt = deps.clock.now().getTime();
  return async () => {
    const nowMs = deps.clock.now().getTime();
    if (nowMs - beatAt < deps.settings.leaseMs / 4) return;
    beatAt = nowMs;
    await heartbeat(deps, input);
  };
}

/** Sleeps are cut into pieces that keep the lease alive. */
export function sleepNext(deps: ReconcileDeps, state: OpenState, rung: Rung, waitMs: number): Next {
  return { kind: 'sleep', step: stepOf(state, rung), waitMs: Math.max(1, Math.min(waitMs, deps.settings.leaseMs / 2)) };
}

function isOpenRun(run: Run): run is OpenRun {
  return isOpen(run.state);
}

function isOpen(state: ReconciliationState): state is OpenState {
  switch (state) {
    case 'requested':
    case 'generating':
    case 'downloading':
    case 'comparing':
    case 'judging':
    case 'awaiting approval':
    case 'applying':
    case 'confirming':
      return true;
    case 'completed':
    case 'partial':
    case 'failed':
    case 'cancelled':
    case 'superseded':
      return false;
    default:
      return unreachable(state);
  }
}

function endedNext(run: Run): Next {
  if (isOpen(run.state)) return { kind: 'lost' };
  return { kind: 'ended', state: run.state, reason: run.reason };
}
