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
import type { ChangeSource, CidTransition, LockedVSync, Scope, ScopeCommit } from '../vsync/vsync-store.ts';
import { commitScopes, lockVSyncs } from '../vsync/vsync-store.ts';
import type { FoldedKey } from './batch-fold.ts';
import { insertEntries, replaceEntries } from './entry-store.ts';
import { ensureParticipants, readParticipants } from './participant-store.ts';
import type { StoredEntry } from './stored-entry.ts';

export interface LockedScopes {
  readonly vsyncs: readonly LockedVSync[];
  algorithmOf(participant: Participant): CidAlgorithm;
}

/** Locks the participants and key types of these keys; participants that nobody knows yet get the default rules. */
export async function lockScopes(tx: Transaction, keys: readonly Scope[], now: Date): Promise<LockedScopes> {
  const scopes = new Map<string, Scope>();
  for (const { participant, keyType } of keys) scopes.set(idOf({ participant, keyType }), { participant, keyType });
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

function idOf({ participant, keyType }: Scope): string {
  return `${participant} ${keyType}`;
}

/** Writes what was folded: rows, CID history, VSync and journal, one commit per participant and key type. */
export async function commitKeys(
  tx: Transaction,
  locks: LockedScopes,
  keys: readonly FoldedKey[],
  source: ChangeSource,
  now: Date,
): Promise<void> {
  const byScope = new Map<string, FoldedKey[]>();
  for (const key of keys) {
    const id = idOf(key);
    const mine = byScope.get(id);
    if (mine === undefined) byScope.set(id, [key]);
    else mine.push(key);
  }
  const inserted: StoredEntry[] = [];
  const replaced: { place: string; next: StoredEntry }[] = [];
  const commits: ScopeCommit[] = [];
  for (const locked of locks.vsyncs) {
    const mine = byScope.get(idOf(locked.scope)) ?? [];
    const transitions = mine.flatMap((key) => key.transitions);
    const changed = mine.some(({ next }) => next !== null);
    if (!changed && (await areKnown(tx, locked.scope, transitions))) continue;
    for (const { place, next: state } of mine) {
      if (state === null) continue;
      const next = { ...state, seq: locked.nextSeq, updatedAt: now };
      if (place === null) inserted.push(next);
      else replaced.push({ place, next });
    }
    commits.push({ locked, transitions, algorithm: locks.algorithmOf(locked.scope.participant) });
  }
  await insertEntries(tx, inserted);
  await replaceEntries(tx, replaced);
  await commitScopes(tx, commits, { source, now });
}

/** Whether the base has all these CIDs already: history that is told again is no reason for a commit. */
export async function areKnown(tx: Transaction, scope: Scope, transitions: readonly CidTransition[]): Promise<boolean> {
  if (transitions.length === 0) return true;
  if (transitions.some(({ change }) => change !== 'history')) return false;
  const cids = new Map(transitions.map(({ cid }) => [cidToHex(cid), cid]));
  const known = await keysOfCids(tx, scope, [...cids.values()]);
  return known.size === cids.size;
}

/** Unique violation, serialization failure, deadlock: another consumer was faster; the same batch can succeed now. */
const conflictCodes: ReadonlySet<string> = new Set(['23505', '40001', '40P01']);
const attemptsMax = 5;

/** Does the work again where another transaction was in its way; after five times the conflict is passed on. Attempts count from 1. */
export async function untilUncontended<Result>(work: (attempt: number) => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (cause) {
      const code = cause instanceof Error && 'code' in cause ? cause.code : null;
      if (typeof code !== 'string' || !conflictCodes.has(code) || attempt === attemptsMax) throw cause;
    }
  }
}
