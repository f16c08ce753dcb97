/**
 * Buckets folded anew from the CIDs themselves: what stored buckets, VSync and count are held against. Nearly always all of a table is
 * read as it lies; by the primary key each CID costs a jump (active-cids.ts, for a scope that is a small part of the table).
 */

import { escapeLiteral } from 'pg';
import { CID_BYTES } from '../cid/cid.ts';
import { assert } from '../platform/assert.ts';
import { type Sql, type Transaction, withinTransaction } from '../platform/postgres/database.ts';
import { type RowsReader, rowReader, rowsOut } from '../platform/postgres/rows-out.ts';
import { activeCidsInBuckets } from './active-cids.ts';
import { type Buckets, emptyBuckets, foldCid, foldCidAt } from './buckets.ts';
import type { Scope } from './scope.ts';

/**
 * A scope with a smaller part of the table's rows than one in so many is read by the primary key: by it a CID costs twenty times what
 * passing over a row of another scope costs.
 */
const indexedShare = 20;

/** Between the start of a row and its one value: the number of fields, and the length of the value. */
const cidOffset = 6;

/**
 * The buckets of the CIDs that counted as of that seq, which must have been committed, in one snapshot and in the memory of the buckets. In
 * the caller's transaction where it is given one; else in one of its own. Rejects with the signal's reason when aborted: a connection
 * that was being read is then gone.
 */
export async function bucketsOfCids(sql: Sql, scope: Scope, seq: number, signal?: AbortSignal): Promise<Buckets> {
  signal?.throwIfAborted();
  if (await isSmallPart(sql, scope)) return await foldedByKey(sql, scope, seq, signal);
  return await withinTransaction(sql, (tx) => foldedAsTheyLie(tx, scope, seq, signal));
}

/** As far as VSync and the last analysis know; where either is wrong, the other way takes longer and answers the same. */
async function isSmallPart(sql: Sql, { participant, keyType }: Scope): Promise<boolean> {
  const { rows } = await sql.query<{ small: boolean }>(
    `SELECT v.keys * $3 < (SELECT sum(greatest(0, c.reltuples)) FROM pg_class c
       WHERE c.oid = 'dict_cids'::regclass OR c.oid IN (SELECT relid FROM pg_partition_tree('dict_cids'::regclass))) AS small
     FROM dict_vsyncs v WHERE v.participant = $1 AND v.key_type = $2`,
    [participant, keyType, indexedShare],
  );
  return rows[0]?.small ?? true;
}

async function foldedByKey(sql: Sql, scope: Scope, seq: number, signal: AbortSignal | undefined): Promise<Buckets> {
  const buckets = emptyBuckets();
  for await (const page of activeCidsInBuckets(sql, scope, { seq, buckets: 'all' })) {
    signal?.throwIfAborted();
    for (const cid of page) foldCid(buckets, cid, 'added');
  }
  return buckets;
}

/**
 * Left to itself the planner takes the primary key: it believes that CIDs lie in its order, since participants do. What is set for
 * this statement is undone with the savepoint; the rest of the caller's transaction is planned as before.
 */
const asTheyLie = `SAVEPOINT as_they_lie; SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = off;
  SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL statement_timeout = 0`;

async function foldedAsTheyLie(tx: Transaction, scope: Scope, seq: number, signal: AbortSignal | undefined): Promise<Buckets> {
  assert(Number.isSafeInteger(seq), 'a seq is a whole number');
  const buckets = emptyBuckets();
  const rows = rowReader((buffer, from) => {
    assert(buffer.readInt32BE(from + 2) === CID_BYTES, 'a CID of another length');
    foldCidAt(buckets, buffer, from + cidOffset);
  });
  const reader: RowsReader = {
    read(chunk) {
      signal?.throwIfAborted();
      return rows.read(chunk);
    },
  };
  await tx.query(asTheyLie);
  // No parameters; participant and key type are of few letters each, never what a user typed.
  const statement = `SELECT cid FROM dict_cids
    WHERE participant = ${escapeLiteral(scope.participant)} AND key_type = ${escapeLiteral(scope.keyType)}
      AND added_seq <= ${seq} AND (removed_seq IS NULL OR removed_seq > ${seq})`;
  await rowsOut(tx.connection, { statement, columns: ['binary'] }, reader);
  await tx.query('ROLLBACK TO SAVEPOINT as_they_lie; RELEASE SAVEPOINT as_they_lie');
  return buckets;
}
