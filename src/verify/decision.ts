/**
 * From a look at both sides to what happens next with the run. Pure: what it decides is stored by explain.ts, and the same input
 * always gives the same answer. Bounds (rule R13): questions, looks, looks with a residual, widenings.
 */

import { equalVSync } from '../vsync/vsync.ts';
import { hasEventsBetween, verifierAt } from './event-log.ts';
import type { Difference } from './explanation.ts';
import { isZero } from './explanation.ts';
import type { Look, NoLook } from './look.ts';
import type { VerificationOutcome } from './outcome.ts';
import type { RunProgress } from './run-store.ts';
import type { VerifySettings } from './settings.ts';
import type { Question } from './verification-store.ts';

/** Contradictions in one run before DICT's word is taken for a hidden change. */
const contradictionsMax = 2;
/** Looks in a row that may leave a residual, and how often the window may be widened for it. */
const unexplainedMax = 8;
/** Widened at most this often: 24 hours, then 24 days with the default first window. */
const widenedMax = 2;

/** What to store and do. `pending`: what the run goes on watching; null leaves it as it is. */
export type Decision =
  | {
      readonly kind: 'again';
      readonly step: 'ask' | 'explain';
      readonly waitMs: number;
      readonly progress: Partial<Omit<RunProgress, 'state' | 'dueAt'>>;
      readonly watch: { readonly first: boolean; readonly pending: readonly Difference[] } | null;
    }
  | { readonly kind: 'conclude'; readonly outcome: VerificationOutcome; readonly located: readonly Difference[] };

export interface Situation {
  readonly progress: RunProgress;
  /** In flight at the first explained look since the NOK, and not yet settled. */
  readonly pending: ReadonlyMap<string, Difference>;
  /** How many were in flight at that look. */
  readonly watched: number;
  readonly question: Question;
  readonly look: Look;
  /** Whether the residual, where there is one, was put to DICT and nothing came of it. */
  readonly residualRefused: boolean;
  readonly settings: VerifySettings;
}

/** What follows from a look. */
export function decide(situation: Situation): Decision {
  const { progress, look, settings } = situation;
  if (progress.looks + 1 >= settings.looksMax) return looksExhausted(situation);
  if (!isZero(look.explanation.residual)) return decideUnexplained(situation);
  const mature = matureOf(look, settings);
  if (mature.length > 0) return diverged(mature, 'CIDs that one side alone has had for longer than the grace');
  return decideExplained(situation);
}

function diverged(located: readonly Difference[], reason: string): Decision {
  return { kind: 'conclude', outcome: { kind: 'diverged', located: located.length, reason }, located };
}

function looksExhausted({ look, settings }: Situation): Decision {
  const mature = matureOf(look, settings);
  if (mature.length > 0) return diverged(mature, 'CIDs that one side alone has had for longer than the grace');
  const reason = `nothing settled in ${settings.looksMax} looks at the event log`;
  return { kind: 'conclude', outcome: { kind: 'inconclusive', reason, next: 'maintenance-window' }, located: [] };
}

/** Differences older than the grace, by DICT's clock. Those whose age nobody knows are old. */
function matureOf(look: Look, settings: Pick<VerifySettings, 'inFlightGraceMs'>): Difference[] {
  const youngMs = look.log.lastResponse.getTime() - settings.inFlightGraceMs;
  return look.explanation.differences.filter(({ sinceMs }) => sinceMs === null || sinceMs < youngMs);
}

function pollMs(progress: RunProgress, settings: VerifySettings): number {
  return Math.min(settings.longestPollMs, settings.firstPollMs * 2 ** Math.min(progress.looks, 16));
}

/** A residual: seen again first (a race shows as a changing one), put to DICT next, then with more of the log, else it is for the file. */
function decideUnexplained({ progress, look, residualRefused, settings }: Situation): Decision {
  const { residual } = look.explanation;
  const unexplained = progress.unexplained + 1;
  const same = progress.residual !== null && equalVSync(progress.residual, residual);
  const again = (widened: number): Decision => ({
    kind: 'again',
    step: 'explain',
    waitMs: settings.logLagMs + settings.clockSkewMs,
    progress: { looks: progress.looks + 1, unexplained, residual, widened },
    watch: null,
  });
  if (unexplained < unexplainedMax) {
    if (!same || !residualRefused) return again(progress.widened);
    if (progress.widened < widenedMax) return again(progress.widened + 1);
  }
  const mature = matureOf(look, settings);
  if (mature.length > 0)
    return diverged(mature, 'CIDs that one side alone has had for longer than the grace; more is hidden from the log');
  if (look.log.window.holes.length > 0) {
    return inconclusive('the event log has holes: its VSyncs do not chain');
  }
  if (!same) return inconclusive('the event log and the base kept changing while they were compared');
  return look.anchored || look.quiet
    ? diverged([], 'something changed that the event log does not show')
    : inconclusive('nothing was proven before from which the event log could explain the difference');
}

/** Both sides cannot be compared by the log. Where neither has changed for a whole grace, NOK is divergence all the same. */
export function decideWithoutLook(progress: RunProgress, seen: NoLook, settings: VerifySettings): Decision {
  if (seen.wider && progress.widened < widenedMax) {
    const widened = { looks: progress.looks + 1, widened: progress.widened + 1 };
    return { kind: 'again', step: 'explain', waitMs: settings.clockSkewMs, progress: widened, watch: null };
  }
  if (seen.quiet) return diverged([], `nothing has changed on either side within the grace; ${seen.reason}`);
  // The wider stretch was only asked for because a residual would not go away.
  if (progress.widened > 0 && progress.residual !== null) {
    return diverged([], `something changed that the event log does not show; ${seen.reason}`);
  }
  return inconclusive(seen.reason);
}

function inconclusive(reason: string): Decision {
  return { kind: 'conclude', outcome: { kind: 'inconclusive', reason, next: 'file' }, located: [] };
}

function decideExplained(situation: Situation): Decision {
  const { progress, pending, look, question, settings } = situation;
  const contradictions = progress.contradictions + (progress.looks === 0 && contradicts(situation) ? 1 : 0);
  if (contradictions >= contradictionsMax) {
    return diverged([], 'DICT says NOK to the very VSync that its event log shows: something changed without an event');
  }
  const { differences } = look.explanation;
  const toleranceMs = settings.logLagMs + settings.clockSkewMs;
  const still = progress.watching
    ? differences.filter((difference) => isStill(pending.get(difference.cid), difference, toleranceMs))
    : differences;
  const settled = { looks: progress.looks + 1, unexplained: 0, residual: null, contradictions };
  if (differences.length === 0 && progress.asked <= settings.reasksMax) {
    return { kind: 'again', step: 'ask', waitMs: 0, progress: settled, watch: null };
  }
  const loggedAt = look.log.window.events.at(-1)?.timestamp;
  const askedAt = question.answer?.responseTime;
  const loggedSince = loggedAt !== undefined && askedAt !== undefined && loggedAt > askedAt;
  if (still.length === 0 && (progress.watching || differences.length === 0) && loggedSince) {
    const seq = progress.watchedSeq ?? look.seq;
    const at = (progress.watchedAt ?? loggedAt).toISOString();
    return { kind: 'conclude', outcome: { kind: 'in-sync', proof: 'log', seq, at, settled: situation.watched }, located: [] };
  }
  if (differences.length === 0) return inconclusive('DICT keeps saying NOK although its event log accounts for everything');
  const first = !progress.watching;
  const position = first ? { watching: true, watchedSeq: look.seq, watchedAt: loggedAt ?? look.log.lastResponse } : {};
  return {
    kind: 'again',
    step: 'explain',
    waitMs: Math.min(pollMs(progress, settings), untilMature(differences, look, settings)),
    progress: { ...settled, ...position },
    watch: { first, pending: still },
  };
}

/** The same disagreement as before, not a newer one about the same CID; our own times come through two clocks. */
function isStill(before: Difference | undefined, now: Difference, toleranceMs: number): boolean {
  if (before === undefined || before.side !== now.side) return false;
  return now.sinceMs === null || before.sinceMs === null || now.sinceMs <= before.sinceMs + toleranceMs;
}

/** Time until the oldest of these leaves the grace, and a little. */
function untilMature(differences: readonly Difference[], look: Look, settings: VerifySettings): number {
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const { sinceMs } of differences) oldestMs = Math.min(oldestMs, sinceMs ?? 0);
  return Math.max(settings.clockSkewMs, oldestMs + settings.inFlightGraceMs - look.log.lastResponse.getTime() + 1);
}

/**
 * NOK although, by its own log, DICT's VSync at that moment was the one we sent, and no event lies near enough to excuse it. The
 * window must reach back to the question.
 */
function contradicts({ question, look, settings }: Situation): boolean {
  if (question.answer === null) return false;
  const { responseTime, answeredAt } = question.answer;
  const roundTripMs = answeredAt.getTime() - question.requestedAt.getTime();
  const from = new Date(responseTime.getTime() - roundTripMs - settings.clockSkewMs);
  const to = new Date(responseTime.getTime() + settings.clockSkewMs);
  const { window } = look.log;
  if (look.log.from > from || window.holes.length > 0 || hasEventsBetween(window, from, to)) return false;
  return equalVSync(verifierAt(window, look.dicts, responseTime), question.vsync);
}
