/**
 * A person's decision about an item of the review queue (rule R9). It names the version of the item that was looked at, rests on a
 * new by-CID look at DICT, and holds only while the entry is the one that was judged. Nothing is written to DICT (rule R19).
 */

import { asCid, type Cid } from '../cid/cid.ts';
import type { EntryByCid } from '../dict/api.ts';
import { lockEntries, writeEntries } from '../ingest/entry-store.ts';
import type { StoredEntry } from '../ingest/stored-entry.ts';
import { type Actor, appendAudit } from '../ledger/audit.ts';
import { type CoreCorrection, tellCore } from '../ledger/core-correction.ts';
import { cidFingerprint, maskKey } from '../ledger/masking.ts';
import { assert, unreachable } from '../platform/assert.ts';
import type { Transaction } from '../platform/postgres/database.ts';
import { type CidTransition, commitTransitions, type LockedVSync, lockVSyncs } from '../vsync/vsync-store.ts';
import { updateDivergences } from './divergence-store.ts';
import { kindOf, proveAnswer } from './judgement.ts';
import type { ReconcileDeps } from './reconciliation.ts';
import { repairFromDict, tombstoneOf } from './repair.ts';
import { lockReview, type ReviewAction, type ReviewItem, readReview, writeReview } from './review-store.ts';
import { noteRepair } from './run-store.ts';

export interface ReviewDecision {
  readonly id: string;
  readonly action: ReviewAction;
  readonly actor: Actor;
  readonly reason: string;
  /** The version of the item that the person looked at; null: the present one. */
  readonly version: number | null;
}

export type ReviewResult =
  /** `outcome` says in one sentence what was done. */
  | { readonly kind: 'resolved'; readonly outcome: string }
  /** DICT has the entry after all: it is active again and the item closed, whatever was decided. */
  | { readonly kind: 'reactivated' }
  /** Nothing was changed; the reason says what would be right. */
  | { readonly kind: 'refused'; readonly reason: string };

type ReviewDeps = Pick<ReconcileDeps, 'database' | 'dict' | 'clock'>;

/** Carries a decision out. Rejects with DICT's errors where the new look cannot be had. */
export async function resolveReview(deps: ReviewDeps, decision: ReviewDecision): Promise<ReviewResult> {
  const item = await readReview(deps.database, decision.id);
  const refusal = refusalOf(item, decision);
  if (item === null || refusal !== null) return { kind: 'refused', reason: refusal ?? 'the item does not exist' };
  const cid = item.reason === 'orphaned' ? item.localCid : item.dictCid;
  assert(cid !== null, `review item ${item.id} names no CID to look up`);
  const looked = decision.action === 'investigate' ? null : await look(deps, item, asCid(cid));
  return deps.database.transaction(async (tx) => {
    const now = deps.clock.now();
    const locked = await lockReview(tx, item.id);
    const stale = locked === null || locked.version !== item.version ? 'somebody else has changed the item meanwhile' : null;
    if (stale !== null) return { kind: 'refused', reason: stale };
    if (looked === null) {
      await close(tx, item, decision, 'INVESTIGATING', now);
      return { kind: 'resolved', outcome: 'under investigation: the entry stays as it is' };
    }
    return decide(tx, item, decision, { cid: asCid(cid), answer: looked }, now);
  });
}

function refusalOf(item: ReviewItem | null, { id, action, version }: ReviewDecision): string | null {
  if (item === null) return `review item ${id} does not exist`;
  if (item.status === 'RESOLVED' || item.status === 'CLOSED') return `review item ${id} is ${item.status} already`;
  if (version !== null && version !== item.version) {
    return `review item ${id} has changed since version ${version}: it is at version ${item.version} now, look at it again`;
  }
  if (action === 'confirm-deletion' && item.reason !== 'orphaned') {
    return `confirm-deletion is for orphans; this item is ${item.reason}: keep, accept-dict or investigate`;
  }
  if (action === 'accept-dict' && item.reason === 'orphaned') {
    return 'accept-dict is for entries that DICT has; this one is an orphan: confirm-deletion, keep or investigate';
  }
  return null;
}

function look({ dict }: ReviewDeps, item: ReviewItem, cid: Cid): Promise<EntryByCid> {
  return dict.getEntryByCid({ participant: item.participant, cid: Buffer.from(cid).toString('hex') }, { priority: 'person' });
}

interface Looked {
  readonly cid: Cid;
  readonly answer: EntryByCid;
}

/** The entry as it is now, with the VSync row that its change will need. */
interface Present {
  readonly stored: StoredEntry | null;
  readonly locked: LockedVSync;
  readonly now: Date;
}

async function decide(
  tx: Transaction,
  item: ReviewItem,
  decision: ReviewDecision,
  looked: Looked,
  now: Date,
): Promise<ReviewResult> {
  const [locked] = await lockVSyncs(tx, [item], now);
  assert(locked !== undefined, 'one scope, one VSync row');
  const stored = (await lockEntries(tx, item.participant, [item.key])).get(item.key) ?? null;
  if ((stored?.seq ?? null) !== item.entrySeq) {
    return { kind: 'refused', reason: 'the entry has changed since it was judged: the item closes by itself' };
  }
  const present: Present = { stored, locked, now };
  return item.reason === 'orphaned'
    ? decideOrphan(tx, item, decision, looked, present)
    : decideContested(tx, item, decision, looked, present);
}

async function decideOrphan(
  tx: Transaction,
  item: ReviewItem,
  decision: ReviewDecision,
  { cid, answer }: Looked,
  present: Present,
): Promise<ReviewResult> {
  const { stored, locked, now } = present;
  const proved = proveAnswer(item, cid, answer);
  if (proved.proof === 'refused') return { kind: 'refused', reason: `DICT's answer cannot be trusted: ${proved.reason}` };
  if (proved.proof === 'there' && answer.found) {
    await restore(
      tx,
      item,
      { entry: proved.entry, requestId: proved.requestId, cid, responseTime: answer.responseTime },
      present,
    );
    await close(tx, item, { ...decision, action: 'keep', reason: `DICT has it: ${decision.reason}` }, 'CLOSED', now);
    return { kind: 'reactivated' };
  }
  assert(stored !== null && stored.status !== 'DELETED', `review item ${item.id}: an orphan that nobody changed is still there`);
  const commit = { scope: item, seq: locked.nextSeq, now };
  if (decision.action === 'confirm-deletion') {
    await write(tx, item, present, { row: tombstoneOf(stored, commit), transitions: [], core: { correction: 'delete' } });
    await close(tx, item, decision, 'RESOLVED', now);
    return { kind: 'resolved', outcome: 'deleted here; the core has been told' };
  }
  assert(stored.status === 'ORPHANED' || stored.status === 'PENDING', `review item ${item.id}: entry is ${stored.status}`);
  const row: StoredEntry = { ...stored, status: 'PENDING', seq: locked.nextSeq, updatedAt: now };
  await write(tx, item, present, { row, transitions: [], core: null });
  await close(tx, item, decision, 'RESOLVED', now);
  return { kind: 'resolved', outcome: 'kept as PENDING, outside the VSync, until DICT or the core shows it again' };
}

async function decideContested(
  tx: Transaction,
  item: ReviewItem,
  decision: ReviewDecision,
  { cid, answer }: Looked,
  present: Present,
): Promise<ReviewResult> {
  const proved = proveAnswer(item, cid, answer);
  if (proved.proof === 'refused') return { kind: 'refused', reason: `DICT's answer cannot be trusted: ${proved.reason}` };
  if (proved.proof === 'absent' || !answer.found) {
    return { kind: 'refused', reason: 'DICT no longer has that state: verify again, the next run judges anew' };
  }
  switch (decision.action) {
    case 'keep':
      await close(tx, item, decision, 'RESOLVED', present.now);
      return { kind: 'resolved', outcome: 'the local state stays; DICT and base differ in this key until one of them changes' };
    case 'accept-dict':
      await restore(
        tx,
        item,
        { entry: proved.entry, requestId: proved.requestId, cid, responseTime: answer.responseTime },
        present,
      );
      await close(tx, item, decision, 'RESOLVED', present.now);
      return { kind: 'resolved', outcome: "DICT's state was taken over; the core has been told" };
    case 'confirm-deletion':
    case 'investigate':
      return { kind: 'refused', reason: `${decision.action} does not apply to this item` };
    default:
      return unreachable(decision.action);
  }
}

async function restore(
  tx: Transaction,
  item: ReviewItem,
  proven: Parameters<typeof repairFromDict>[2],
  present: Present,
): Promise<void> {
  const { stored, locked, now } = present;
  const repair = repairFromDict(kindOf(stored), stored, proven, { scope: item, seq: locked.nextSeq, now });
  await write(tx, item, present, repair);
}

async function write(
  tx: Transaction,
  item: ReviewItem,
  { locked, now }: Present,
  change: { readonly row: StoredEntry; readonly transitions: readonly CidTransition[]; readonly core: CoreCorrection | null },
): Promise<void> {
  await writeEntries(tx, [change.row]);
  const { seq } = await commitTransitions(tx, locked, change.transitions, { source: 'repair', algorithm: 'dict', now });
  if (change.core !== null) await tellCore(tx, [{ ...item, correction: change.core }], now, item.id);
  if (item.divergenceId === null) return;
  await noteRepair(tx, item.divergenceId, seq, now);
  if (item.reason === 'orphaned') return;
  const applied = { id: item.divergenceId, state: 'applied' as const, settledAt: now, appliedAt: now, appliedSeq: seq };
  await updateDivergences(tx, [applied], now);
}

async function close(
  tx: Transaction,
  item: ReviewItem,
  decision: ReviewDecision,
  status: 'RESOLVED' | 'CLOSED' | 'INVESTIGATING',
  now: Date,
): Promise<void> {
  const { action, actor, reason } = decision;
  const written = await writeReview(
    tx,
    item,
    { status, action, reviewedBy: actor.name, authenticated: actor.authenticated, reason },
    now,
  );
  assert(written, `review item ${item.id} changed while it was locked`);
  await appendAudit(tx, [
    {
      participant: item.participant,
      keyType: item.keyType,
      occurredAt: now,
      actor,
      kind: 'review',
      action: `REVIEW_${action.toUpperCase().replaceAll('-', '_')}`,
      outcome: 'success',
      details: {
        item: item.id,
        reason: item.reason,
        key: maskKey(item.key, item.keyType),
        local_cid: item.localCid === null ? null : cidFingerprint(item.localCid),
        dict_cid: item.dictCid === null ? null : cidFingerprint(item.dictCid),
        status,
        because: reason,
      },
      correlationId: item.id,
    },
  ]);
}
