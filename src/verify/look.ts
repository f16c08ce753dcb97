/**
 * One look at both sides: DICT's log since the anchor and our history since its seq, and how far they explain each other. Nothing
 * is stored here and nothing concluded.
 */

import { cidFromHex, cidToHex } from '../cid/cid.ts';
import type { DictApi } from '../dict/api.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Sql } from '../platform/postgres/database.ts';
import { membershipAsOf } from '../vsync/cid-history.ts';
import type { VSync } from '../vsync/vsync.ts';
import { changesBetween, type JournalledChange, seqAtTime } from '../vsync/vsync-journal.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import { readCursor, type StoredCursor } from './event-cursor.ts';
import { EVENTS_PER_PAGE } from './event-log.ts';
import { type LogReading, readEventLog } from './event-log-reading.ts';
import { candidatesOf, corrected, type Evidence, type Explanation, explain, isZero, sinceOf } from './explanation.ts';
import type { VerifySettings } from './settings.ts';
import { lastEventCommit } from './window-store.ts';
import { subsetWithXor } from './xor-subset.ts';

export interface LookDeps {
  readonly database: Database;
  readonly dict: Pick<DictApi, 'listCidSetEvents' | 'getEntryByCid'>;
  readonly clock: Clock;
  readonly settings: VerifySettings;
}

export interface Look {
  readonly kind: 'look';
  readonly explanation: Explanation;
  readonly log: LogReading;
  /** Our side: as of which seq, and which of the candidates count. */
  readonly seq: number;
  readonly oursNow: ReadonlySet<string>;
  /** DICT's VSync at the end of the log. */
  readonly dicts: VSync;
  /** Whether a proven anchor was the start, rather than a guess. */
  readonly anchored: boolean;
  /** Whether neither side has changed within the grace, so that nothing can be in flight. */
  readonly quiet: boolean;
}

/** Both sides cannot be laid side by side. `wider`: a longer stretch of the log might help. */
export interface NoLook {
  readonly kind: 'no-look';
  readonly reason: string;
  readonly wider: boolean;
  readonly quiet: boolean;
}

/** Where a look starts: our side at `seq`, DICT's log at `from`. Without a cursor both are a guess that the look puts to the proof. */
interface LookStart {
  readonly cursor: StoredCursor | null;
  readonly seq: number;
  readonly from: Date;
}

const widening = 24;

/** `widened` times the window is stretched back: each time 24-fold, since an empty stretch of log costs one page. */
export async function look(deps: LookDeps, scope: Scope, widened: number): Promise<Look | NoLook> {
  const cursor = await readCursor(deps.database, scope);
  const first = await lookFrom(deps, scope, widened);
  if (first.kind === 'look' || cursor === null) return first;
  // Another verification may have moved the anchor, and the journal behind it been pruned, while this one looked.
  const moved = await readCursor(deps.database, scope);
  return moved !== null && moved.seq > cursor.seq ? lookFrom(deps, scope, widened) : first;
}

async function lookFrom(deps: LookDeps, scope: Scope, widened: number): Promise<Look | NoLook> {
  const { database, settings } = deps;
  const start = await startOf(deps, scope, widened);
  const before = await readVSync(database, scope);
  // Estimated first by our own journal, so that a hopeless listing costs no tokens.
  const cidsMax = settings.logPagesMax * EVENTS_PER_PAGE;
  const estimate = await changesBetween(database, scope, { afterSeq: start.seq, uptoSeq: before.seq, cidsMax });
  if (!estimate.complete) return noLook(`our changes since seq ${start.seq}: ${estimate.reason}`);
  const log = await readEventLog(deps, scope, start.from);
  if (log.kind === 'over-budget') {
    return noLook(`the event log since ${start.from.toISOString()} has more than ${log.pages} pages`);
  }
  if (log.window.unreadable) return noLook('the event log carries no readable VSyncs');
  const quiet = await isQuiet(deps, scope, log);
  const dicts = log.window.verifierEnd ?? start.cursor?.verifier;
  if (dicts === undefined) {
    return { ...noLook(`the event log is empty since ${start.from.toISOString()}`), wider: true, quiet };
  }
  const now = await readVSync(database, scope);
  const changes = await changesBetween(database, scope, { afterSeq: start.seq, uptoSeq: now.seq, cidsMax: 2 * cidsMax });
  if (!changes.complete) return noLook(`our changes since seq ${start.seq}: ${changes.reason}`);
  const changedAtMs = lastChanges(changes.changes, log.aheadMs);
  const evidence = {
    events: log.window.events,
    changedAtMs,
    exceptions: start.cursor?.exceptions ?? new Map<string, number | null>(),
  };
  const candidates = [...candidatesOf(evidence)].map(cidFromHex);
  const oursAtAnchor = await membershipAsOf(database, scope, candidates, start.seq);
  const oursNow = await membershipAsOf(database, scope, candidates, now.seq);
  const explanation = inferredCorrectly({ ...evidence, ours: now.vsync, dicts, oursAtAnchor, oursNow });
  return { kind: 'look', explanation, log, seq: now.seq, oursNow, dicts, anchored: start.cursor !== null, quiet };
}

function noLook(reason: string): NoLook {
  return { kind: 'no-look', reason, wider: false, quiet: false };
}

/** Only the core's events can be in flight: loads and repairs are not on their way to DICT. */
async function isQuiet({ database, settings }: LookDeps, scope: Scope, log: LogReading): Promise<boolean> {
  const sinceMs = log.lastResponse.getTime() - settings.inFlightGraceMs;
  if (log.from.getTime() > sinceMs || log.window.events.some((event) => event.timestamp.getTime() > sinceMs)) return false;
  const last = await lastEventCommit(database, scope);
  return last === null || last.getTime() + log.aheadMs < sinceMs;
}

function lastChanges(changes: readonly JournalledChange[], aheadMs: number): Map<string, number> {
  const last = new Map<string, number>();
  for (const { cid, committedAt } of changes) last.set(cidToHex(cid), committedAt.getTime() + aheadMs);
  return last;
}

/**
 * Events that a full millisecond hid or that the log shows late, and repairs of hidden changes: DICT's state of these CIDs was
 * inferred from the anchor, wrongly. Which ones, the residual tells by linear algebra, without a call.
 */
function inferredCorrectly(evidence: Evidence): Explanation {
  const explanation = explain(evidence);
  if (isZero(explanation.residual)) return explanation;
  const wrong = subsetWithXor(explanation.residual, explanation.inferred.map(cidFromHex));
  if (wrong === null) return explanation;
  const cids = wrong.map(cidToHex);
  return corrected(
    explanation,
    cids.map((cid) => ({ cid, sinceMs: sinceOf(evidence, cid, undefined) })),
    evidence.oursNow,
  );
}

async function startOf(deps: LookDeps, scope: Scope, widened: number): Promise<LookStart> {
  const { database, clock, settings } = deps;
  const cursor = await readCursor(database, scope);
  const load = await lastLoad(database, scope);
  const backMs = widened === 0 ? 0 : settings.firstWindowMs * widening ** widened;
  if (cursor !== null && (load === null || load.bulkSeq <= cursor.seq)) {
    return { cursor, seq: cursor.seq, from: new Date(cursor.dictTime.getTime() - backMs) };
  }
  // Nothing proven yet: suppose that both sides agreed when the base was loaded, or a while ago. What was on its way then is
  // covered by starting earlier at DICT; a longer stretch of log does no harm.
  const recently = clock.now().getTime() - settings.firstWindowMs;
  const supposed = new Date(Math.max(recently, load?.at.getTime() ?? 0));
  const seq = Math.max(await seqAtTime(database, scope, supposed), load?.seq ?? 0);
  return { cursor: null, seq, from: new Date(supposed.getTime() - settings.inFlightGraceMs - backMs) };
}

/**
 * The last commit that loaded a base, by import or otherwise, and the last whose CIDs are not in the journal (0: none), across
 * which no anchor reaches. Null where nothing was ever loaded.
 */
async function lastLoad(
  sql: Sql,
  scope: Scope,
): Promise<{ readonly seq: number; readonly at: Date; readonly bulkSeq: number } | null> {
  const { rows } = await sql.query<{ seq: number | null; at: Date | null; bulk_seq: number | null }>(
    `SELECT max(seq) AS seq, max(committed_at) AS at, max(seq) FILTER (WHERE changes IS NULL) AS bulk_seq
     FROM dict_vsync_changes
     WHERE participant = $1 AND key_type = $2 AND (source = 'import' OR changes IS NULL)`,
    [scope.participant, scope.keyType],
  );
  const row = rows[0];
  return row === undefined || row.seq === null || row.at === null
    ? null
    : { seq: row.seq, at: row.at, bulkSeq: row.bulk_seq ?? 0 };
}
