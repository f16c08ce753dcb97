/**
 * Judging what DICT alone has, and rows of ours that do not hash to their CID: each is looked up by CID, which tells its key, and
 * then laid beside the stored entry of that key.
 */

import { cidToHex } from '../cid/cid.ts';
import type { CidSetEvent } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import { readEntries } from '../ingest/entry-store.ts';
import type { StoredEntry } from '../ingest/stored-entry.ts';
import { readEventLog } from '../verify/event-log-reading.ts';
import { keysOfCids } from '../vsync/cid-history.ts';
import { type ByCidAnswer, lookUp } from './by-cid.ts';
import type { OpenRun } from './claiming.ts';
import type { Divergence } from './divergence-store.ts';
import { circumstances, failed, type Judged } from './judged.ts';
import { type Circumstances, judgeAlteredRow, judgeDictCid } from './judgement.ts';
import type { ReconcileDeps } from './reconciliation.ts';
import { keptByPerson } from './review-store.ts';

/** Verdicts on a batch of CIDs that only DICT has, and of altered rows. */
export async function judgeDictSide(deps: ReconcileDeps, run: OpenRun, batch: readonly Divergence[]): Promise<Judged[]> {
  const answers = await lookUp(
    deps,
    run,
    batch.map(({ cid }) => cid),
  );
  const around = await circumstances(deps, run);
  const stored = await readStored(deps, run, batch, answers);
  const judged: Judged[] = [];
  for (const [index, divergence] of batch.entries()) {
    const found = answers[index];
    if (found === undefined) continue;
    judged.push(
      divergence.side === 'row'
        ? judgeRow(deps, divergence, found, stored, around)
        : judgeDict(deps, divergence, found, stored, around),
    );
  }
  return withPersons(deps, run, await withLog(deps, run, judged, answers, around));
}

/** What the base holds for the keys of a batch: those that DICT told, and those that our history has for altered rows. */
interface Stored {
  readonly entries: ReadonlyMap<string, StoredEntry>;
  readonly keysOfRows: ReadonlyMap<string, string>;
}

/** Two statements for the whole batch, not one for each difference. */
async function readStored(
  deps: ReconcileDeps,
  run: OpenRun,
  batch: readonly Divergence[],
  answers: readonly ByCidAnswer[],
): Promise<Stored> {
  const rows = batch.filter(({ side }) => side === 'row');
  const keysOfRows = await keysOfCids(
    deps.database,
    run,
    rows.map(({ cid }) => cid),
  );
  const told = answers.flatMap((found) => (found.kind === 'answered' && found.answer.found ? [found.answer.entry.key] : []));
  const entries = await readEntries(deps.database, run.participant, [...new Set([...told, ...keysOfRows.values()])]);
  return { entries, keysOfRows };
}

function judgeDict(
  deps: ReconcileDeps,
  divergence: Divergence,
  found: ByCidAnswer,
  { entries }: Stored,
  around: Circumstances,
): Judged {
  if (found.kind === 'failed') return { divergence, stored: null, verdict: failed(deps, divergence, found), provedAt: null };
  const { answer } = found;
  const stored = answer.found ? (entries.get(answer.entry.key) ?? null) : null;
  return { divergence, stored, verdict: judgeDictCid(divergence.cid, answer, stored, around), provedAt: answer.responseTime };
}

function judgeRow(
  deps: ReconcileDeps,
  divergence: Divergence,
  found: ByCidAnswer,
  { entries, keysOfRows }: Stored,
  around: Circumstances,
): Judged {
  if (found.kind === 'failed') return { divergence, stored: null, verdict: failed(deps, divergence, found), provedAt: null };
  const key = keysOfRows.get(cidToHex(divergence.cid)) ?? null;
  const stored = key === null ? null : (entries.get(key) ?? null);
  const verdict = judgeAlteredRow(divergence.cid, found.answer, { key, stored }, around);
  return { divergence, stored, verdict, provedAt: found.answer.responseTime };
}

/**
 * Where our state seems newer than DICT's entry, DICT's log may know when DICT's came about: its entries only tell when they were
 * created. One reading of the log for the whole batch; without it a person decides.
 */
async function withLog(
  deps: ReconcileDeps,
  run: OpenRun,
  judged: readonly Judged[],
  answers: readonly ByCidAnswer[],
  around: Circumstances,
): Promise<Judged[]> {
  const contested = judged.filter(({ verdict }) => verdict.verdict === 'review' && verdict.why === 'newer_here');
  if (contested.length === 0) return [...judged];
  const fromMs = Math.min(...contested.map(({ stored }) => stored?.occurredAt.getTime() ?? around.now.getTime()));
  const events = await eventsSince(deps, run, new Date(fromMs));
  const addedAt = new Map(events.filter(({ type }) => type === 'ADDED').map(({ cid, timestamp }) => [cid, timestamp]));
  return judged.map((one, index) => {
    const found = answers[index];
    const dictAddedAt = addedAt.get(cidToHex(one.divergence.cid));
    if (!contested.includes(one) || dictAddedAt === undefined || found?.kind !== 'answered') return one;
    return { ...one, verdict: judgeDictCid(one.divergence.cid, found.answer, one.stored, { ...around, dictAddedAt }) };
  });
}

/** DICT's events since then; none where the log has too many pages or cannot be had. */
async function eventsSince(deps: ReconcileDeps, run: OpenRun, from: Date): Promise<readonly CidSetEvent[]> {
  try {
    const log = await readEventLog({ dict: deps.dict, clock: deps.clock, settings: deps.verify }, run, from);
    return log.kind === 'read' ? log.window.events : [];
  } catch (cause) {
    if (cause instanceof DictError) return [];
    throw cause;
  }
}

/** What a person has decided to keep is not put before a person again (rule R9). */
async function withPersons(deps: ReconcileDeps, run: OpenRun, judged: readonly Judged[]): Promise<Judged[]> {
  const asked = judged.flatMap(({ divergence, verdict }) =>
    verdict.verdict === 'review' ? [{ key: verdict.key, localCid: verdict.localCid, dictCid: divergence.cid }] : [],
  );
  const kept = await keptByPerson(deps.database, run.participant, asked);
  return judged.map((one) => {
    if (one.verdict.verdict !== 'review' || !kept.has(one.verdict.key)) return one;
    return { ...one, verdict: { verdict: 'open', reason: 'a person decided to keep the local state', key: one.verdict.key } };
  });
}
