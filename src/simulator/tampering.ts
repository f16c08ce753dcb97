/** Changes behind the participant's back: entries, DICT's own VSync, the event log, claims and blocks. */

import type { Entry } from '../dict/entry.ts';
import { activeEntry, attributesOf } from './active-entry.ts';
import type { Parts } from './call.ts';
import type { Claim, ClaimType } from './claim.ts';
import type { CreatedEntry, Scoped, SimulatorState, TamperOptions } from './control.ts';
import { type Directory, type DirectoryScope, type EntryRecord, entryRecord } from './directory.ts';

/** Seeded entries look this old. */
const SEEDED_AGE_MS = 30 * 86_400_000;
const HEX_32 = /^[0-9a-f]{64}$/;

function nowMsOf(parts: Parts): number {
  return parts.settings.clock.now().getTime();
}

function knownEntry(directory: Directory, key: string): EntryRecord {
  const entry = directory.byKey(key);
  if (entry === undefined) throw new TypeError(`key: "${key}" has no active entry in the simulator`);
  return entry;
}

type EntryTampering = Pick<SimulatorState, 'seedEntries' | 'alter' | 'remove' | 'insert'>;

/** Entries that come, change and go without a request. */
export function entryTampering(parts: Parts): EntryTampering {
  const { directory } = parts;
  const known = (key: string): EntryRecord => knownEntry(directory, key);
  const nowMs = (): number => nowMsOf(parts);

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

  function change(changed: { remove?: EntryRecord; add?: EntryRecord }, options: TamperOptions | undefined): void {
    const late = options?.listedAfterMs === undefined ? {} : { listedAfterMs: options.listedAfterMs };
    directory.apply({ ...changed, log: options?.log ?? false, atMs: options?.at?.getTime() ?? nowMs(), ...late });
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
  };
}

type LogTampering = Pick<SimulatorState, 'corruptVSync' | 'freezeVerifiers' | 'freezeLog' | 'dropEvents' | 'repeatEvents'>;

/** What DICT says of itself: its VSync and its event log. */
export function logTampering(parts: Parts): LogTampering {
  const { directory } = parts;
  const scopeOf = (scope: Scoped): DirectoryScope => directory.scope(scope.participant, scope.keyType);
  return {
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
    repeatEvents: (scope, cids) => scopeOf(scope).log.repeat(new Set(cids)),
  };
}

type EntryMarks = Pick<SimulatorState, 'registerClaim' | 'cancelClaim' | 'setOpenClaim' | 'setBlocked'>;

/** What is noted on an entry without changing its CID: claims and blocks. */
export function entryMarks(parts: Parts): EntryMarks {
  const { directory } = parts;
  const known = (key: string): EntryRecord => knownEntry(directory, key);
  const nowMs = (): number => nowMsOf(parts);
  return {
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
  };
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
