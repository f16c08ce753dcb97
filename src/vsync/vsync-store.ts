/**
 * The stored VSyncs, and the one way in which CIDs come to count and cease to: `commitTransitions`, under the row lock that
 * `lockVSyncs` takes. Every commit raises `seq`, so that a VSync, buckets and single CIDs can all be read as of one seq without
 * a long snapshot (cid-history.ts, vsync-journal.ts, bucket-store.ts).
 */

import { type Cid, type CidAlgorithm, cidToHex } from '../cid/cid.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import { insertCids, insertHistory, markRemoved } from './cid-history.ts';
import type { Scope } from './scope.ts';
import { asVSync, emptyVSync, type VSync, xorInto } from './vsync.ts';
import { appendChanges, type ChangeSource } from './vsync-journal.ts';

export type { Scope } from './scope.ts';
export type { ChangeSource } from './vsync-journal.ts';

/** The VSync of one participant and key type, as of `seq`. */
export interface StoredVSync {
  readonly vsync: VSync;
  /** How many CIDs it is made of. */
  readonly keys: number;
  /** 0: nothing was ever committed. */
  readonly seq: number;
  /** Null: nothing was ever committed. */
  readonly updatedAt: Date | null;
}

/** A VSync whose row this transaction holds. Rows that go with its next commit carry `nextSeq`. */
export interface LockedVSync {
  readonly scope: Scope;
  readonly vsync: VSync;
  readonly keys: number;
  readonly seq: number;
  readonly nextSeq: number;
  readonly updatedAt: Date;
}

/**
 * What happened to one CID. `added`: it counts from now on. `removed`: it no longer does. `history`: it never counted here (an
 * event older than the present), and is kept because every CID ever generated is.
 */
export interface CidTransition {
  readonly change: 'added' | 'removed' | 'history';
  readonly cid: Cid;
  readonly key: string;
}

interface VSyncRow {
  readonly participant: Participant;
  readonly key_type: KeyType;
  readonly vsync: Buffer;
  readonly keys: number;
  readonly seq: number;
  readonly updated_at: Date;
}

/**
 * Locks the rows of these scopes until the transaction ends, creating absent ones. Always inserted, then locked, each in
 * sorted order, so that two transactions never wait for each other in a circle. For `read committed` transactions. Answers in
 * that sorted order, each scope once.
 */
export async function lockVSyncs(tx: Transaction, scopes: readonly Scope[], now: Date): Promise<LockedVSync[]> {
  const participants = scopes.map((scope) => scope.participant);
  const keyTypes = scopes.map((scope) => scope.keyType);
  await tx.query(
    `INSERT INTO dict_vsyncs (participant, key_type, vsync, keys, seq, updated_at)
     SELECT wanted.participant, wanted.key_type, $3, 0, 0, $4
     FROM (SELECT DISTINCT participant, key_type FROM unnest($1::text[], $2::text[]) AS given (participant, key_type)) AS wanted
     WHERE NOT EXISTS (SELECT FROM dict_vsyncs v WHERE v.participant = wanted.participant AND v.key_type = wanted.key_type)
     ORDER BY wanted.participant, wanted.key_type
     ON CONFLICT DO NOTHING`,
    [participants, keyTypes, emptyVSync(), now],
  );
  const { rows } = await tx.query<VSyncRow>(
    `SELECT participant, key_type, vsync, keys, seq, updated_at
     FROM dict_vsyncs
     WHERE (participant, key_type) IN (SELECT participant, key_type FROM unnest($1::text[], $2::text[]) AS given (participant, key_type))
     ORDER BY participant, key_type
     FOR UPDATE`,
    [participants, keyTypes],
  );
  return rows.map((row) => ({
    scope: { participant: row.participant, keyType: row.key_type },
    vsync: asVSync(row.vsync),
    keys: row.keys,
    seq: row.seq,
    nextSeq: row.seq + 1,
    updatedAt: row.updated_at,
  }));
}

/**
 * Commits what happened to the CIDs of one scope, in the given order, as the one commit `nextSeq`: history rows, journal, VSync
 * and count. At most once per scope and transaction. Throws `InvariantBroken` where a removed CID did not count or an added one
 * already did: the caller's view of the base was wrong, and nothing may be committed on it.
 */
export async function commitTransitions(
  tx: Transaction,
  locked: LockedVSync,
  transitions: readonly CidTransition[],
  how: { readonly source: ChangeSource; readonly algorithm: CidAlgorithm; readonly now: Date },
): Promise<{ readonly seq: number; readonly vsync: VSync; readonly keys: number }> {
  const { scope, nextSeq } = locked;
  const { added, removed, history } = netTransitions(transitions);
  const at = notBefore(locked.updatedAt, how.now);
  const stamp = { seq: nextSeq, at, source: how.source, algorithm: how.algorithm };
  const marked = await markRemoved(tx, scope, removed, stamp);
  assert(marked === removed.length, `${told(scope)}: ${removed.length - marked} of ${removed.length} removed CIDs did not count`);
  const inserted = await insertCids(tx, scope, added, stamp);
  assert(inserted === added.length, `${told(scope)}: ${added.length - inserted} of ${added.length} added CIDs already counted`);
  await insertHistory(tx, scope, history, stamp);
  await appendChanges(tx, scope, { seq: nextSeq, at, source: how.source, added, removed });
  const vsync = asVSync(Buffer.from(locked.vsync));
  for (const { cid } of added) xorInto(vsync, cid);
  for (const { cid } of removed) xorInto(vsync, cid);
  const keys = locked.keys + added.length - removed.length;
  await writeVSync(tx, locked, { vsync, keys, at });
  return { seq: nextSeq, vsync, keys };
}

/**
 * Commits a bulk load or a rebuild whose single CIDs are not journalled: the caller has written dict_cids rows itself (added or
 * removed at `nextSeq`) and states the VSync and count of what now counts. Buckets of this seq must then be rebuilt from
 * dict_cids (bucket-store.ts), and `changesBetween` across it answers `bulk`.
 */
export async function commitBulk(
  tx: Transaction,
  locked: LockedVSync,
  present: { readonly vsync: VSync; readonly keys: number },
  how: { readonly source: ChangeSource; readonly now: Date },
): Promise<{ readonly seq: number }> {
  const at = notBefore(locked.updatedAt, how.now);
  await appendChanges(tx, locked.scope, { seq: locked.nextSeq, at, source: how.source, bulk: true });
  await writeVSync(tx, locked, { ...present, at });
  return { seq: locked.nextSeq };
}

/** The VSync of one scope; empty, with seq 0, where nothing was ever committed. */
export async function readVSync(sql: Sql, scope: Scope): Promise<StoredVSync> {
  const { rows } = await sql.query<VSyncRow>(
    `SELECT participant, key_type, vsync, keys, seq, updated_at FROM dict_vsyncs WHERE participant = $1 AND key_type = $2`,
    [scope.participant, scope.keyType],
  );
  const row = rows[0];
  if (row === undefined) return { vsync: emptyVSync(), keys: 0, seq: 0, updatedAt: null };
  return storedVSync(row);
}

/** The VSyncs of one participant, or of all, that were ever committed to; by participant and key type. */
export async function readAllVSyncs(sql: Sql, participant?: Participant): Promise<(StoredVSync & { readonly scope: Scope })[]> {
  const { rows } = await sql.query<VSyncRow>(
    `SELECT participant, key_type, vsync, keys, seq, updated_at
     FROM dict_vsyncs
     WHERE $1::text IS NULL OR participant = $1
     ORDER BY participant, key_type`,
    [participant ?? null],
  );
  return rows.map((row) => ({ ...storedVSync(row), scope: { participant: row.participant, keyType: row.key_type } }));
}

async function writeVSync(
  tx: Transaction,
  locked: LockedVSync,
  next: { readonly vsync: VSync; readonly keys: number; readonly at: Date },
): Promise<void> {
  const { rowCount } = await tx.query(
    `UPDATE dict_vsyncs SET vsync = $3, keys = $4, seq = $5, updated_at = $6
     WHERE participant = $1 AND key_type = $2 AND seq = $7`,
    [locked.scope.participant, locked.scope.keyType, next.vsync, next.keys, locked.nextSeq, next.at, locked.seq],
  );
  assert(rowCount === 1, `${told(locked.scope)}: seq ${locked.seq} was committed to twice in one transaction`);
}

/**
 * What is left of a sequence of transitions: CIDs that count now and did not, the reverse, and those that never counted or came
 * and went within it. Throws `InvariantBroken` where a CID is added or removed twice in a row.
 */
function netTransitions(transitions: readonly CidTransition[]): Record<'added' | 'removed' | 'history', CidTransition[]> {
  const seen = new Map<string, { first: CidTransition; last: CidTransition }>();
  for (const transition of transitions) {
    const hex = cidToHex(transition.cid);
    const before = seen.get(hex);
    if (before === undefined) {
      seen.set(hex, { first: transition, last: transition });
    } else if (before.first.change === 'history') {
      seen.set(hex, { first: transition, last: transition });
    } else if (transition.change !== 'history') {
      assert(before.last.change !== transition.change, `CID ${hex.slice(0, 8)}… is ${transition.change} twice in a row`);
      before.last = transition;
    }
  }
  const net: Record<'added' | 'removed' | 'history', CidTransition[]> = { added: [], removed: [], history: [] };
  for (const { first, last } of seen.values()) {
    if (first.change === last.change) net[first.change].push(first);
    // Added, then removed: it never counted outside this commit. Removed, then added: nothing changed.
    else if (first.change === 'added') net.history.push(first);
  }
  return net;
}

/** Commit times never run backwards within a scope, even between machines whose clocks differ; `seqAtTime` rests on it. */
function notBefore(earliest: Date, time: Date): Date {
  return time < earliest ? earliest : time;
}

function storedVSync(row: VSyncRow): StoredVSync {
  return { vsync: asVSync(row.vsync), keys: row.keys, seq: row.seq, updatedAt: row.seq === 0 ? null : row.updated_at };
}

function told(scope: Scope): string {
  return `${scope.participant} ${scope.keyType}`;
}
