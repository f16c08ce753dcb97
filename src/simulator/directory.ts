/**
 * The simulated directory: active entries of every participant, their CIDs and VSyncs, and the event logs. It knows what DICT
 * holds, not what DICT allows: requests are judged in the operations, tampering in the control interface.
 *
 * Records are flat and share their strings, so that 500,000 entries fit into some 400 MB.
 */

import type { AccountType, OwnerType } from '../dict/entry.ts';
import type { KeyType } from '../dict/key-type.ts';
import { assert } from '../platform/assert.ts';
import { type EventLog, eventLog } from './event-log.ts';
import { cidOf, vsyncAccumulator, xorHex } from './oracle.ts';

export interface Attributes {
  readonly key: string;
  readonly keyType: KeyType;
  readonly participant: string;
  readonly branch: string | null;
  readonly accountNumber: string;
  readonly accountType: AccountType;
  /** ISO 8601; not part of the CID. */
  readonly openingDate: string;
  readonly ownerType: OwnerType;
  readonly taxIdNumber: string;
  readonly name: string;
  readonly tradeName: string | null;
}

export interface EntryRecord extends Attributes {
  readonly requestId: string;
  readonly cid: string;
  readonly createdMs: number;
  readonly ownedSinceMs: number;
  /** When it last changed; what a listing since some time goes by. */
  updatedMs: number;
  openClaimMs: number | null;
  /** By a judge's order: exists and counts, but cannot be read. */
  blocked: boolean;
}

/** What DICT keeps for one participant and key type. */
export interface DirectoryScope {
  readonly participant: string;
  readonly keyType: KeyType;
  readonly byCid: ReadonlyMap<string, EntryRecord>;
  readonly log: EventLog;
  /** XORed into the VSync that DICT believes in: other than zero, DICT is wrong about itself. */
  vsyncMask: string | null;
  /** Events go on listing this VSync instead of the present one. */
  frozenVerifier: string | null;
}

export interface Change {
  readonly remove?: EntryRecord;
  readonly add?: EntryRecord;
  /** Whether the event log tells of it. */
  readonly log: boolean;
  /** When it happens; an instant before the last logged event is moved up to that one. */
  readonly atMs: number;
  /** How long after it happened the log lists it, the lag apart. Default 0. */
  readonly listedAfterMs?: number;
}

export interface Directory {
  scope(participant: string, keyType: KeyType): DirectoryScope;
  scopes(): Iterable<DirectoryScope>;
  byKey(key: string): EntryRecord | undefined;
  /** An active entry by its CID, whoever's it is. */
  byCid(cid: string): EntryRecord | undefined;
  /** The VSync that DICT believes in. */
  vsync(scope: DirectoryScope): string;
  /** The CID that an entry had when this participant's request of that id created it. */
  cidCreatedBy(participant: string, requestId: string): string | undefined;
  apply(change: Change): void;
  /** Called before each change with its instant: what shows the past has to be taken then. */
  beforeChange(listener: (atMs: number) => void): void;
}

/** Builds the record of an entry and computes its CID. */
export function entryRecord(
  attributes: Attributes,
  origin: { readonly requestId: string; readonly createdMs: number; readonly ownedSinceMs: number },
): EntryRecord {
  return {
    key: attributes.key,
    keyType: attributes.keyType,
    participant: attributes.participant,
    branch: attributes.branch,
    accountNumber: attributes.accountNumber,
    accountType: attributes.accountType,
    openingDate: attributes.openingDate,
    ownerType: attributes.ownerType,
    taxIdNumber: attributes.taxIdNumber,
    name: attributes.name,
    tradeName: attributes.tradeName,
    requestId: origin.requestId,
    cid: cidOf(attributes, origin.requestId),
    createdMs: origin.createdMs,
    ownedSinceMs: origin.ownedSinceMs,
    updatedMs: origin.createdMs,
    openClaimMs: null,
    blocked: false,
  };
}

interface MutableScope extends DirectoryScope {
  readonly byCid: Map<string, EntryRecord>;
  readonly set: ReturnType<typeof vsyncAccumulator>;
}

function newScope(participant: string, keyType: KeyType, logEventsMax: number): MutableScope {
  return {
    participant,
    keyType,
    byCid: new Map(),
    set: vsyncAccumulator(),
    log: eventLog(logEventsMax),
    vsyncMask: null,
    frozenVerifier: null,
  };
}

function believedVSync(scope: MutableScope): string {
  return scope.vsyncMask === null ? scope.set.hex() : xorHex(scope.set.hex(), scope.vsyncMask);
}

/** Mixes the CID into the set, and tells the log of it. */
function record(scope: MutableScope, type: 'ADDED' | 'REMOVED', cid: string, change: Change): void {
  scope.set.mix(cid);
  if (!change.log) return;
  const vsync = scope.frozenVerifier ?? believedVSync(scope);
  const atMs = Math.max(change.atMs, scope.log.lastMs());
  const late = change.listedAfterMs === undefined ? {} : { listedMs: atMs + change.listedAfterMs };
  scope.log.append({ type, cid, atMs, vsync, ...late });
}

/** An empty directory. */
export function createDirectory(settings: { readonly logEventsMax: number }): Directory {
  const scopes = new Map<string, MutableScope>();
  const byKey = new Map<string, EntryRecord>();
  // By participant, by RequestId: the CID that the request created.
  const createdBy = new Map<string, Map<string, string>>();
  const listeners: ((atMs: number) => void)[] = [];

  function scopeOf(participant: string, keyType: KeyType): MutableScope {
    const name = `${participant} ${keyType}`;
    const scope = scopes.get(name) ?? newScope(participant, keyType, settings.logEventsMax);
    scopes.set(name, scope);
    return scope;
  }

  function remember(entry: EntryRecord): void {
    const known = createdBy.get(entry.participant) ?? new Map<string, string>();
    createdBy.set(entry.participant, known);
    if (!known.has(entry.requestId)) known.set(entry.requestId, entry.cid);
  }

  function apply(change: Change): void {
    for (const listener of listeners) listener(change.atMs);
    const { remove, add } = change;
    if (remove !== undefined) {
      assert(byKey.get(remove.key) === remove, 'simulator: only an active entry can be removed');
      const scope = scopeOf(remove.participant, remove.keyType);
      byKey.delete(remove.key);
      scope.byCid.delete(remove.cid);
      record(scope, 'REMOVED', remove.cid, change);
    }
    if (add !== undefined) {
      assert(!byKey.has(add.key), 'simulator: a key can be registered once');
      const scope = scopeOf(add.participant, add.keyType);
      byKey.set(add.key, add);
      scope.byCid.set(add.cid, add);
      if (remove !== undefined) add.updatedMs = change.atMs;
      record(scope, 'ADDED', add.cid, change);
      remember(add);
    }
  }

  return {
    scope: scopeOf,
    scopes: () => scopes.values(),
    byKey: (key) => byKey.get(key),
    byCid: (cid) => {
      for (const scope of scopes.values()) {
        const entry = scope.byCid.get(cid);
        if (entry !== undefined) return entry;
      }
      return undefined;
    },
    vsync: (scope) => believedVSync(scopeOf(scope.participant, scope.keyType)),
    cidCreatedBy: (participant, requestId) => createdBy.get(participant)?.get(requestId),
    apply,
    beforeChange: (listener) => {
      listeners.push(listener);
    },
  };
}
