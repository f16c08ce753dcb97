/**
 * The order in which a batch touches the database, the same for events and imports: participants, then VSync rows in sorted order,
 * then entries, then what was folded onto them. Everything else of a batch belongs to a locked participant and key type, so that no two
 * batches wait for each other in a circle.
 */

import type { CidAlgorithm } from '../cid/cid.ts';
import { cidToHex } from '../cid/cid.ts';
import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Transaction } from '../platform/postgres/database.ts';
import { keysOfCids } from '../vsync/cid-history.ts';
import type { ChangeSource, CidTransition, LockedVSync, Scope } from '../vsync/vsync-store.ts';
import { commitTransitions, lockVSyncs } from '../vsync/vsync-store.ts';
import type { FoldedKey } from './batch-fold.ts';
import { lockEntries, writeEntries } from './entry-store.ts';
import { ensureParticipants, readParticipants } from './participant-store.ts';
import type { StoredEntry } from './stored-entry.ts';

export interface LockedScopes {
  readonly vsyncs: readonly LockedVSync[];
  algorithmOf(participant: Participant): CidAlgorithm;
}

interface OfKey extends Scope {
  readonly key: string;
}

/** Locks the participants and key types of these keys; participants that nobody knows yet get the default rules. */
export async function lockScopes(tx: Transaction, keys: readonly Scope[], now: Date): Promise<LockedScopes> {
  const scopes = new Map<string, Scope>();
  for (const { participant, keyType } of keys) scopes.set(`${participant} ${keyType}`, { participant, keyType });
  await ensureParticipants(tx, [...new Set(keys.map(({ participant }) => participant))], now);
  const vsyncs = await lockVSyncs(tx, [...scopes.values()], now);
  // After the locks: an algorithm is only changed under them.
  const algorithms = new Map((await readParticipants(tx)).map((rules) => [rules.participant, rules.cidAlgorithm]));
  const algorithmOf = (participant: Participant): CidAlgorithm => {
    const algorithm = algorithms.get(participant);
    assert(algorithm !== undefined, `participant ${participant} has rules before its keys change`);
    return algorithm;
  };
  return { vsyncs, algorithmOf };
}

/** The rows of these keys, locked. */
export async function lockStates(
  tx: Transaction,
  keys: readonly OfKey[],
): Promise<(participant: Participant, key: string) => StoredEntry | null> {
  const byParticipant = new Map<Participant, Set<string>>();
  for (const { participant, key } of keys) {
    const known = byParticipant.get(participant);
    if (known === undefined) byParticipant.set(participant, new Set([key]));
    else known.add(key);
  }
  const stored = new Map<Participant, Map<string, StoredEntry>>();
  for (const participant of [...byParticipant.keys()].sort()) {
    stored.set(participant, await lockEntries(tx, participant, [...(byParticipant.get(participant) ?? [])]));
  }
  return (participant, key) => stored.get(participant)?.get(key) ?? null;
}

/** Writes what was folded: rows, CID history, VSync and journal, one commit per participant and key type. */
export async function commitKeys(
  tx: Transaction,
  locks: LockedScopes,
  keys: readonly FoldedKey[],
  source: ChangeSource,
  now: Date,
): Promise<void> {
  for (const vsync of locks.vsyncs) {
    const { participant, keyType } = vsync.scope;
    const mine = keys.filter((key) => key.participant === participant && key.keyType === keyType);
    const entries = mine.flatMap(({ next }) => (next === null ? [] : [{ ...next, seq: vsync.nextSeq, updatedAt: now }]));
    const transitions = mine.flatMap((key) => key.transitions);
    if (entries.length === 0 && (await areKnown(tx, vsync.scope, transitions))) continue;
    await writeEntries(tx, entries);
    await commitTransitions(tx, vsync, transitions, { source, algorithm: locks.algorithmOf(participant), now });
  }
}

/** Whether the base has all these CIDs already: history that is told again is no reason for a commit. */
export async function areKnown(tx: Transaction, scope: Scope, transitions: readonly CidTransition[]): Promise<boolean> {
  if (transitions.some(({ change }) => change !== 'history')) return false;
  const cids = new Map(transitions.map(({ cid }) => [cidToHex(cid), cid]));
  const known = await keysOfCids(tx, scope, [...cids.values()]);
  return known.size === cids.size;
}

/** Unique violation, serialization failure, deadlock: another consumer was faster; the same batch can succeed now. */
const conflictCodes: ReadonlySet<string> = new Set(['23505', '40001', '40P01']);
const attemptsMax = 5;

/** Does the work again where another transaction was in its way; after five times the conflict is passed on. */
export async function untilUncontended<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? cause.code : null;
      if (typeof code !== 'string' || !conflictCodes.has(code) || attempt === attemptsMax) throw cause;
    }
  }
}
