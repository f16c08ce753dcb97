/**
 * The simulator's control, for the program that runs it in process: seeding, tampering as the Central Bank does in
 * homologation, and looking behind the scenes. The control server offers the same over HTTP.
 */

import type { Entry, ExtendedEntry } from '../dict/entry.ts';
import type { KeyType } from '../dict/key-type.ts';
import { participant } from '../dict/participant.ts';
import type { FaultScript, ScriptedFault } from './behaviour.ts';
import { isoOf, type Parts } from './call.ts';
import type { Claim, ClaimType } from './claim.ts';
import { type Attributes, type DirectoryScope, type EntryRecord, entryRecord } from './directory.ts';
import type { LogEvent } from './event-log.ts';
import { FILE_VARIANTS, type FileVariant } from './file-variant.ts';

/** An entry with the RequestId of the request that created it. */
export interface CreatedEntry {
  readonly entry: Entry;
  readonly requestId: string;
}

/** An active entry as DICT has it. */
export interface ActiveEntry {
  readonly cid: string;
  readonly requestId: string;
  readonly entry: ExtendedEntry;
}

/** How a change behind the participant's back happens. */
export interface TamperOptions {
  /** Whether DICT's event log tells of it. Default false. */
  readonly log?: boolean;
  /** When it happens, for several changes in one millisecond. Default now; never before the last logged event. */
  readonly at?: Date;
}

/** What of an entry can be altered; the key, its type, the participant and the RequestId stay. */
export type EntryAlteration = Partial<
  Pick<
    Attributes,
    'branch' | 'accountNumber' | 'accountType' | 'openingDate' | 'ownerType' | 'taxIdNumber' | 'name' | 'tradeName'
  >
>;

export interface Scoped {
  readonly participant: string;
  readonly keyType: KeyType;
}

export interface SimulatorState {
  /** Adds entries as if they had always been there: not in the event log. Says how many. */
  seedEntries(entries: Iterable<CreatedEntry>): number;
  /** Changes attributes; the CID follows, the RequestId stays. Returns the entry after the change. */
  alter(key: string, alteration: EntryAlteration, options?: TamperOptions): ActiveEntry;
  /** Removes an entry and returns what it was. */
  remove(key: string, options?: TamperOptions): ActiveEntry;
  insert(created: CreatedEntry, options?: TamperOptions): ActiveEntry;
  /** Makes DICT wrong about its own VSync by XORing these 64 hex digits into it; null mends it. */
  corruptVSync(scope: Scoped, mask: string | null): void;
  /** Events go on listing the VSync of now, whatever happens. */
  freezeVerifiers(scope: Scoped, frozen: boolean): void;
  /** Nothing that happens from now on is listed until the log is thawed. */
  freezeLog(scope: Scoped, frozen: boolean): void;
  /** Takes all events of these CIDs out of the log; says how many. */
  dropEvents(scope: Scoped, cids: readonly string[]): number;
  /** Opens a claim on a key's entry by another participant or account; returns its id. */
  registerClaim(claim: { readonly type: ClaimType; readonly claimer: Entry }): string;
  cancelClaim(id: string): void;
  /** Sets or clears the date since when a claim on the entry is open. */
  setOpenClaim(key: string, since: Date | null): void;
  /** Blocks or frees an entry by a judge's order. */
  setBlocked(key: string, blocked: boolean): void;
  /** The next files asked for come out in this form. */
  planFile(variant: FileVariant, times?: number): void;
  addFault(fault: ScriptedFault): void;
  clearFaults(): void;
  setTokens(participant: string, policy: string, tokens: number): void;
  /** Every active entry, or those of a participant or key type. */
  activeEntries(filter?: Partial<Scoped>): Iterable<ActiveEntry>;
  entryByKey(key: string): ActiveEntry | null;
  /** The VSync that DICT believes in, and the number of its active entries. */
  vsync(scope: Scoped): { readonly vsync: string; readonly keys: number };
  /** The whole event log, what is not listed yet included. */
  events(scope: Scoped): readonly LogEvent[];
  /** How often each operation was answered with which status, such as `listCidSetEvents 429`; 0 is a broken connection. */
  counts(): Readonly<Record<string, number>>;
}

/** Seeded entries look this old. */
const SEEDED_AGE_MS = 30 * 86_400_000;
const HEX_32 = /^[0-9a-f]{64}$/;

export function simulatorState(
  parts: Parts,
  faults: FaultScript,
  counts: () => Readonly<Record<string, number>>,
): SimulatorState {
  const { directory } = parts;
  const nowMs = (): number => parts.settings.clock.now().getTime();
  const scopeOf = (scope: Scoped): DirectoryScope => directory.scope(scope.participant, scope.keyType);

  function known(key: string): EntryRecord {
    const entry = directory.byKey(key);
    if (entry === undefined) throw new TypeError(`key: "${key}" has no active entry in the simulator`);
    return entry;
  }

  function newRecord(created: CreatedEntry, ageMs = 0): EntryRecord {
    if (directory.byKey(created.entry.key) !== undefined)
      throw new TypeError(`key: "${created.entry.key}" is registered already`);
    const atMs = nowMs() - ageMs;
    return entryRecord(attributesOf(created.entry), {
      requestId: created.requestId.toLowerCase(),
      createdMs: atMs,
      ownedSinceMs: atMs,
    });
  }

  function change(parts: { remove?: EntryRecord; add?: EntryRecord }, options: TamperOptions | undefined): void {
    directory.apply({ ...parts, log: options?.log ?? false, atMs: options?.at?.getTime() ?? nowMs() });
  }

  return {
    seedEntries: (entries) => {
      let seeded = 0;
      for (const created of entries) {
        change({ add: newRecord(created, SEEDED_AGE_MS) }, { log: false });
        seeded += 1;
      }
      return seeded;
    },
    alter: (key, alteration, options) => {
      const before = known(key);
      const after = entryRecord({ ...before, ...alteration }, before);
      after.openClaimMs = before.openClaimMs;
      after.blocked = before.blocked;
      change({ remove: before, add: after }, options);
      return activeEntry(after);
    },
    remove: (key, options) => {
      const entry = known(key);
      change({ remove: entry }, options);
      return activeEntry(entry);
    },
    insert: (created, options) => {
      const entry = newRecord(created);
      change({ add: entry }, options);
      return activeEntry(entry);
    },
    corruptVSync: (scope, mask) => {
      if (mask !== null && !HEX_32.test(mask)) throw new TypeError(`mask: "${mask}" is not 64 lower-case hex digits`);
      scopeOf(scope).vsyncMask = mask;
    },
    freezeVerifiers: (scope, frozen) => {
      const found = scopeOf(scope);
      found.frozenVerifier = frozen ? directory.vsync(found) : null;
    },
    freezeLog: (scope, frozen) => scopeOf(scope).log.freeze(frozen),
    dropEvents: (scope, cids) => scopeOf(scope).log.drop(new Set(cids)),
    registerClaim: (claim) => {
      const opened = newClaim(known(claim.claimer.key), claim, { id: parts.random.uuid(), openedMs: nowMs() });
      parts.claims.set(opened.id, opened);
      known(claim.claimer.key).openClaimMs = opened.openedMs;
      return opened.id;
    },
    cancelClaim: (id) => {
      const claim = parts.claims.get(id);
      if (claim === undefined) throw new TypeError(`claim: "${id}" is not registered in the simulator`);
      claim.status = 'CANCELLED';
      claim.modifiedMs = nowMs();
      const entry = directory.byKey(claim.wanted.key);
      if (entry !== undefined) entry.openClaimMs = null;
    },
    setOpenClaim: (key, since) => {
      known(key).openClaimMs = since === null ? null : since.getTime();
    },
    setBlocked: (key, blocked) => {
      known(key).blocked = blocked;
    },
    planFile: (variant, times = 1) => {
      if (!FILE_VARIANTS.includes(variant))
        throw new TypeError(`file variant: "${variant}" is none of ${FILE_VARIANTS.join(', ')}`);
      parts.files.plan(variant, times);
    },
    addFault: faults.add,
    clearFaults: faults.clear,
    setTokens: parts.buckets.set,
    activeEntries: (filter) => activeEntries(directory.scopes(), filter ?? {}),
    entryByKey: (key) => {
      const entry = directory.byKey(key);
      return entry === undefined ? null : activeEntry(entry);
    },
    vsync: (scope) => ({ vsync: directory.vsync(scopeOf(scope)), keys: scopeOf(scope).byCid.size }),
    events: (scope) => scopeOf(scope).log.all(),
    counts,
  };
}

function* activeEntries(scopes: Iterable<DirectoryScope>, filter: Partial<Scoped>): Generator<ActiveEntry> {
  for (const scope of scopes) {
    if (filter.participant !== undefined && filter.participant !== scope.participant) continue;
    if (filter.keyType !== undefined && filter.keyType !== scope.keyType) continue;
    for (const entry of scope.byCid.values()) yield activeEntry(entry);
  }
}

function newClaim(
  entry: EntryRecord,
  claim: { readonly type: ClaimType; readonly claimer: Entry },
  opened: { readonly id: string; readonly openedMs: number },
): Claim {
  return {
    id: opened.id,
    type: claim.type,
    wanted: { ...attributesOf(claim.claimer), keyType: entry.keyType },
    donor: entry.participant,
    openedMs: opened.openedMs,
    status: 'WAITING_RESOLUTION',
    modifiedMs: opened.openedMs,
    confirmReason: null,
    ownedSinceMs: null,
    createdMs: null,
  };
}

function attributesOf(entry: Entry): Attributes {
  const { account, owner } = entry;
  return {
    key: entry.key,
    keyType: entry.keyType,
    participant: account.participant,
    branch: account.branch,
    accountNumber: account.accountNumber,
    accountType: account.accountType,
    openingDate: account.openingDate,
    ownerType: owner.type,
    taxIdNumber: owner.taxIdNumber,
    name: owner.name,
    tradeName: owner.tradeName,
  };
}

function activeEntry(record: EntryRecord): ActiveEntry {
  return {
    cid: record.cid,
    requestId: record.requestId,
    entry: {
      key: record.key,
      keyType: record.keyType,
      account: {
        participant: participant(record.participant),
        branch: record.branch,
        accountNumber: record.accountNumber,
        accountType: record.accountType,
        openingDate: record.openingDate,
      },
      owner: { type: record.ownerType, taxIdNumber: record.taxIdNumber, name: record.name, tradeName: record.tradeName },
      creationDate: isoOf(record.createdMs),
      keyOwnershipDate: isoOf(record.ownedSinceMs),
      openClaimCreationDate: record.openClaimMs === null ? null : isoOf(record.openClaimMs),
    },
  };
}
