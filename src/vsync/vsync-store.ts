/**
 * The stored VSyncs, and the one way in which CIDs come to count and cease to: `commitTransitions`, under the row lock that
 * `lockVSyncs` takes. Every commit raises `seq`, so that a VSync, buckets and single CIDs can all be read as of one seq without
 * a long snapshot (cid-history.ts, vsync-journal.ts, bucket-store.ts).
 */

import { type Cid, type CidAlgorithm, cidToHex } from '../cid/cid.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { assert } from '../platform/assert.ts';
import { arrayOf } from '../platform/postgres/binary-parameters.ts';
import type { Prepared, Sql, Transaction } from '../platform/postgres/database.ts';
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

/** What happened to the CIDs of one scope, in the order in which it did. */
export interface ScopeCommit {
  readonly locked: LockedVSync;
  readonly transitions: readonly CidTransition[];
  readonly algorithm: CidAlgorithm;
}

export interface Committed {
  readonly seq: number;
  readonly vsync: VSync;
  readonly keys: number;
}

/**
 * Commits what happened to the CIDs of several scopes, for each as the one commit `nextSeq`: history rows, journal, VSync and count, one
 * statement each for all scopes. At most once per scope and transaction. Throws `InvariantBroken` where a removed CID did not count or an
 * added one already did: the caller's view of the base was wrong, and nothing may be committed on it.
 */
export async function commitScopes(
  tx: Transaction,
  commits: readonly ScopeCommit[],
  how: { readonly source: ChangeSource; readonly now: Date },
): Promise<Committed[]> {
  if (commits.length === 0) return [];
  const nets = commits.map(({ locked, transitions, algorithm }) => {
    const at = notBefore(locked.updatedAt, how.now);
    return { locked, at, ...netTransitions(transitions), stamp: { scope: locked.scope, seq: locked.nextSeq, at, algorithm } };
  });
  const next = nets.map(({ locked, at, added, removed }) => ({ locked, at, ...vsyncAfter(locked, added, removed) }));
  const marked = await markRemoved(
    tx,
    nets.map(({ stamp, removed }) => ({ ...stamp, cids: removed })),
  );
  const inserted = await insertCids(
    tx,
    nets.map(({ stamp, added }) => ({ ...stamp, cids: added })),
    how.source,
  );
  const scopes = commits.map(({ locked }) => told(locked.scope)).join(', ');
  const [removed, added] = [total(nets, 'removed'), total(nets, 'added')];
  assert(marked === removed, `${scopes}: ${removed - marked} of ${removed} removed CIDs did not count`);
  assert(inserted === added, `${scopes}: ${added - inserted} of ${added} added CIDs already counted`);
  await insertHistory(
    tx,
    nets.map(({ stamp, history }) => ({ ...stamp, cids: history })),
    how.source,
  );
  await appendChanges(
    tx,
    nets.map(({ locked, at, added: cids, removed: formerCids }) => {
      const changes = { added: cids, removed: formerCids };
      return { scope: locked.scope, seq: locked.nextSeq, at, source: how.source, changes };
    }),
  );
  await writeVSyncs(tx, next);
  return next.map(({ locked, vsync, keys }) => ({ seq: locked.nextSeq, vsync, keys }));
}

function total(nets: readonly Record<'added' | 'removed', readonly CidTransition[]>[], change: 'added' | 'removed'): number {
  return nets.reduce((sum, net) => sum + net[change].length, 0);
}

function vsyncAfter(
  locked: LockedVSync,
  added: readonly CidTransition[],
  removed: readonly CidTransition[],
): { readonly vsync: VSync; readonly keys: number } {
  const vsync = asVSync(Buffer.from(locked.vsync));
  for (const { cid } of added) xorInto(vsync, cid);
  for (const { cid } of removed) xorInto(vsync, cid);
  return { vsync, keys: locked.keys + added.length - removed.length };
}

/** The same for one scope. */
export async function commitTransitions(
  tx: Transaction,
  locked: LockedVSync,
  transitions: readonly CidTransition[],
  how: { readonly source: ChangeSource; readonly algorithm: CidAlgorithm; readonly now: Date },
): Promise<Committed> {
  const [committed] = await commitScopes(tx, [{ locked, transitions, algorithm: how.algorithm }], how);
  assert(committed !== undefined, 'one scope is one commit');
  return committed;
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
  await appendChanges(tx, [{ scope: locked.scope, seq: locked.nextSeq, at, source: how.source, changes: null }]);
  await writeVSyncs(tx, [{ locked, ...present, at }]);
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

interface NextVSync {
  readonly locked: LockedVSync;
  readonly vsync: VSync;
  readonly keys: number;
  readonly at: Date;
}

const write: Prepared = {
  name: 'vsyncs-write',
  text: `UPDATE dict_vsyncs AS v SET vsync = next.vsync, keys = next.keys, seq = next.seq, updated_at = next.at
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::timestamptz[], $7::bigint[])
      AS next (participant, key_type, vsync, keys, seq, at, former)
    WHERE v.participant = next.participant AND v.key_type = next.key_type AND v.seq = next.former`,
};

async function writeVSyncs(tx: Transaction, next: readonly NextVSync[]): Promise<void> {
  const { rowCount } = await tx.prepared(write, [
    arrayOf(
      'text',
      next.map(({ locked }) => locked.scope.participant),
    ),
    arrayOf(
      'text',
      next.map(({ locked }) => locked.scope.keyType),
    ),
    arrayOf(
      'bytea',
      next.map(({ vsync }) => vsync),
    ),
    arrayOf(
      'bigint',
      next.map(({ keys }) => keys),
    ),
    arrayOf(
      'bigint',
      next.map(({ locked }) => locked.nextSeq),
    ),
    arrayOf(
      'timestamptz',
      next.map(({ at }) => at),
    ),
    arrayOf(
      'bigint',
      next.map(({ locked }) => locked.seq),
    ),
  ]);
  const scopes = next.map(({ locked }) => `${told(locked.scope)} at seq ${locked.seq}`).join(', ');
  assert(rowCount === next.length, `${scopes}: one was committed to twice in one transaction`);
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
