/**
 * What repairing one settled divergence means for the base: the row to be written, the CIDs that begin and cease to count, what
 * the audit log and the core are told. Pure; proving it anew and writing it is applying.ts. Corrections only ever go from DICT to
 * this base (rule R19).
 */

import type { Cid } from '../cid/cid.ts';
import type { Entry, ExtendedEntry } from '../dict/entry.ts';
import type { OrphanPolicy } from '../ingest/participant-store.ts';
import type { StoredEntry } from '../ingest/stored-entry.ts';
import type { CoreCorrection } from '../ledger/core-correction.ts';
import { assert, unreachable } from '../platform/assert.ts';
import type { CidTransition, Scope } from '../vsync/vsync-store.ts';
import type { Divergence, DivergenceKind } from './divergence-store.ts';

/** A repair as it will be written. */
export interface Repair {
  readonly row: StoredEntry;
  readonly transitions: readonly CidTransition[];
  /** Name in the audit log. */
  readonly action: string;
  /** Null: the core has nothing to correct. */
  readonly core: CoreCorrection | null;
  /** Whether a person has to look at it afterwards. */
  readonly review: boolean;
}

/** DICT's state of a key, proven by its CID. */
export interface ProvenEntry {
  readonly entry: ExtendedEntry;
  readonly requestId: string;
  readonly cid: Cid;
  /** DICT's clock at that answer. */
  readonly responseTime: Date;
}

interface Commit {
  readonly scope: Scope;
  readonly seq: number;
  readonly now: Date;
}

const source = 'VSYNC';

/** DICT's entry takes the place of whatever the base holds for its key. */
export function repairFromDict(
  kind: Exclude<DivergenceKind, 'orphaned' | 'duplicated'>,
  stored: StoredEntry | null,
  proven: ProvenEntry,
  commit: Commit,
): Repair {
  const { entry, requestId, cid } = proven;
  const row = rowFromDict(stored, proven, commit);
  const { key } = entry;
  const removed: CidTransition[] = stored?.status === 'ACTIVE' ? [{ change: 'removed', cid: stored.cid, key }] : [];
  const core: CoreCorrection = { correction: 'upsert', cid, entry: plainEntry(entry), requestId };
  switch (kind) {
    case 'missing_local':
      return { row, transitions: [{ change: 'added', cid, key }], action: missingAction(stored), core, review: false };
    case 'outdated_local':
      return { row, transitions: [...removed, { change: 'added', cid, key }], action: 'VSYNC_UPDATE_DATA', core, review: false };
    case 'unresolved': {
      const told = stored !== null && stored.entry !== null && sameEntry(stored.entry, entry) ? null : core;
      return { row, transitions: [{ change: 'added', cid, key }], action: 'VSYNC_RESOLVE_REQUEST_ID', core: told, review: false };
    }
    case 'altered':
      // The CID stays; only this mirror's row was wrong, of which the core knows nothing.
      return { row, transitions: [], action: 'VSYNC_RESTORE_ALTERED', core: null, review: false };
    default:
      return unreachable(kind);
  }
}

/** A key that DICT has proven not to have: out of the VSync, and by the participant's policy to a person or away. */
export function repairOrphan(divergence: Divergence, stored: StoredEntry | null, policy: OrphanPolicy, commit: Commit): Repair {
  assert(stored !== null && stored.status === 'ACTIVE', `divergence ${divergence.id}: only an active entry can be orphaned`);
  const transitions: CidTransition[] = [{ change: 'removed', cid: stored.cid, key: stored.key }];
  if (policy === 'review') {
    const row: StoredEntry = {
      ...stored,
      status: 'ORPHANED',
      orphanedAt: commit.now,
      syncedFrom: source,
      seq: commit.seq,
      updatedAt: commit.now,
    };
    return { row, transitions, action: 'VSYNC_MARK_ORPHANED', core: null, review: true };
  }
  return {
    row: tombstoneOf(stored, commit),
    transitions,
    action: 'VSYNC_REMOVE_ORPHANED',
    core: { correction: 'delete' },
    review: false,
  };
}

/**
 * What is left of an entry that a repair deletes. It keeps its `occurredAt`: a 404 says that this state is gone, nothing about
 * later ones, so a late event that is newer than the state must still win.
 */
export function tombstoneOf(stored: StoredEntry, commit: Commit): StoredEntry {
  return {
    participant: stored.participant,
    key: stored.key,
    keyType: stored.keyType,
    status: 'DELETED',
    entry: null,
    requestId: stored.requestId,
    cid: null,
    requestIdSince: stored.requestIdSince,
    registeredAt: stored.registeredAt,
    participantRegisteredAt: stored.participantRegisteredAt,
    externalId: stored.externalId,
    syncedFrom: source,
    orphanedAt: stored.orphanedAt,
    occurredAt: stored.occurredAt,
    eventAction: null,
    seq: commit.seq,
    updatedAt: commit.now,
  };
}

function rowFromDict(
  stored: StoredEntry | null,
  { entry, requestId, cid, responseTime }: ProvenEntry,
  commit: Commit,
): StoredEntry {
  const sameCreation = stored !== null && stored.requestId === requestId;
  const occurredMs = Math.max(responseTime.getTime(), stored?.occurredAt.getTime() ?? 0);
  return {
    participant: commit.scope.participant,
    key: entry.key,
    keyType: entry.keyType,
    status: 'ACTIVE',
    entry: plainEntry(entry),
    requestId,
    cid,
    requestIdSince: sameCreation ? stored.requestIdSince : dateOrNull(entry.keyOwnershipDate),
    registeredAt: dateOrNull(entry.creationDate),
    participantRegisteredAt: dateOrNull(entry.keyOwnershipDate),
    externalId: stored?.externalId ?? null,
    syncedFrom: source,
    orphanedAt: null,
    // DICT has this state at its answer: events before it are history.
    occurredAt: new Date(occurredMs),
    eventAction: null,
    seq: commit.seq,
    updatedAt: commit.now,
  };
}

function missingAction(stored: StoredEntry | null): string {
  return stored === null || stored.status === 'DELETED' ? 'VSYNC_CREATE_MISSING' : 'VSYNC_REACTIVATE';
}

/** The entry without DICT's dates, which are columns of their own. */
function plainEntry({ key, keyType, account, owner }: ExtendedEntry): Entry {
  return { key, keyType, account, owner };
}

function sameEntry(a: Entry, b: Entry): boolean {
  return (
    a.account.branch === b.account.branch &&
    a.account.accountNumber === b.account.accountNumber &&
    a.account.accountType === b.account.accountType &&
    a.owner.type === b.owner.type &&
    a.owner.taxIdNumber === b.owner.taxIdNumber &&
    a.owner.name === b.owner.name &&
    a.owner.tradeName === b.owner.tradeName
  );
}

function dateOrNull(text: string): Date | null {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? null : new Date(ms);
}
