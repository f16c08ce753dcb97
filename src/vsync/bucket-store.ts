/**
 * The stored buckets: a folded snapshot and the journal since. A commit appends one journal row; a row per bucket was measured at
 * 43 % of ingest, this at 7 %. Where the journal cannot bring the snapshot up to date (a bulk load in between, pruned rows), the
 * buckets are recomputed from the CIDs themselves.
 */

import { assert, InvariantBroken } from '../platform/assert.ts';
import { littleEndianBytes, littleEndianNumbers } from '../platform/little-endian.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import { type Buckets, countOfBuckets, emptyBuckets, foldCid, vsyncOfBuckets } from './buckets.ts';
import { bucketsOfCids } from './cid-buckets.ts';
import type { Scope } from './scope.ts';
import { asVSync, emptyVSync, equalVSync, type VSync, vsyncToHex } from './vsync.ts';
import { unpackChanges } from './vsync-journal.ts';
import { readVSync } from './vsync-store.ts';

/** Buckets, and the VSync and count stored beside them, as of one seq. */
export interface BucketsAsOf {
  readonly seq: number;
  readonly buckets: Buckets;
  readonly vsync: VSync;
  readonly keys: number;
}

/** Journal beyond this is not folded in memory; recomputing from the CIDs takes over. */
const journalBytesMax = 64 * 1024 * 1024;

/** The buckets of the present seq. Throws `InvariantBroken` unless their XOR and count are the VSync's (or `scan` is due). */
export async function readBuckets(sql: Sql, scope: Scope): Promise<BucketsAsOf> {
  const state = await loadBuckets(sql, scope);
  const xor = vsyncOfBuckets(state.buckets);
  assert(
    equalVSync(xor, state.vsync),
    `${scope.participant} ${scope.keyType} at seq ${state.seq}: XOR of buckets ${vsyncToHex(xor)} is not the VSync ${vsyncToHex(state.vsync)}`,
  );
  const count = countOfBuckets(state.buckets);
  assert(
    count === state.keys,
    `${scope.participant} ${scope.keyType} at seq ${state.seq}: buckets count ${count}, the VSync ${state.keys}`,
  );
  return state;
}

/** What is stored of one seq, unchecked: `scan` reports what does not agree instead of stopping at it. */
export interface StoredSums extends Omit<BucketsAsOf, 'buckets'> {
  /** Null where none are stored of that seq (nothing, or a bulk load, since the last snapshot), or where they are at fault. */
  readonly buckets: Buckets | null;
  /** Why the stored buckets cannot even be folded. */
  readonly fault: string | null;
}

/** VSync and count as stored, and the buckets where snapshot and journal give them. */
export async function storedSums(sql: Sql, scope: Scope): Promise<StoredSums> {
  const row = await readSnapshot(sql, scope);
  if (row === undefined) return { seq: 0, vsync: emptyVSync(), keys: 0, buckets: emptyBuckets(), fault: null };
  const sums = { seq: row.seq, vsync: asVSync(row.vsync), keys: row.keys };
  try {
    return { ...sums, buckets: bucketsOfRow(row), fault: null };
  } catch (cause) {
    if (!(cause instanceof InvariantBroken)) throw cause;
    return { ...sums, buckets: null, fault: cause.message };
  }
}

async function loadBuckets(sql: Sql, scope: Scope): Promise<BucketsAsOf> {
  const row = await readSnapshot(sql, scope);
  if (row === undefined) return { seq: 0, buckets: emptyBuckets(), vsync: emptyVSync(), keys: 0 };
  const buckets = bucketsOfRow(row) ?? (await bucketsOfCids(sql, scope, row.seq));
  return { seq: row.seq, buckets, vsync: asVSync(row.vsync), keys: row.keys };
}

/** Snapshot and journal since; null where the journal does not lead to the present seq. */
function bucketsOfRow({ journal, xors, counts }: SnapshotRow): Buckets | null {
  if (journal === null) return null;
  return replay(xors === null || counts === null ? emptyBuckets() : decodeBuckets(xors, counts), journal);
}

/** Saves the present buckets as the snapshot, unless a later one is there, so that the journal before it can be pruned. */
export async function foldBuckets(sql: Sql, scope: Scope): Promise<{ readonly seq: number }> {
  const state = await readBuckets(sql, scope);
  if (state.seq > 0) await saveSnapshot(sql, scope, state);
  return { seq: state.seq };
}

/**
 * Saves buckets that the caller has folded itself, in the transaction of the bulk commit whose seq they are of. Throws
 * `InvariantBroken` unless their XOR and count are the VSync's.
 */
export async function storeBuckets(tx: Transaction, scope: Scope, buckets: Buckets): Promise<void> {
  const { seq, vsync, keys } = await readVSync(tx, scope);
  assert(equalVSync(vsyncOfBuckets(buckets), vsync), `${scope.participant} ${scope.keyType}: XOR of buckets is the VSync`);
  assert(countOfBuckets(buckets) === keys, `${scope.participant} ${scope.keyType}: buckets count what the VSync counts`);
  await saveSnapshot(tx, scope, { seq, buckets });
}

/**
 * Recomputes the buckets from the CIDs that count, and saves them, whatever snapshot of that seq was there. For bulk loads and
 * `rebuild`.
 */
export async function rebuildBuckets(sql: Sql, scope: Scope): Promise<BucketsAsOf> {
  const { seq, vsync, keys } = await readVSync(sql, scope);
  const state = { seq, vsync, keys, buckets: await bucketsOfCids(sql, scope, seq) };
  if (seq > 0) await saveSnapshot(sql, scope, state);
  return state;
}

interface SnapshotRow {
  readonly vsync: Buffer;
  readonly keys: number;
  readonly seq: number;
  /** These two are null where no snapshot is there. */
  readonly xors: Buffer | null;
  readonly counts: Buffer | null;
  /** All changes since the snapshot; null where they are not all there, or too long. */
  readonly journal: Buffer | null;
}

/**
 * One statement, hence one moment: VSync, snapshot and journal belong together in any isolation level. The bound `<= v.seq` leaves
 * nothing out and makes PostgreSQL expect a small part of the journal, as it is.
 */
async function readSnapshot(sql: Sql, scope: Scope): Promise<SnapshotRow | undefined> {
  const { rows } = await sql.query<SnapshotRow & { [column: string]: unknown }>(
    `SELECT v.vsync, v.keys, v.seq, b.xors, b.counts,
       CASE WHEN since.rows = v.seq - coalesce(b.seq, 0) AND since.bulk = 0 AND since.bytes <= $3 THEN coalesce(
         (SELECT string_agg(c.changes, ''::bytea ORDER BY c.seq)
          FROM dict_vsync_changes c
          WHERE c.participant = $1 AND c.key_type = $2 AND c.seq > coalesce(b.seq, 0) AND c.seq <= v.seq), ''::bytea) END AS journal
     FROM dict_vsyncs v
     LEFT JOIN dict_vsync_buckets b ON b.participant = v.participant AND b.key_type = v.key_type
     CROSS JOIN LATERAL (
       SELECT count(*) AS rows, count(*) - count(c.changes) AS bulk, coalesce(sum(octet_length(c.changes)), 0) AS bytes
       FROM dict_vsync_changes c
       WHERE c.participant = $1 AND c.key_type = $2 AND c.seq > coalesce(b.seq, 0) AND c.seq <= v.seq) AS since
     WHERE v.participant = $1 AND v.key_type = $2`,
    [scope.participant, scope.keyType, journalBytesMax],
  );
  return rows[0];
}

/** Saves buckets as the snapshot of a seq, unless a later one is there. */
export async function saveSnapshot(sql: Sql, scope: Scope, state: Pick<BucketsAsOf, 'seq' | 'buckets'>): Promise<void> {
  const { xors, counts } = encodeBuckets(state.buckets);
  await sql.query(
    `INSERT INTO dict_vsync_buckets AS b (participant, key_type, seq, xors, counts, updated_at)
     SELECT participant, key_type, $3, $4, $5, updated_at FROM dict_vsyncs WHERE participant = $1 AND key_type = $2
     ON CONFLICT (participant, key_type) DO UPDATE
     SET seq = excluded.seq, xors = excluded.xors, counts = excluded.counts, updated_at = excluded.updated_at
     WHERE b.seq <= excluded.seq`,
    [scope.participant, scope.keyType, state.seq, xors, counts],
  );
}

function replay(buckets: Buckets, journal: Buffer): Buckets {
  for (const { cid, change } of unpackChanges(journal)) foldCid(buckets, cid, change);
  return buckets;
}

/** As two values for the database. */
export function encodeBuckets({ xors, counts }: Buckets): { xors: Buffer; counts: Buffer } {
  return { xors: Buffer.from(xors.buffer, xors.byteOffset, xors.byteLength), counts: littleEndianBytes(counts) };
}

/** The buckets of two such values. */
export function decodeBuckets(xors: Buffer, counts: Buffer): Buckets {
  return { xors, counts: littleEndianNumbers(counts) };
}
