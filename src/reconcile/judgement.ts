/**
 * What one difference means, given DICT's answer about its CID and our stored entry (rules R2 to R5). Pure: asking DICT and
 * reading the base is judging.ts, repairing is repair.ts. Nothing here decides by a difference alone; every verdict that changes
 * the base rests on DICT's own answer for that very CID.
 */

import { type Cid, cidToHex, computeCid } from '../cid/cid.ts';
import type { EntryByCid } from '../dict/api.ts';
import type { ExtendedEntry } from '../dict/entry.ts';
import { activeCid, cidOfState, type StoredEntry } from '../ingest/stored-entry.ts';
import { unreachable } from '../platform/assert.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { DivergenceKind } from './divergence-store.ts';

export type Verdict =
  /** A divergence, to be repaired. `localCid`: the CID of ours that it replaces or removes. */
  | { readonly verdict: 'settled'; readonly kind: DivergenceKind; readonly key: string; readonly localCid: Cid | null }
  /** No divergence, or none any more. */
  | { readonly verdict: 'dropped'; readonly reason: string; readonly key: string | null }
  /** Too young to tell: judged again then. */
  | { readonly verdict: 'deferred'; readonly until: Date; readonly reason: string; readonly key: string | null }
  /** A person decides. */
  | {
      readonly verdict: 'review';
      readonly why: 'newer_here' | 'open_claim';
      readonly kind: DivergenceKind;
      readonly key: string;
      readonly localCid: Cid | null;
      readonly reason: string;
    }
  /** Cannot be settled now, and waiting does not help: carried to the next run. */
  | { readonly verdict: 'open'; readonly reason: string; readonly key: string | null };

/** What a judgement knows besides DICT's answer. */
export interface Circumstances {
  readonly scope: Scope;
  readonly now: Date;
  readonly graceMs: number;
  readonly clockSkewMs: number;
  readonly openClaimGraceMs: number;
  /** The last seq at which DICT and base were proven equal; null where never. */
  readonly provenSeq: number | null;
  /** When DICT added the CID, where its event log was asked and told. */
  readonly dictAddedAt: Date | null;
}

/** DICT's answer, proved to be what it says: it belongs to the run, and its attributes and RequestId hash to the CID. */
export type ProvedAnswer =
  | { readonly proof: 'there'; readonly entry: ExtendedEntry; readonly requestId: string }
  | { readonly proof: 'absent' }
  | { readonly proof: 'refused'; readonly reason: string };

/** Checks DICT's answer about a CID (rule R2). */
export function proveAnswer(scope: Scope, cid: Cid, answer: EntryByCid): ProvedAnswer {
  if (!answer.found) return { proof: 'absent' };
  const { entry, requestId } = answer;
  if (answer.cid.toLowerCase() !== cidToHex(cid)) return { proof: 'refused', reason: 'DICT answered about another CID' };
  if (entry.account.participant !== scope.participant) {
    return {
      proof: 'refused',
      reason: `DICT's entry belongs to participant ${entry.account.participant}, not ${scope.participant}`,
    };
  }
  if (entry.keyType !== scope.keyType) {
    return { proof: 'refused', reason: `DICT's entry has key type ${entry.keyType}, not ${scope.keyType}` };
  }
  if (!hashesTo(entry, requestId, cid)) {
    return { proof: 'refused', reason: "attributes and RequestId of DICT's answer do not hash to its CID" };
  }
  return { proof: 'there', entry, requestId };
}

function hashesTo(entry: ExtendedEntry, requestId: string, cid: Cid): boolean {
  try {
    return cidToHex(computeCid(entry, requestId)) === cidToHex(cid);
  } catch (cause) {
    // A RequestId that is no UUID hashes to nothing.
    if (cause instanceof TypeError) return false;
    throw cause;
  }
}

/** A CID that only DICT has, resolved to a key and paired with the stored entry of that key. */
export function judgeDictCid(cid: Cid, answer: EntryByCid, stored: StoredEntry | null, around: Circumstances): Verdict {
  const proved = proveAnswer(around.scope, cid, answer);
  if (proved.proof === 'absent') return { verdict: 'dropped', reason: 'DICT no longer has it', key: null };
  if (proved.proof === 'refused') return { verdict: 'open', reason: proved.reason, key: null };
  const { entry, requestId } = proved;
  const { key } = entry;
  if (stored !== null && stored.keyType !== around.scope.keyType) {
    return { verdict: 'open', reason: `the base holds this key as ${stored.keyType}`, key };
  }
  if (stored?.status === 'ACTIVE' && cidToHex(stored.cid) === cidToHex(cid)) {
    return { verdict: 'dropped', reason: 'the base has it by now', key };
  }
  const kind = kindOf(stored);
  const localCid = activeCid(stored);
  const claim = judgeClaim(entry, around);
  if (claim === 'wait') {
    return { verdict: 'deferred', until: claimDue(entry, around), reason: 'a claim on the key is open', key };
  }
  const youngUntil = inFlightUntil(stored, around);
  if (youngUntil !== null) return { verdict: 'deferred', until: youngUntil, reason: 'a local event is too recent to judge', key };
  if (claim === 'review') {
    const reason = `a claim on the key has been open since ${entry.openClaimCreationDate}`;
    return { verdict: 'review', why: 'open_claim', kind, key, localCid, reason };
  }
  if (stored !== null && !(stored.status === 'UNRESOLVED' && hashesTo({ ...entry, ...stored.entry }, requestId, cid))) {
    if (isNewerHere(stored, entry, around)) {
      const reason = `a local event of ${stored.occurredAt.toISOString()} is newer than DICT's entry`;
      return { verdict: 'review', why: 'newer_here', kind, key, localCid, reason };
    }
  }
  return { verdict: 'settled', kind, key, localCid };
}

/** A CID that only our base has. Judged after every only-DICT CID of the run has been resolved to its key (rule R3). */
export function judgeLocalCid(cid: Cid, answer: EntryByCid, stored: StoredEntry | null, around: Circumstances): Verdict {
  const gone = noLongerActive(cid, stored);
  if (gone !== null) return gone;
  const key = stored?.key ?? null;
  const proved = proveAnswer(around.scope, cid, answer);
  // An answer that is none is no word of DICT's either way.
  if (proved.proof === 'refused') return { verdict: 'open', reason: proved.reason, key };
  if (proved.proof === 'there') return { verdict: 'dropped', reason: 'DICT has it', key };
  const until = inFlightUntil(stored, around);
  if (until !== null) return { verdict: 'deferred', until, reason: 'a local event is too recent to judge', key };
  if (key === null) return { verdict: 'open', reason: 'the base counts this CID for no entry: run `dict-vsync scan`', key };
  return { verdict: 'settled', kind: 'orphaned', key, localCid: cid };
}

/** Whether a CID that only we had still counts here; null: it does. Asked before DICT is. */
export function noLongerActive(cid: Cid, stored: StoredEntry | null): Verdict | null {
  if (stored?.status === 'ACTIVE' && cidToHex(stored.cid) === cidToHex(cid)) return null;
  return { verdict: 'dropped', reason: 'the base no longer has it', key: stored?.key ?? null };
}

/**
 * A row of ours that does not hash to the CID that counts for its key, or is not there at all: what DICT has under that CID is what
 * was there before somebody altered the row behind the system's back. `key`: the one that our history has for the CID.
 */
export function judgeAlteredRow(
  cid: Cid,
  answer: EntryByCid,
  row: { readonly key: string | null; readonly stored: StoredEntry | null },
  around: Circumstances,
): Verdict {
  const { key, stored } = row;
  const proved = proveAnswer(around.scope, cid, answer);
  switch (proved.proof) {
    case 'absent':
      return { verdict: 'open', reason: 'DICT does not have the CID that counts for this altered row', key };
    case 'refused':
      return { verdict: 'open', reason: proved.reason, key };
    case 'there':
      if (proved.entry.key !== key) return { verdict: 'open', reason: 'DICT has this CID under another key', key };
      if (isIntact(stored, cid)) return { verdict: 'dropped', reason: 'the row hashes to its CID by now', key };
      return { verdict: 'settled', kind: 'altered', key, localCid: activeCid(stored) };
    default:
      return unreachable(proved);
  }
}

function isIntact(stored: StoredEntry | null, cid: Cid): boolean {
  if (stored?.status !== 'ACTIVE' || cidToHex(stored.cid) !== cidToHex(cid)) return false;
  return cidToHex(cidOfState(stored, 'dict')) === cidToHex(cid);
}

/** What it is called when DICT has an entry that the base, holding this, has not. */
export function kindOf(stored: StoredEntry | null): 'missing_local' | 'outdated_local' | 'unresolved' {
  const status = stored?.status ?? 'DELETED';
  switch (status) {
    case 'DELETED':
    case 'ORPHANED':
    case 'PENDING':
      return 'missing_local';
    case 'ACTIVE':
      return 'outdated_local';
    case 'UNRESOLVED':
      return 'unresolved';
    default:
      return unreachable(status);
  }
}

function claimDue(entry: ExtendedEntry, around: Circumstances): Date {
  return new Date(Date.parse(entry.openClaimCreationDate ?? '') + around.openClaimGraceMs);
}

function judgeClaim(entry: ExtendedEntry, around: Circumstances): 'none' | 'wait' | 'review' {
  if (entry.openClaimCreationDate === null) return 'none';
  // A date that cannot be read is never later than now: straight to a person.
  return claimDue(entry, around) > around.now ? 'wait' : 'review';
}

/**
 * Until when a local event may still have a counterpart under way: comparing its time with DICT's would be comparing clocks, so
 * the CID is looked up again afterwards (rule R4).
 */
function inFlightUntil(stored: StoredEntry | null, around: Circumstances): Date | null {
  if (stored === null || stored.eventAction === null) return null;
  const until = new Date(stored.occurredAt.getTime() + around.graceMs + around.clockSkewMs);
  return until > around.now ? until : null;
}

/**
 * Whether the stored state came about after DICT's (rule R5). Not so where it did not come by an event, or where DICT and base
 * were proven equal with it: then DICT changed later. DICT's time is the latest that it tells.
 */
function isNewerHere(stored: StoredEntry, entry: ExtendedEntry, around: Circumstances): boolean {
  // An import or an earlier repair is no news of the core's.
  if (stored.eventAction === null) return false;
  if (around.provenSeq !== null && around.provenSeq >= stored.seq) return false;
  const told = [Date.parse(entry.creationDate), Date.parse(entry.keyOwnershipDate), around.dictAddedAt?.getTime() ?? Number.NaN];
  const dictMs = Math.max(...told.filter((ms) => !Number.isNaN(ms)));
  return stored.occurredAt.getTime() > dictMs + around.clockSkewMs;
}
