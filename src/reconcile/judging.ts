/**
 * State `judging`: a batch of differences at a time is looked up in DICT by CID and judged (judgement.ts). CIDs that only DICT has
 * come first, all of them: only they tell the keys that only-local CIDs may be the other half of (rule R3).
 */

import { type Cid, cidToHex } from '../cid/cid.ts';
import { readEntry } from '../ingest/entry-store.ts';
import { activeCid, type StoredEntry } from '../ingest/stored-entry.ts';
import { appendAudit, systemActor } from '../ledger/audit.ts';
import { unreachable } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import { readEventLog } from '../verify/event-log-reading.ts';
import { keysOfCids } from '../vsync/cid-history.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { type ByCidAnswer, lookUp } from './by-cid.ts';
import { heartbeat, inState, type OpenRun, type StepInput, sleepNext } from './claiming.ts';
import {
  type Divergence,
  type DivergenceChange,
  pairedLocals,
  pairLocals,
  type RunTally,
  readToJudge,
  tallyRun,
  updateDivergences,
} from './divergence-store.ts';
import { holdForIngest } from './ingest-hold.ts';
import { type Circumstances, judgeAlteredRow, judgeDictCid, judgeLocalCid, noLongerActive, type Verdict } from './judgement.ts';
import { go, type Next, type OpenState, type ReconcileDeps } from './reconciliation.ts';
import { insertReview, keptByPerson } from './review-store.ts';
import { fenceRun, updateRun } from './run-store.ts';

const retryWaitMs = 30_000;

/** A difference with its verdict, and what it rests on. */
interface Judged {
  readonly divergence: Divergence;
  readonly stored: StoredEntry | null;
  readonly verdict: Verdict;
  /** DICT's clock at its answer; null where it gave none. */
  readonly provedAt: Date | null;
}

/** State `judging`. */
export async function judgeDivergences(deps: ReconcileDeps, input: StepInput): Promise<Next> {
  return inState(deps, input, ['judging'], async (run) => {
    const held = await holdForIngest(deps, input, run);
    if (held !== null) return held;
    const now = deps.clock.now();
    const limit = deps.settings.judgeBatch;
    const first = await readToJudge(deps.database, run.id, { sides: ['dict', 'row'], now, limit });
    if (first.length > 0) {
      await save(deps, input, run, await judgeFirst(deps, run, first));
      return go('judging', run.rung);
    }
    const tally = await tallyRun(deps.database, run.id);
    const locals = tally.dictWaiting > 0 ? [] : await readToJudge(deps.database, run.id, { sides: ['local'], now, limit });
    if (locals.length > 0) {
      await save(deps, input, run, await judgeLocals(deps, run, locals, tally));
      return go('judging', run.rung);
    }
    return whatNext(deps, input, run, tally);
  });
}

async function whatNext(deps: ReconcileDeps, input: StepInput, run: OpenRun, tally: RunTally): Promise<Next> {
  const waitMs = tally.nextDueAt === null ? null : tally.nextDueAt.getTime() - deps.clock.now().getTime();
  if ((tally.byState.settled ?? 0) > 0) return moveTo(deps, input, run, 'awaiting approval');
  // Something came due just now.
  if (waitMs !== null && waitMs <= 0) return go('judging', run.rung);
  return waitMs === null ? moveTo(deps, input, run, 'confirming') : sleepNext(deps, 'judging', run.rung, waitMs);
}

async function moveTo(deps: ReconcileDeps, input: StepInput, run: OpenRun, state: OpenState): Promise<Next> {
  await deps.database.transaction(async (tx) => {
    await fenceRun(tx, run.id, input.token);
    await updateRun(tx, run.id, { state }, deps.clock.now());
  });
  return go(state, run.rung);
}

async function judgeFirst(deps: ReconcileDeps, run: OpenRun, batch: readonly Divergence[]): Promise<Judged[]> {
  const answers = await lookUp(
    deps,
    run,
    batch.map(({ cid }) => cid),
  );
  const around = await circumstances(deps, run);
  const judged: Judged[] = [];
  for (const [index, divergence] of batch.entries()) {
    const found = answers[index];
    if (found === undefined) continue;
    judged.push(
      divergence.side === 'row'
        ? await judgeRow(deps, run, divergence, found, around)
        : await judgeDict(deps, run, divergence, found, around),
    );
  }
  return withPersons(deps, run, await withLog(deps, run, judged, answers, around));
}

async function judgeDict(
  deps: ReconcileDeps,
  run: OpenRun,
  divergence: Divergence,
  found: ByCidAnswer,
  around: Circumstances,
): Promise<Judged> {
  if (found.kind === 'failed') return { divergence, stored: null, verdict: failed(deps, divergence, found), provedAt: null };
  const { answer } = found;
  const stored = answer.found ? await readEntry(deps.database, run.participant, answer.entry.key) : null;
  return { divergence, stored, verdict: judgeDictCid(divergence.cid, answer, stored, around), provedAt: answer.responseTime };
}

async function judgeRow(
  deps: ReconcileDeps,
  run: OpenRun,
  divergence: Divergence,
  found: ByCidAnswer,
  around: Circumstances,
): Promise<Judged> {
  if (found.kind === 'failed') return { divergence, stored: null, verdict: failed(deps, divergence, found), provedAt: null };
  const key = (await keysOfCids(deps.database, run, [divergence.cid])).get(cidToHex(divergence.cid)) ?? null;
  const stored = key === null ? null : await readEntry(deps.database, run.participant, key);
  const verdict = judgeAlteredRow(divergence.cid, found.answer, { key, stored }, around);
  return { divergence, stored, verdict, provedAt: found.answer.responseTime };
}

async function judgeLocals(deps: ReconcileDeps, run: OpenRun, batch: readonly Divergence[], tally: RunTally): Promise<Judged[]> {
  const { database, verify, settings } = deps;
  const cids = batch.map(({ cid }) => cid);
  const paired = await pairedLocals(database, run.id, cids);
  const stored = await storedByCid(database, run, cids);
  const around = await circumstances(deps, run);
  const early = (divergence: Divergence): Verdict | null => {
    const hex = cidToHex(divergence.cid);
    const entry = stored.get(hex) ?? null;
    const key = entry?.key ?? null;
    if (paired.has(hex)) return { verdict: 'dropped', reason: 'the other half of an outdated entry', key };
    const gone = noLongerActive(divergence.cid, entry);
    if (gone !== null) return gone;
    if (tally.dictKeyless > 0) {
      const reason = `may be the other half of one of ${tally.dictKeyless} CIDs whose key DICT did not tell`;
      return { verdict: 'open', reason, key };
    }
    // A CID of DICT's that has just vanished may have made room for one that nobody here knows yet, of the same key.
    const until = (tally.dictVanishedAt?.getTime() ?? 0) + verify.inFlightGraceMs + settings.clockSkewMs;
    if (until <= around.now.getTime()) return null;
    return { verdict: 'deferred', until: new Date(until), reason: 'a CID of DICT has just vanished', key };
  };
  const decided = batch.map((divergence) => ({ divergence, verdict: early(divergence) }));
  const asked = decided.filter(({ verdict }) => verdict === null).map(({ divergence }) => divergence);
  const answers = await lookUp(
    deps,
    run,
    asked.map(({ cid }) => cid),
  );
  const answerOf = new Map(asked.map((divergence, index) => [divergence.id, answers[index]]));
  return decided.map(({ divergence, verdict }): Judged => {
    const entry = stored.get(cidToHex(divergence.cid)) ?? null;
    const found = answerOf.get(divergence.id);
    if (verdict !== null || found === undefined) {
      return {
        divergence,
        stored: entry,
        verdict: verdict ?? { verdict: 'open', reason: 'not asked', key: null },
        provedAt: null,
      };
    }
    if (found.kind === 'failed') return { divergence, stored: entry, verdict: failed(deps, divergence, found), provedAt: null };
    const judged = judgeLocalCid(divergence.cid, found.answer, entry, around);
    return { divergence, stored: entry, verdict: judged, provedAt: found.answer.responseTime };
  });
}

/** DICT could not or would not answer: asked again a few times where that can help, else open with its reason (rule R2). */
function failed(
  deps: ReconcileDeps,
  divergence: Divergence,
  { reason, again }: { readonly reason: string; readonly again: boolean },
): Verdict {
  const { clock, settings } = deps;
  if (!again || divergence.attempts + 1 >= settings.attemptsMax) return { verdict: 'open', reason, key: divergence.key };
  return { verdict: 'deferred', until: new Date(clock.now().getTime() + retryWaitMs), reason, key: divergence.key };
}

async function circumstances(deps: ReconcileDeps, run: OpenRun): Promise<Circumstances> {
  const { rows } = await deps.database.query<{ seq: number | null }>(
    `SELECT max((result ->> 'seq')::bigint) AS seq FROM dict_verification_runs
     WHERE participant = $1 AND key_type = $2 AND outcome = 'in-sync'`,
    [run.participant, run.keyType],
  );
  return {
    scope: run,
    now: deps.clock.now(),
    graceMs: deps.verify.inFlightGraceMs,
    clockSkewMs: deps.settings.clockSkewMs,
    openClaimGraceMs: deps.settings.openClaimGraceMs,
    provenSeq: rows[0]?.seq ?? null,
    dictAddedAt: null,
  };
}

/** The entries that hold these CIDs here, by hex. */
async function storedByCid(sql: Sql, scope: Scope, cids: readonly Cid[]): Promise<Map<string, StoredEntry>> {
  const stored = new Map<string, StoredEntry>();
  for (const [hex, key] of await keysOfCids(sql, scope, cids)) {
    const entry = await readEntry(sql, scope.participant, key);
    if (entry !== null) stored.set(hex, entry);
  }
  return stored;
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
  const log = await readEventLog({ dict: deps.dict, clock: deps.clock, settings: deps.verify }, run, new Date(fromMs));
  if (log.kind === 'over-budget') return [...judged];
  const addedAt = new Map(log.window.events.filter(({ type }) => type === 'ADDED').map(({ cid, timestamp }) => [cid, timestamp]));
  return judged.map((one, index) => {
    const found = answers[index];
    const dictAddedAt = addedAt.get(cidToHex(one.divergence.cid));
    if (!contested.includes(one) || dictAddedAt === undefined || found?.kind !== 'answered') return one;
    return { ...one, verdict: judgeDictCid(one.divergence.cid, found.answer, one.stored, { ...around, dictAddedAt }) };
  });
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

async function save(deps: ReconcileDeps, input: StepInput, run: OpenRun, judged: readonly Judged[]): Promise<void> {
  await heartbeat(deps, input);
  await deps.database.transaction(async (tx) => {
    const now = deps.clock.now();
    await fenceRun(tx, run.id, input.token);
    await updateDivergences(
      tx,
      judged.map((one) => changeOf(deps, one, now)),
      now,
    );
    await pairLocals(tx, run.id, judged.flatMap(otherHalf), now);
    for (const one of judged) await review(deps, tx, run, one, now);
    await appendAudit(tx, [
      {
        participant: run.participant,
        keyType: run.keyType,
        occurredAt: now,
        actor: systemActor,
        kind: 'access',
        action: 'ENTRIES_READ_BY_CID',
        outcome: 'success',
        details: { cids: judged.filter(({ provedAt }) => provedAt !== null).length, judged: judged.length },
        correlationId: run.id,
      },
    ]);
  });
}

/** The CID of ours that this divergence of DICT's accounts for. */
function otherHalf({ divergence, stored, verdict }: Judged): Cid[] {
  if (divergence.side !== 'dict' || stored?.status !== 'ACTIVE') return [];
  return verdict.verdict === 'settled' || verdict.verdict === 'review' || verdict.verdict === 'deferred' ? [stored.cid] : [];
}

function changeOf(deps: ReconcileDeps, { divergence, stored, verdict, provedAt }: Judged, now: Date): DivergenceChange {
  const attempts = divergence.attempts + 1;
  const common = { id: divergence.id, provedAt, judgedSeq: stored?.seq ?? null, settledAt: null, dueAt: null, approvalId: null };
  const dictCid = divergence.side === 'local' ? null : divergence.cid;
  const storedCid = activeCid(stored);
  switch (verdict.verdict) {
    case 'settled':
      return {
        ...common,
        state: 'settled',
        kind: verdict.kind,
        key: verdict.key,
        localCid: verdict.localCid,
        dictCid,
        reason: null,
        settledAt: now,
      };
    case 'review':
      return {
        ...common,
        state: 'review',
        kind: verdict.kind,
        key: verdict.key,
        localCid: verdict.localCid,
        dictCid,
        reason: verdict.reason,
      };
    case 'dropped':
      return { ...common, state: 'dropped', key: verdict.key, reason: verdict.reason };
    case 'deferred':
      if (attempts >= deps.settings.attemptsMax + deferralsMax) {
        return { ...common, state: 'open', key: verdict.key, attempts, reason: `${verdict.reason}, ${attempts} times over` };
      }
      return {
        ...common,
        state: 'deferred',
        key: verdict.key,
        localCid: divergence.side === 'dict' ? storedCid : divergence.cid,
        dueAt: verdict.until,
        attempts,
        reason: verdict.reason,
      };
    case 'open':
      return { ...common, state: 'open', key: verdict.key, reason: verdict.reason, attempts };
    default:
      return unreachable(verdict);
  }
}

/** A key that is busy all the time is put off this often at most. */
const deferralsMax = 10;

async function review(
  deps: ReconcileDeps,
  tx: Transaction,
  run: OpenRun,
  { divergence, stored, verdict }: Judged,
  now: Date,
): Promise<void> {
  if (verdict.verdict !== 'review') return;
  await insertReview(
    tx,
    {
      id: deps.newId(),
      participant: run.participant,
      keyType: run.keyType,
      key: verdict.key,
      reason: verdict.why,
      detail: verdict.reason,
      divergenceId: divergence.id,
      localCid: verdict.localCid === null ? null : Buffer.from(verdict.localCid),
      dictCid: Buffer.from(divergence.cid),
      entrySeq: stored?.seq ?? null,
    },
    now,
  );
}
