/**
 * A key's row in our base: its state, and where that state came from. Which columns a status fills is part of the type, as it is
 * part of the table. Reading and writing rows is entry-store.ts.
 */

import type { Cid, CidAlgorithm } from '../cid/cid.ts';
import { computeCid } from '../cid/cid.ts';
import type { Entry } from '../dict/entry.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';

interface KeyOrigin {
  readonly participant: Participant;
  readonly key: string;
  readonly keyType: KeyType;
  /**
   * When the creation in force occurred, or, where its RequestId is unknown, the earliest that it can have; null: nothing is known
   * of any creation. An event before it belongs to an older creation.
   */
  readonly requestIdSince: Date | null;
  readonly registeredAt: Date | null;
  readonly participantRegisteredAt: Date | null;
  readonly externalId: string | null;
  /** 'VSYNC' where the state shown came from a repair. */
  readonly syncedFrom: string | null;
  readonly orphanedAt: Date | null;
  /** When the state shown came about at its source; a later one wins. */
  readonly occurredAt: Date;
  /** The event that brought it about; null: an import or a repair. */
  readonly eventAction: 'key.created' | 'key.updated' | 'key.deleted' | null;
}

/** `ACTIVE` counts in the VSync. `ORPHANED`: DICT does not have it. `PENDING`: an orphan that a person decided to keep. */
export interface ResolvedKey extends KeyOrigin {
  readonly status: 'ACTIVE' | 'ORPHANED' | 'PENDING';
  readonly entry: Entry;
  readonly requestId: string;
  readonly cid: Cid;
}

/** An entry without RequestId: its CID cannot be computed. */
export interface UnresolvedKey extends KeyOrigin {
  readonly status: 'UNRESOLVED';
  readonly entry: Entry;
  readonly requestId: null;
  readonly cid: null;
}

/** A key that was deleted: what is left is when, and which creation it ended. */
export interface DeletedKey extends KeyOrigin {
  readonly status: 'DELETED';
  readonly entry: null;
  readonly requestId: string | null;
  readonly cid: null;
}

/** What is known of a key, whichever commit it came with. */
export type KeyState = ResolvedKey | UnresolvedKey | DeletedKey;

interface RowStamp {
  /** dict_vsyncs.seq of the commit that last changed this row. */
  readonly seq: number;
  readonly updatedAt: Date;
}

/** A row of dict_entries. */
export type StoredEntry = KeyState & RowStamp;

/** A row of the base, and where it lies. */
export interface PlacedEntry {
  readonly stored: KeyState;
  /** The row's place in its table (ctid), which stays what it is while the scope's VSync row is held. */
  readonly place: string;
}

export type EntryStatus = KeyState['status'];

/** What a CID is computed from, as it is stored. */
export interface HashedState {
  readonly entry: Entry;
  readonly requestId: string;
  readonly registeredAt: Date | null;
  readonly participantRegisteredAt: Date | null;
}

/** The CID of a stored state; the dates count only under `canonical-json-1.0`. */
export function cidOfState(state: HashedState, algorithm: CidAlgorithm): Cid {
  if (algorithm === 'dict') return computeCid(state.entry, state.requestId, algorithm);
  const registeredAt = state.registeredAt?.toISOString() ?? null;
  const participantRegisteredAt = state.participantRegisteredAt?.toISOString() ?? null;
  const { account } = state.entry;
  // A row without opening date is hashed without one.
  const openingDate = account.openingDate === '' ? null : account.openingDate;
  const entry = { ...state.entry, account: { ...account, openingDate }, registeredAt, participantRegisteredAt };
  return computeCid(entry, state.requestId, algorithm);
}

/** The CID that counts in the VSync because of this state, or null. */
export function activeCid(state: KeyState | null): Cid | null {
  return state?.status === 'ACTIVE' ? state.cid : null;
}
