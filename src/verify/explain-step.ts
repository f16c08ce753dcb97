/** Explains a NOK, one look per step, and stores what the look decided together with the anchor that it proved. */

import { assert } from '../platform/assert.ts';
import type { Transaction } from '../platform/postgres/database.ts';
import { equalVSync } from '../vsync/vsync.ts';
import { conclude } from './conclusion.ts';
import { type Decision, decide, decideWithoutLook } from './decision.ts';
import { countWatched, readInFlight, rememberResiduals, saveDifferences, settleAllBut } from './difference-store.ts';
import { entryByCid } from './entry-by-cid.ts';
import { moveCursor } from './event-cursor.ts';
import { isZero } from './explanation.ts';
import { ingestBehind } from './ingest-lag.ts';
import { type Look, look, type NoLook } from './look.ts';
import type { NextStep } from './outcome.ts';
import { resolveResidual } from './residual.ts';
import { afterFailure, concludeBehind, nextOf, storedNext, type VerifyDeps } from './run-step.ts';
import { type Run, writeProgress } from './run-store.ts';
import { lastAnswered } from './verification-store.ts';

/** Located differences that DICT is asked about before they count, and looks at a log that it contradicts. */
const confirmationsMax = 32;
const staleLooksMax = 3;

interface Seen {
  readonly decision: Decision;
  readonly seen: Look | NoLook;
  /** CIDs that only DICT's by-CID answer accounts for. */
  readonly byResidual: ReadonlySet<string>;
}

/** One look. Closes the run, or says when to look or ask again. */
export async function explainStep(deps: VerifyDeps, run: Run): Promise<NextStep> {
  const next = nextOf(run, deps.clock.now());
  if (next.step !== 'explain' || next.waitMs > 0) return next;
  let result: Seen;
  try {
    result = await lookAndDecide(deps, run);
  } catch (cause) {
    return afterFailure(deps, run, cause, (reason) => ({
      kind: 'inconclusive',
      reason: `the NOK cannot be explained, DICT does not answer: ${reason}`,
      next: 'file',
    }));
  }
  if (result.decision.kind === 'conclude' && result.decision.outcome.kind === 'diverged') {
    const behind = await ingestBehind(deps, run.scope);
    if (behind !== null) return concludeBehind(deps, run, behind);
  }
  await deps.database.transaction((tx) => store(tx, deps, run, result));
  return storedNext(deps, run.runId);
}

async function lookAndDecide(deps: VerifyDeps, run: Run): Promise<Seen> {
  const { progress } = run;
  const question = await lastAnswered(deps.database, run.runId);
  assert(question !== null, `verification run ${run.runId} explains a question that was never answered`);
  const found = await look(deps, run.scope, progress.widened);
  const none: ReadonlySet<string> = new Set();
  if (found.kind === 'no-look')
    return { decision: decideWithoutLook(progress, found, deps.settings), seen: found, byResidual: none };
  const { residual } = found.explanation;
  // A race shows as a residual that changes: only one that was there before is worth calls.
  const seenBefore = !isZero(residual) && progress.residual !== null && equalVSync(residual, progress.residual);
  const resolved = seenBefore ? await resolveResidual(deps, run.scope, found) : null;
  const seen = resolved === null ? found : { ...found, explanation: resolved.explanation };
  const pending = await readInFlight(deps.database, run.runId);
  const watched = await countWatched(deps.database, run.runId);
  const residualRefused = seenBefore && resolved === null;
  const decision = decide({ progress, pending, watched, question, look: seen, residualRefused, settings: deps.settings });
  const byResidual = resolved?.found ?? none;
  return { decision: await confirmed(deps, run, decision, byResidual), seen, byResidual };
}

/**
 * A log that stands still makes everything new look like a divergence. So DICT is asked about some of those that only the log
 * speaks for; what it contradicts is dropped, and where nothing is left the log is looked at again, a few times.
 */
async function confirmed(deps: VerifyDeps, run: Run, decision: Decision, byResidual: ReadonlySet<string>): Promise<Decision> {
  if (decision.kind !== 'conclude' || decision.outcome.kind !== 'diverged') return decision;
  const contradicted = new Set<string>();
  const asked = decision.located.filter(({ cid }) => !byResidual.has(cid)).slice(0, confirmationsMax);
  for (const { cid, side } of asked) {
    const answer = await entryByCid(deps, run.scope, cid);
    if (answer !== null && answer.found !== (side === 'dict')) contradicted.add(cid);
  }
  if (contradicted.size === 0) return decision;
  // Those that nobody was asked about rest on the same log: they come again when it is better.
  const proven = new Set([...byResidual, ...asked.map(({ cid }) => cid)]);
  const located = decision.located.filter(({ cid }) => proven.has(cid) && !contradicted.has(cid));
  if (located.length > 0) return { ...decision, located, outcome: { ...decision.outcome, located: located.length } };
  const { looks, unexplained } = run.progress;
  if (unexplained + 1 >= staleLooksMax) {
    const reason = `the event log is not up to date: DICT contradicts it about ${contradicted.size} CIDs`;
    return { kind: 'conclude', outcome: { kind: 'inconclusive', reason, next: 'file' }, located: [] };
  }
  const waitMs = deps.settings.longestPollMs;
  return { kind: 'again', step: 'explain', waitMs, progress: { looks: looks + 1, unexplained: unexplained + 1 }, watch: null };
}

async function store(tx: Transaction, deps: VerifyDeps, run: Run, { decision, seen, byResidual }: Seen): Promise<void> {
  const now = deps.clock.now();
  const position = seen.kind === 'look' ? { seq: seen.seq, at: seen.log.lastResponse } : null;
  if (decision.kind === 'conclude') {
    const located = decision.located.map((difference) => ({
      ...difference,
      foundBy: byResidual.has(difference.cid) ? ('residual' as const) : ('log' as const),
    }));
    const evidence = { asked: run.progress.asked, ...evidenceOf(seen) };
    if (!(await conclude(tx, run, { outcome: decision.outcome, located, position, evidence }, now))) return;
  } else {
    const dueAt = new Date(now.getTime() + decision.waitMs);
    const progress = { ...run.progress, ...decision.progress, state: decision.step, failures: 0, dueAt };
    if (!(await writeProgress(tx, run, progress))) return;
    if (decision.watch !== null && position !== null) {
      const { first, pending } = decision.watch;
      if (first)
        await saveDifferences(
          tx,
          run,
          'in-flight',
          pending.map((each) => ({ ...each, foundBy: 'log' })),
          position,
        );
      else
        await settleAllBut(
          tx,
          run.runId,
          pending.map(({ cid }) => cid),
        );
    }
  }
  if (seen.kind === 'look' && position !== null && decision.kind === 'again') {
    const residuals = seen.explanation.differences.filter(({ cid }) => byResidual.has(cid));
    await rememberResiduals(tx, run, residuals, position);
  }
  if (seen.kind === 'look') await moveAnchor(tx, deps, run, seen);
}

/** An identity of VSyncs proves both sides at this position, whatever the outcome: the differences become the exceptions. */
async function moveAnchor(tx: Transaction, deps: VerifyDeps, run: Run, seen: Look): Promise<void> {
  if (!isZero(seen.explanation.residual)) return;
  const { logLagMs, clockSkewMs } = deps.settings;
  const dictTime = new Date(seen.log.firstResponse.getTime() - logLagMs - clockSkewMs);
  const cursor = {
    seq: seen.seq,
    dictTime,
    verifier: seen.dicts,
    exceptions: seen.explanation.differences,
    proof: 'log' as const,
  };
  await moveCursor(tx, run.scope, cursor, deps.clock.now());
}

function evidenceOf(seen: Look | NoLook): Record<string, unknown> {
  if (seen.kind === 'no-look') return { no_look: seen.reason };
  const { window, from, lastResponse } = seen.log;
  return {
    seq: seen.seq,
    log_from: from.toISOString(),
    log_read_at: lastResponse.toISOString(),
    log_pages: window.pages,
    log_events: window.events.length,
    log_holes: window.holes.length,
    anchored: seen.anchored,
    differences: seen.explanation.differences.length,
    explained: isZero(seen.explanation.residual),
  };
}
