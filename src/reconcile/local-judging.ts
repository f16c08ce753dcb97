/**
 * Judging what only our base has, after every CID that only DICT has was resolved to its key (rule R3). An orphan is proven by DICT's
 * 404 for that very CID (rule R2) and by none of the key's other CIDs being there: the log or a file may have shown one half of an
 * outdated entry without the other.
 */

import { asCid, type Cid, cidToHex } from '../cid/cid.ts';
import type { Sql } from '../platform/postgres/database.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import { type ByCidAnswer, lookUp } from './by-cid.ts';
import type { OpenRun } from './claiming.ts';
import type { DictSide } from './divergence-counts.ts';
import { type Divergence, pairedLocals } from './divergence-store.ts';
import { circumstances, failed, type Judged, storedByCid } from './judged.ts';
import { type Circumstances, judgeLocalCid, noLongerActive, proveAnswer, type Verdict } from './judgement.ts';
import type { ReconcileDeps } from './reconciliation.ts';

/** CIDs that a key had before, tried before it is called an orphan; newest first. */
const earlierCidsMax = 3;

/** Verdicts on a batch of CIDs that only our base has. */
export async function judgeLocalSide(
  deps: ReconcileDeps,
  run: OpenRun,
  batch: readonly Divergence[],
  dictSide: DictSide,
): Promise<Judged[]> {
  const cids = batch.map(({ cid }) => cid);
  const paired = await pairedLocals(deps.database, run.id, cids);
  const stored = await storedByCid(deps.database, run, cids);
  const around = await circumstances(deps, run);
  const entryOf = (divergence: Divergence) => stored.get(cidToHex(divergence.cid)) ?? null;
  const decided: Judged[] = [];
  const asked: Divergence[] = [];
  for (const divergence of batch) {
    const entry = entryOf(divergence);
    const isPaired = paired.has(cidToHex(divergence.cid));
    const verdict = isPaired
      ? { verdict: 'dropped' as const, reason: 'the other half of an outdated entry', key: entry?.key ?? null }
      : (noLongerActive(divergence.cid, entry) ?? tooEarly(deps, dictSide, around, entry?.key ?? null));
    if (verdict === null) asked.push(divergence);
    else decided.push({ divergence, stored: entry, verdict, provedAt: null });
  }
  const answers = await lookUp(
    deps,
    run,
    asked.map(({ cid }) => cid),
  );
  const judged = asked.map((divergence, index) => judgeOne(deps, divergence, entryOf(divergence), answers[index], around));
  return [...decided, ...(await withEarlierCids(deps, run, judged, around))];
}

/** What forbids judging only-local CIDs yet, or at all in this run; null: nothing. */
function tooEarly(
  { verify, settings }: ReconcileDeps,
  dictSide: DictSide,
  around: Circumstances,
  key: string | null,
): Verdict | null {
  if (dictSide.keyless > 0) {
    const reason = `may be the other half of one of ${dictSide.keyless} CIDs whose key DICT did not tell`;
    return { verdict: 'open', reason, key };
  }
  // A CID of DICT's that has just vanished may have made room for one that nobody here knows yet, of the same key.
  const until = (dictSide.vanishedAt?.getTime() ?? 0) + verify.inFlightGraceMs + settings.clockSkewMs;
  if (until <= around.now.getTime()) return null;
  return { verdict: 'deferred', until: new Date(until), reason: 'a CID of DICT has just vanished', key };
}

function judgeOne(
  deps: ReconcileDeps,
  divergence: Divergence,
  stored: Judged['stored'],
  found: ByCidAnswer | undefined,
  around: Circumstances,
): Judged {
  if (found?.kind !== 'answered') {
    return {
      divergence,
      stored,
      verdict: failed(deps, divergence, found ?? { reason: 'not asked', again: true, waitMs: 0 }),
      provedAt: null,
    };
  }
  const judged = judgeLocalCid(divergence.cid, found.answer, stored, around);
  const verdict = divergence.foundBy === 'listing' ? unprovenOrphan(judged) : judged;
  return { divergence, stored, verdict, provedAt: found.answer.responseTime };
}

/**
 * A key that a listing has not shown, and whose CID DICT answers with 404: the page may have passed it over, and DICT may have it under
 * a CID that nobody here knows (rules R3 and R17). Only the log or the CID set file shows both halves.
 */
function unprovenOrphan(verdict: Verdict): Verdict {
  if (verdict.verdict !== 'settled') return verdict;
  const reason = 'neither listed nor known by its CID; whether DICT has the key otherwise, its log or the CID set file will tell';
  return { verdict: 'open', reason, key: verdict.key };
}

/** Orphans whose key DICT has under a CID that we had before are no orphans: that CID is what DICT has and we have not. */
async function withEarlierCids(
  deps: ReconcileDeps,
  run: OpenRun,
  judged: readonly Judged[],
  around: Circumstances,
): Promise<Judged[]> {
  const orphans = judged.filter(({ verdict }) => verdict.verdict === 'settled');
  const earlier = await earlierCids(deps.database, run, orphans);
  const answers = await lookUp(
    deps,
    run,
    earlier.map(({ cid }) => cid),
  );
  const there = new Map<string, Cid>();
  const unanswered = new Set<string>();
  const refused = new Map<string, string>();
  for (const [index, { key, cid }] of earlier.entries()) {
    const found = answers[index];
    const proved = found?.kind === 'answered' ? proveAnswer(run, cid, found.answer) : null;
    if (proved === null) unanswered.add(key);
    else if (proved.proof === 'there') there.set(key, cid);
    // No word of DICT's that the key is gone either.
    else if (proved.proof === 'refused') refused.set(key, proved.reason);
  }
  return judged.map((one): Judged => {
    const key = one.verdict.verdict === 'settled' ? one.verdict.key : null;
    if (key === null) return one;
    const cid = there.get(key);
    if (cid !== undefined) {
      const alsoFound = [{ side: 'dict' as const, cid, foundBy: 'recheck' as const, since: null, dueAt: null }];
      const reason = 'DICT has this key under a CID that it had here before';
      return { ...one, verdict: { verdict: 'deferred', until: around.now, reason, key }, alsoFound };
    }
    const refusal = refused.get(key);
    if (refusal !== undefined)
      return { ...one, verdict: { verdict: 'open', reason: `an earlier CID of the key: ${refusal}`, key } };
    if (!unanswered.has(key)) return one;
    const verdict = failed(deps, one.divergence, {
      reason: 'DICT did not answer about an earlier CID of the key',
      again: true,
      waitMs: 0,
    });
    return { ...one, verdict };
  });
}

async function earlierCids(sql: Sql, scope: Scope, orphans: readonly Judged[]): Promise<{ key: string; cid: Cid }[]> {
  const keys = orphans.flatMap(({ stored }) => (stored === null ? [] : [stored.key]));
  if (keys.length === 0) return [];
  const { rows } = await sql.query<{ key: string; cid: Buffer }>(
    `SELECT given.key, earlier.cid
     FROM unnest($3::text[]) AS given (key)
     CROSS JOIN LATERAL (
       SELECT c.cid, max(c.added_seq) AS last FROM dict_cids c
       WHERE c.participant = $1 AND c.key = given.key AND c.key_type = $2
       GROUP BY c.cid HAVING bool_and(c.removed_seq IS NOT NULL)
       ORDER BY last DESC LIMIT $4) AS earlier`,
    [scope.participant, scope.keyType, keys, earlierCidsMax],
  );
  return rows.map(({ key, cid }) => ({ key, cid: asCid(cid) }));
}
