/**
 * State `comparing` at the file rung: the file on disk against our CIDs as of one seq, corrected by what DICT's log has told
 * since, and written down as differences to be judged. Differences young enough to be under way get a due time (rule R10).
 */

import { cidFromHex, packCids } from '../cid/cid.ts';
import type { CidSetEvent } from '../dict/api.ts';
import { assert } from '../platform/assert.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { SealedFileRefused } from '../platform/sealed-file.ts';
import { moveCursor } from '../verify/event-cursor.ts';
import { type LogReading, readEventLog } from '../verify/event-log-reading.ts';
import type { Difference } from '../verify/explanation.ts';
import { membershipAsOf } from '../vsync/cid-history.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { FileRefused } from './cid-set-file.ts';
import { inState, type OpenRun, paced, type StepInput, sleepNext } from './claiming.ts';
import { insertDifferences, type NewDifference } from './divergence-store.ts';
import { type Comparison, compareFile, type SetDifference } from './file-comparison.ts';
import { refuseFile } from './file-download.ts';
import { type FileInstant, findInstant, lastEvents } from './file-instant.ts';
import { refuseImplausible } from './file-plausibility.ts';
import { go, type Next, type ReconcileDeps } from './reconciliation.ts';
import { fenceRun, updateRun } from './run-store.ts';
import { filePath, removeFiles } from './stored-file.ts';

const sliceBuckets = 4_096;
const sliceCids = 250_000;
const rowsPerStatement = 1_000;

/** State `comparing`, rung `file`. */
export async function compareCidSetFile(deps: ReconcileDeps, input: StepInput): Promise<Next> {
  return inState(deps, input, ['comparing'], async (run) => {
    const { fileSha256, fileVsync, fileKey } = run;
    assert(
      fileSha256 !== null && fileVsync !== null && fileKey !== null,
      `run ${run.id} compares a file that was never downloaded`,
    );
    const waitMs = untilLogged(deps, run);
    if (waitMs > 0) return sleepNext(deps, 'comparing', 'file', waitMs);
    const onProgress = paced(deps, input);
    const file = { path: filePath(deps, run.id), sha256: fileSha256, key: fileKey };
    try {
      // Ours first, then DICT's log: what happens in between is seen as an event, and waits for its counterpart.
      const faults: SealedFileRefused[] = [];
      const onRefused = (refusal: SealedFileRefused): void => void faults.push(refusal);
      const limits = { differencesMax: deps.settings.differencesMax, sliceBuckets, sliceCids, onProgress, onRefused };
      const compared = await compareFile(deps.database, run, file, limits);
      if (compared === null) return downloadAgain(deps, input, run, faults[0] ?? null);
      const log = await readSince(deps, run);
      const instant = log === null ? null : findInstant(log.window, log.from, fileVsync);
      const present = log === null ? compared : await overridden(deps.database, run, compared, log);
      await refuseImplausible(deps, run, {
        ...present,
        keys: compared.keys,
        lines: run.fileLines ?? 0,
        proven: instant !== null,
      });
      await save(deps, input, { compared, present, log, instant, seq: compared.seq });
      // What it told is written down: nobody reads it again.
      await removeFiles(deps, run.id);
      return go(present.dict.size + present.local.size === 0 ? 'confirming' : 'judging', run.rung);
    } catch (cause) {
      if (cause instanceof FileRefused) return refuseFile(deps, input, run, cause);
      throw cause;
    }
  });
}

/**
 * The file may show changes that the log shows only after its lag. Compared earlier, they would look as old as the file's other
 * lines, and events that are merely under way would be repaired. A file from the future tells of clocks that disagree: waiting
 * would not help, and what the log does not reach is dated by the file then.
 */
function untilLogged({ clock, settings, verify }: ReconcileDeps, { fileCreationTime }: OpenRun): number {
  if (fileCreationTime === null) return 0;
  const longestMs = verify.logLagMs + settings.clockSkewMs;
  const waitMs = fileCreationTime.getTime() + longestMs - clock.now().getTime();
  return waitMs <= longestMs + settings.clockSkewMs ? waitMs : 0;
}

/** The file is gone, or it was changed on this machine's disk: the latter is told, counted, and ends the run when it happens again and again. */
async function downloadAgain(
  deps: ReconcileDeps,
  input: StepInput,
  run: OpenRun,
  fault: SealedFileRefused | null,
): Promise<Next> {
  if (fault !== null) {
    deps.log.warn({ runId: run.id, fault: fault.fault, reason: fault.message }, 'the stored CID set file was changed on disk');
    await removeFiles(deps, run.id);
    if (run.fileFailures + 1 >= deps.settings.fileFailuresMax) {
      return refuseFile(deps, input, run, new FileRefused('altered at rest', fault.message));
    }
  }
  const fileFailures = run.fileFailures + (fault === null ? 0 : 1);
  await deps.database.transaction(async (tx) => {
    await fenceRun(tx, run.id, input.token);
    await updateRun(tx, run.id, { state: 'downloading', fileFailures }, deps.clock.now());
  });
  return go('downloading', run.rung);
}

/** DICT's log from a grace before the file was asked for to its end; null where it has too many pages, or no readable VSyncs. */
async function readSince(deps: ReconcileDeps, run: OpenRun): Promise<LogReading | null> {
  const requested = run.fileRequestTime ?? run.startedAt;
  const from = new Date(requested.getTime() - deps.verify.inFlightGraceMs - deps.settings.clockSkewMs);
  const log = await readEventLog({ dict: deps.dict, clock: deps.clock, settings: deps.verify }, run, from);
  return log.kind === 'over-budget' || log.window.unreadable ? null : log;
}

/**
 * The comparison as the log's last words change it. Only the last state of a CID counts, so replaying what the file already shows
 * does no harm, and the file's exact moment need not be known.
 */
async function overridden(sql: Sql, scope: Scope, compared: Comparison, log: LogReading): Promise<SetDifference> {
  const last = lastEvents(log.window.events);
  const ours = await membershipAsOf(sql, scope, [...last.keys()].map(cidFromHex), compared.seq);
  const dict = new Set(compared.dict);
  const local = new Set(compared.local);
  for (const [cid, event] of last) {
    dict.delete(cid);
    local.delete(cid);
    if (event.type === 'ADDED' && !ours.has(cid)) dict.add(cid);
    if (event.type === 'REMOVED' && ours.has(cid)) local.add(cid);
  }
  return { dict, local };
}

interface Found {
  readonly compared: Comparison;
  readonly present: SetDifference;
  readonly log: LogReading | null;
  readonly instant: FileInstant | null;
  readonly seq: number;
}

async function save(deps: ReconcileDeps, input: StepInput, found: Found): Promise<void> {
  const { compared, present, log, instant, seq } = found;
  await deps.database.transaction(async (tx) => {
    const now = deps.clock.now();
    const run = await fenceRun(tx, input.runId, input.token);
    const differences = await datedDifferences(deps, tx, run, present, log);
    for (let at = 0; at < differences.length; at += rowsPerStatement) {
      await insertDifferences(tx, run, differences.slice(at, at + rowsPerStatement), now);
    }
    await updateRun(
      tx,
      run.id,
      {
        state: differences.length === 0 ? 'confirming' : 'judging',
        rounds: run.rounds + 1,
        fileDifferences: differences.length,
        fileInstant: instant?.at ?? null,
        fileInstantEvents: instant?.events ?? null,
        comparedSeq: seq,
      },
      now,
    );
    if (instant === null || run.fileVsync === null) return;
    // The file and the log agree on a moment: from here on the log can be explained again.
    const last = lastEvents(log?.window.events.filter((event) => event.timestamp <= instant.at) ?? []);
    const exception = (side: 'dict' | 'local', cid: string): Difference => {
      return { cid, side, sinceMs: last.get(cid)?.timestamp.getTime() ?? null };
    };
    const exceptions = [
      ...[...compared.dict].map((cid) => exception('dict', cid)),
      ...[...compared.local].map((cid) => exception('local', cid)),
    ];
    await moveCursor(tx, run, { seq, dictTime: instant.at, verifier: run.fileVsync, exceptions, proof: 'log' }, now);
  });
}

/** Differences with the time since when they exist, and until when an event of the core's may still explain them. */
async function datedDifferences(
  deps: ReconcileDeps,
  sql: Sql,
  run: Scope & { readonly fileCreationTime: Date | null },
  present: SetDifference,
  log: LogReading | null,
): Promise<NewDifference[]> {
  const graceMs = deps.verify.inFlightGraceMs + deps.settings.clockSkewMs;
  const last = log === null ? new Map<string, CidSetEvent>() : lastEvents(log.window.events);
  const ours = await lastEventsHere(sql, run, [...present.dict, ...present.local]);
  const dated = (side: 'dict' | 'local', cid: string): NewDifference => {
    // Where the log does not reach the file's creation, that is the latest time at which DICT can have changed what it shows.
    const dictAt = last.get(cid)?.timestamp ?? (reaches(deps, log, run.fileCreationTime) ? null : run.fileCreationTime);
    const latestMs = Math.max(dictAt?.getTime() ?? 0, ours.get(cid)?.getTime() ?? 0);
    const dueAt = latestMs === 0 ? null : new Date(latestMs + graceMs);
    return { side, cid: cidFromHex(cid), foundBy: 'file', since: last.get(cid)?.timestamp ?? null, dueAt };
  };
  return [...[...present.dict].map((cid) => dated('dict', cid)), ...[...present.local].map((cid) => dated('local', cid))];
}

/** Whether every event up to that time is in the log as it was read; both are DICT's times. */
function reaches(deps: ReconcileDeps, log: LogReading | null, time: Date | null): boolean {
  return log !== null && time !== null && log.firstResponse.getTime() - deps.verify.logLagMs >= time.getTime();
}

/** When an event of the core's last made these CIDs count or cease to; others are absent. By hex. */
async function lastEventsHere(sql: Sql, scope: Scope, cids: readonly string[]): Promise<Map<string, Date>> {
  if (cids.length === 0) return new Map();
  const { rows } = await sql.query<{ cid: Buffer; at: Date }>(
    `SELECT c.cid, max(greatest(c.added_at, c.removed_at)) AS at
     FROM dict_cids c
     WHERE c.participant = $1 AND c.key_type = $2 AND c.source = 'event'
       AND c.cid IN (SELECT substring($3::bytea FROM 32 * (n - 1) + 1 FOR 32) FROM generate_series(1, $4::int) AS n)
     GROUP BY c.cid`,
    [scope.participant, scope.keyType, packCids(cids.map(cidFromHex)), cids.length],
  );
  return new Map(rows.map((row) => [row.cid.toString('hex'), row.at]));
}
