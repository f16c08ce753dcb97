/**
 * State `applying`: each settled divergence is proved once more by DICT's answer about its CID, then written only if the entry is
 * still the one that was judged (rules R2, R4, R8). One transaction holds the fence, the VSync row, the entries, the divergences
 * and the ledger: all of a repair is there, or nothing.
 */

import { type Cid, cidToHex } from '../cid/cid.ts';
import type { EntryByCid } from '../dict/api.ts';
import { lockEntries, writeEntries } from '../ingest/entry-store.ts';
import type { OrphanPolicy } from '../ingest/participant-store.ts';
import { activeCid, type StoredEntry } from '../ingest/stored-entry.ts';
import { appendAudit, systemActor } from '../ledger/audit.ts';
import { tellCore } from '../ledger/core-correction.ts';
import { cidFingerprint, maskKey } from '../ledger/masking.ts';
import { appendOutbox } from '../ledger/outbox.ts';
import { assert } from '../platform/assert.ts';
import type { Transaction } from '../platform/postgres/database.ts';
import { membershipAsOf } from '../vsync/cid-history.ts';
import { commitTransitions, type LockedVSync, lockVSyncs } from '../vsync/vsync-store.ts';
import { type ByCidAnswer, lookUp } from './by-cid.ts';
import { heartbeat, inState, type OpenRun, type StepInput } from './claiming.ts';
import { tallyRun } from './divergence-counts.ts';
import { type Divergence, type DivergenceChange, readSettled, updateDivergences } from './divergence-store.ts';
import { holdForIngest } from './ingest-hold.ts';
import { proveAnswer } from './judgement.ts';
import { readPolicy } from './participant-policy.ts';
import { go, type Next, type ReconcileDeps } from './reconciliation.ts';
import { type Repair, repairFromDict, repairOrphan } from './repair.ts';
import { insertReviews, type NewReview } from './review-store.ts';
import { fenceRun, updateRun } from './run-store.ts';

/** A repair that passed its last proof. */
interface Planned {
  readonly divergence: Divergence;
  readonly stored: StoredEntry | null;
  readonly repair: Repair;
}

/** State `applying`: one batch of repairs, or on to what comes after them. */
export async function applyRepairs(deps: ReconcileDeps, input: StepInput): Promise<Next> {
  return inState(deps, input, ['applying'], async (run) => {
    const held = await holdForIngest(deps, input, run);
    if (held !== null) return held;
    const batch = await readSettled(deps.database, run.id, deps.settings.repairBatch);
    if (batch.length === 0) {
      const { byState } = await tallyRun(deps.database, run.id);
      const state = (byState.found ?? 0) + (byState.deferred ?? 0) > 0 ? 'judging' : 'confirming';
      await deps.database.transaction(async (tx) => {
        await fenceRun(tx, run.id, input.token);
        await updateRun(tx, run.id, { state }, deps.clock.now());
      });
      return go(state, run.rung);
    }
    const answers = await lookUp(
      deps,
      run,
      batch.map(({ cid }) => cid),
    );
    await heartbeat(deps, input);
    const policy = await readPolicy(deps.database, run.participant, deps.settings);
    assert(policy !== null, `participant ${run.participant} vanished during run ${run.id}`);
    await write(deps, input, run, { batch, answers, orphanPolicy: policy.orphanPolicy });
    return go('applying', run.rung);
  });
}

interface Batch {
  readonly batch: readonly Divergence[];
  readonly answers: readonly ByCidAnswer[];
  readonly orphanPolicy: OrphanPolicy;
}

async function write(deps: ReconcileDeps, input: StepInput, run: OpenRun, work: Batch): Promise<void> {
  await deps.database.transaction(async (tx) => {
    const now = deps.clock.now();
    await fenceRun(tx, run.id, input.token);
    const [locked] = await lockVSyncs(tx, [run], now);
    assert(locked !== undefined, 'one scope, one VSync row');
    const keys = work.batch.flatMap(({ key }) => (key === null ? [] : [key]));
    const entries = await lockEntries(tx, run.participant, keys);
    const { planned, changes } = await plan(deps, tx, locked, { ...work, entries, now });
    if (planned.length > 0) {
      await writeEntries(
        tx,
        planned.map(({ repair }) => repair.row),
      );
      const transitions = planned.flatMap(({ repair }) => repair.transitions);
      const { seq } = await commitTransitions(tx, locked, transitions, { source: 'repair', algorithm: 'dict', now });
      await updateRun(tx, run.id, { lastRepairSeq: seq }, now);
    }
    await updateDivergences(tx, changes, now);
    await tell(deps, tx, run, planned, now);
  });
}

interface Locked extends Batch {
  readonly entries: ReadonlyMap<string, StoredEntry>;
  readonly now: Date;
}

/** What of the batch still holds, with what becomes of every divergence in it. */
async function plan(
  deps: ReconcileDeps,
  tx: Transaction,
  locked: LockedVSync,
  work: Locked,
): Promise<{ planned: Planned[]; changes: DivergenceChange[] }> {
  const counting = await membershipAsOf(
    tx,
    locked.scope,
    work.batch.flatMap(({ cid, localCid }) => (localCid === null ? [cid] : [cid, localCid])),
    locked.seq,
  );
  const planned: Planned[] = [];
  const changes: DivergenceChange[] = [];
  const keys = new Set<string>();
  for (const [index, divergence] of work.batch.entries()) {
    const { key } = divergence;
    const answer = work.answers[index];
    assert(key !== null && answer !== undefined, `divergence ${divergence.id} is settled without a key`);
    const stored = work.entries.get(key) ?? null;
    const outdated = keys.has(key) ? 'another repair of this key comes first' : changedSince(divergence, stored);
    keys.add(key);
    const outcome =
      outdated === null ? proveAgain(deps, divergence, answer, counting, locked) : judgeAgain(deps, divergence, outdated);
    if (outcome.change !== null) {
      changes.push(outcome.change);
      continue;
    }
    const commit = { scope: locked.scope, seq: locked.nextSeq, now: work.now };
    const repair = repairOf(divergence, stored, outcome.answer, work.orphanPolicy, commit);
    planned.push({ divergence, stored, repair });
    changes.push({
      id: divergence.id,
      state: 'applied',
      provedAt: outcome.answer.responseTime,
      appliedAt: work.now,
      appliedSeq: locked.nextSeq,
    });
  }
  return { planned, changes };
}

/** Rule R4: (key, current CID, seq) must be what was judged. */
function changedSince(divergence: Divergence, stored: StoredEntry | null): string | null {
  if (hexOrNull(activeCid(stored)) === hexOrNull(divergence.localCid) && (stored?.seq ?? null) === divergence.judgedSeq)
    return null;
  return 'the entry has changed since it was judged';
}

function hexOrNull(cid: Cid | null): string | null {
  return cid === null ? null : cidToHex(cid);
}

type LastProof = { readonly change: DivergenceChange } | { readonly change: null; readonly answer: EntryByCid };

function proveAgain(
  deps: ReconcileDeps,
  divergence: Divergence,
  found: ByCidAnswer,
  counting: ReadonlySet<string>,
  locked: LockedVSync,
): LastProof {
  if (found.kind === 'failed') return failedAgain(deps, divergence, found);
  const { answer } = found;
  const proved = proveAnswer(locked.scope, divergence.cid, answer);
  const isOrphan = divergence.kind === 'orphaned';
  if (proved.proof === 'refused' && !isOrphan) return { change: { id: divergence.id, state: 'open', reason: proved.reason } };
  const asJudged = isOrphan ? proved.proof === 'absent' : proved.proof === 'there' && proved.entry.key === divergence.key;
  if (!asJudged) {
    return { change: { id: divergence.id, state: 'dropped', settledAt: null, reason: 'DICT has changed since it was judged' } };
  }
  if (answer.found && answer.entry.openClaimCreationDate !== null && !isOrphan) {
    return judgeAgain(deps, divergence, 'a claim on the key was opened');
  }
  if (!countsAsJudged(divergence, counting)) {
    const reason = 'CIDs and entries of the base disagree: run `dict-vsync scan`';
    return { change: { id: divergence.id, state: 'open', reason } };
  }
  return { change: null, answer };
}

/** What is to be added must not count yet, what is to be replaced, removed or restored must. */
function countsAsJudged({ side, cid, localCid }: Divergence, counting: ReadonlySet<string>): boolean {
  if (side !== 'dict') return counting.has(cidToHex(cid));
  return !counting.has(cidToHex(cid)) && (localCid === null || counting.has(cidToHex(localCid)));
}

function failedAgain(
  deps: ReconcileDeps,
  divergence: Divergence,
  found: { readonly reason: string; readonly again: boolean },
): LastProof {
  if (!found.again) return { change: { id: divergence.id, state: 'open', reason: found.reason } };
  return judgeAgain(deps, divergence, found.reason);
}

function judgeAgain(deps: ReconcileDeps, divergence: Divergence, reason: string): LastProof {
  const attempts = divergence.attempts + 1;
  const state = attempts >= deps.settings.attemptsMax ? 'open' : 'found';
  return { change: { id: divergence.id, state, reason, attempts, approvalId: null, dueAt: null } };
}

function repairOf(
  divergence: Divergence,
  stored: StoredEntry | null,
  answer: EntryByCid,
  orphanPolicy: OrphanPolicy,
  commit: Parameters<typeof repairOrphan>[3],
): Repair {
  const { kind, cid } = divergence;
  if (kind === 'orphaned') return repairOrphan(divergence, stored, orphanPolicy, commit);
  assert(
    kind !== null && kind !== 'duplicated' && answer.found,
    `divergence ${divergence.id} (${kind}) has no proven entry of DICT`,
  );
  const { entry, requestId, responseTime } = answer;
  return repairFromDict(kind, stored, { entry, requestId, cid, responseTime }, commit);
}

/** Audit rows for every repair, the core's corrections, and one alert for all orphans of the batch. */
async function tell(deps: ReconcileDeps, tx: Transaction, run: OpenRun, planned: readonly Planned[], now: Date): Promise<void> {
  const corrections = planned.flatMap(({ repair }) =>
    repair.core === null
      ? []
      : [{ participant: run.participant, key: repair.row.key, keyType: run.keyType, correction: repair.core }],
  );
  await tellCore(tx, corrections, now, run.id);
  const orphans = planned.filter(({ divergence }) => divergence.kind === 'orphaned');
  await insertReviews(
    tx,
    orphans.filter(({ repair }) => repair.review).map((one) => orphanReview(deps, run, one)),
    now,
  );
  if (orphans.length > 0) {
    await appendOutbox(tx, [
      {
        type: 'br.dict.vsync.AlertRaised',
        participant: run.participant,
        partitionKey: run.participant,
        payload: {
          severity: 'critical',
          alert: 'orphans-found',
          run_id: run.id,
          key_type: run.keyType,
          orphans: orphans.length,
          keys: orphans.map(({ repair }) => maskKey(repair.row.key, run.keyType)),
        },
        occurredAt: now,
        correlationId: run.id,
      },
    ]);
  }
  await appendAudit(
    tx,
    planned.map(({ divergence, repair }) => ({
      participant: run.participant,
      keyType: run.keyType,
      occurredAt: now,
      actor: systemActor,
      kind: 'correction' as const,
      action: repair.action,
      outcome: 'success' as const,
      details: {
        divergence_id: divergence.id,
        kind: divergence.kind,
        found_by: divergence.foundBy,
        key: maskKey(repair.row.key, run.keyType),
        local_cid: divergence.localCid === null ? null : cidFingerprint(divergence.localCid),
        dict_cid: divergence.dictCid === null ? null : cidFingerprint(divergence.dictCid),
        seq: repair.row.seq,
        approval_id: divergence.approvalId,
      },
      correlationId: run.id,
    })),
  );
}

function orphanReview(deps: ReconcileDeps, run: OpenRun, { divergence, repair }: Planned): NewReview {
  return {
    id: deps.newId(),
    participant: run.participant,
    keyType: run.keyType,
    key: repair.row.key,
    reason: 'orphaned',
    detail: 'DICT answered 404 for this CID after the grace',
    divergenceId: divergence.id,
    localCid: Buffer.from(divergence.cid),
    dictCid: null,
    entrySeq: repair.row.seq,
  };
}
