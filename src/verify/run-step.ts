/** What every step of a verification shares: its dependencies, what follows from a run's row, and what a failing DICT leads to. */

import type { DictApi } from '../dict/api.ts';
import { DictError, RETRY_AFTER_MAX_SEC } from '../dict/errors.ts';
import { appendOutbox } from '../ledger/outbox.ts';
import { assert } from '../platform/assert.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import { type Conclusion, conclude, message } from './conclusion.ts';
import type { LookDeps } from './look.ts';
import type { NextStep, VerificationOutcome } from './outcome.ts';
import { type Run, type RunProgress, readRun, writeProgress } from './run-store.ts';

export interface VerifyDeps extends LookDeps {
  readonly dict: Pick<DictApi, 'createSyncVerification' | 'listCidSetEvents' | 'getEntryByCid'>;
  /** A new UUID. */
  readonly newId: () => string;
}

/** What an open or closed run waits for. */
export function nextOf(run: Run, now: Date): NextStep {
  if (run.outcome !== null) return { step: 'concluded', outcome: run.outcome };
  return { step: run.progress.state, waitMs: Math.max(0, run.progress.dueAt.getTime() - now.getTime()) };
}

/** What the run waits for by its stored row: where another process took the same step, that one's result. */
export async function storedNext(deps: VerifyDeps, runId: string): Promise<NextStep> {
  const run = await readRun(deps.database, runId);
  assert(run !== null, `verification run ${runId} was never begun`);
  return nextOf(run, deps.clock.now());
}

/** Stores progress that needs no other row. */
async function proceed(deps: VerifyDeps, run: Run, progress: RunProgress): Promise<NextStep> {
  await writeProgress(deps.database, run, progress);
  return storedNext(deps, run.runId);
}

async function concludeRun(deps: VerifyDeps, run: Run, conclusion: Conclusion): Promise<NextStep> {
  await deps.database.transaction((tx) => conclude(tx, run, conclusion, deps.clock.now()));
  return storedNext(deps, run.runId);
}

/** Rule R1: nothing asked or repaired, and an alert of its own. */
export async function concludeBehind(deps: VerifyDeps, run: Run, reason: string): Promise<NextStep> {
  const now = deps.clock.now();
  const outcome: VerificationOutcome = { kind: 'inconclusive', reason, next: 'wait' };
  const { seq } = await readVSync(deps.database, run.scope);
  await deps.database.transaction(async (tx) => {
    await appendOutbox(tx, [message(run, 'br.dict.vsync.IngestBehind', { key_type: run.scope.keyType, reason }, now)]);
    await conclude(tx, run, { outcome, located: [], position: null, evidence: { seq } }, now);
  });
  return storedNext(deps, run.runId);
}

/** A bucket that is empty refills in minutes at the slower reading of its rules: wait longer, and more often. */
const rateLimitedWaitMs = 15_000;
const rateLimitedTries = 8;

/** A call failed: the same step again after a while, or the outcome that its last failure leads to. Never a divergence. */
export async function afterFailure(
  deps: VerifyDeps,
  run: Run,
  cause: unknown,
  outcomeOf: (reason: string) => VerificationOutcome,
): Promise<NextStep> {
  if (!(cause instanceof DictError)) throw cause;
  const { clock, settings } = deps;
  const limited = cause.kind === 'RateLimited';
  const failures = run.progress.failures + 1;
  const askedSec = cause.retryAfterSec ?? 0;
  const worthwhile = cause.remedy === 'retry' && askedSec <= RETRY_AFTER_MAX_SEC;
  if (worthwhile && failures < (limited ? rateLimitedTries : settings.triesMax)) {
    const doubled = settings.firstRetryMs * 2 ** (failures - 1);
    const waitMs = Math.max(doubled, askedSec * 1_000, limited ? rateLimitedWaitMs : 0);
    return proceed(deps, run, { ...run.progress, failures, dueAt: new Date(clock.now().getTime() + waitMs) });
  }
  const status = cause.status === 0 ? '' : ` (HTTP ${cause.status})`;
  const tries = failures === 1 ? 'try' : 'tries';
  const correlation = cause.correlationId === null ? '' : ` (correlation id ${cause.correlationId})`;
  const asked = askedSec > RETRY_AFTER_MAX_SEC ? `; DICT asks to be left alone for ${askedSec} s` : '';
  const reason = `${cause.kind}${status} after ${failures} ${tries}: ${cause.message}${correlation}${asked}`;
  const evidence = { error: cause.kind, status: cause.status, correlation_id: cause.correlationId };
  return concludeRun(deps, run, { outcome: outcomeOf(reason), located: [], position: null, evidence });
}
