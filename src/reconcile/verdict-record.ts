/** Writing verdicts down: each difference's new state, the halves they pair, and what is put before a person. */

import type { Cid } from '../cid/cid.ts';
import { activeCid } from '../ingest/stored-entry.ts';
import { appendAudit, systemActor } from '../ledger/audit.ts';
import { unreachable } from '../platform/assert.ts';
import { heartbeat, type OpenRun, type StepInput } from './claiming.ts';
import { type DivergenceChange, insertDifferences, pairLocals, updateDivergences } from './divergence-store.ts';
import type { Judged } from './judged.ts';
import type { ReconcileDeps } from './reconciliation.ts';
import { insertReviews, type NewReview } from './review-store.ts';
import { fenceRun } from './run-store.ts';

/** Writes a batch of verdicts under the run's fence. */
export async function saveVerdicts(
  deps: ReconcileDeps,
  input: StepInput,
  run: OpenRun,
  judged: readonly Judged[],
): Promise<void> {
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
    const alsoFound = judged.flatMap((one) => one.alsoFound ?? []);
    await insertDifferences(tx, run, alsoFound, now);
    await insertReviews(tx, onePerKey(judged.flatMap((one) => reviewOf(deps, run, one))), now);
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

/** The CID of ours that this divergence of DICT's accounts for, whatever becomes of it: it is no orphan. */
function otherHalf({ divergence, stored, verdict }: Judged): Cid[] {
  const cid = divergence.side === 'dict' && verdict.verdict !== 'dropped' ? activeCid(stored) : null;
  return cid === null ? [] : [cid];
}

function changeOf(deps: ReconcileDeps, { divergence, stored, verdict, provedAt }: Judged, now: Date): DivergenceChange {
  const attempts = divergence.attempts + 1;
  const common = { id: divergence.id, provedAt, judgedSeq: stored?.seq ?? null, settledAt: null, dueAt: null, approvalId: null };
  const dictCid = divergence.side === 'local' ? null : divergence.cid;
  const localCid = divergence.side === 'dict' ? activeCid(stored) : divergence.cid;
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
        localCid,
        dueAt: verdict.until,
        attempts,
        reason: verdict.reason,
      };
    case 'open':
      return { ...common, state: 'open', key: verdict.key, localCid, reason: verdict.reason, attempts };
    default:
      return unreachable(verdict);
  }
}

/** A key that is busy all the time is put off this often at most. */
const deferralsMax = 10;

function reviewOf(deps: ReconcileDeps, run: OpenRun, { divergence, stored, verdict }: Judged): NewReview[] {
  if (verdict.verdict !== 'review') return [];
  return [
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
  ];
}

/** Two CIDs of DICT's under one key in one batch are one item, of the later one. */
function onePerKey(items: readonly NewReview[]): NewReview[] {
  return [...new Map(items.map((item) => [item.key, item])).values()];
}
