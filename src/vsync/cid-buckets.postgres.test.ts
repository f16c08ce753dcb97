/** Buckets folded anew from the CIDs, on a real database: as they lie and by the primary key, against a fold of the very same rows. */

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { asCid, type Cid } from '../cid/cid.ts';
import { participant } from '../dict/participant.ts';
import type { Database, Transaction } from '../platform/postgres/database.ts';
import { type Buckets, differingBuckets, emptyBuckets, foldCid } from './buckets.ts';
import { bucketsOfCids } from './cid-buckets.ts';
import type { Scope } from './scope.ts';

const large: Scope = { participant: participant('00038166'), keyType: 'PHONE' };
const small: Scope = { participant: participant('00038166'), keyType: 'CPF' };
const now = new Date('2026-03-01T12:00:00.000Z');
const lastSeq = 9;

interface HistoryRow {
  readonly cid: Cid;
  readonly addedSeq: number;
  readonly removedSeq: number | null;
}

/** CIDs that came and went at any seq up to the last; every third one counts for ever, every seventh never counted. */
function historyOf({ keyType }: Scope, rows: number): HistoryRow[] {
  return Array.from({ length: rows }, (_, n) => {
    const cid = asCid(Buffer.from(hash('sha256', `${keyType} ${n}`, 'hex'), 'hex'));
    const addedSeq = 1 + (n % lastSeq);
    const removedSeq = n % 7 === 0 ? addedSeq : Math.min(lastSeq, addedSeq + 1 + (n % 4));
    return { cid, addedSeq, removedSeq: n % 3 === 0 ? null : removedSeq };
  });
}

async function fill(database: Database, scope: Scope, rows: readonly HistoryRow[]): Promise<void> {
  await database.query(
    `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, removed_seq, added_at, removed_at, source, algorithm)
     SELECT $1, $2, cid, 'key ' || encode(cid, 'hex'), added_seq, removed_seq, $6::timestamptz, CASE WHEN removed_seq IS NOT NULL THEN $6 END, 'event', 'dict'
     FROM unnest($3::bytea[], $4::bigint[], $5::bigint[]) AS given (cid, added_seq, removed_seq)`,
    [
      ...[scope.participant, scope.keyType, rows.map(({ cid }) => cid), rows.map(({ addedSeq }) => addedSeq)],
      ...[rows.map(({ removedSeq }) => removedSeq), now],
    ],
  );
  await database.query(
    `INSERT INTO dict_vsyncs (participant, key_type, vsync, keys, seq, updated_at) VALUES ($1, $2, $3, $4, $5, $6)`,
    [scope.participant, scope.keyType, Buffer.alloc(32), countingAt(rows, lastSeq).length, lastSeq, now],
  );
}

function countingAt(rows: readonly HistoryRow[], seq: number): HistoryRow[] {
  return rows.filter(({ addedSeq, removedSeq }) => addedSeq <= seq && (removedSeq === null || removedSeq > seq));
}

function foldedAt(rows: readonly HistoryRow[], seq: number): Buckets {
  const buckets = emptyBuckets();
  for (const { cid } of countingAt(rows, seq)) foldCid(buckets, cid, 'added');
  return buckets;
}

/** A base whose statistics are known; `asked` holds the statements that went to it outside of a transaction. */
async function base(t: Parameters<typeof testDatabase>[0]) {
  const database = await testDatabase(t);
  const history = { large: historyOf(large, 4_000), small: historyOf(small, 90) };
  await fill(database, large, history.large);
  await fill(database, small, history.small);
  await database.query('ANALYZE dict_cids');
  const asked: string[] = [];
  const query: Database['query'] = (text, values) => {
    asked.push(text);
    return database.query(text, values);
  };
  return { database, heard: { ...database, query }, history, asked };
}

const readByKey = (statements: readonly string[]): boolean => statements.some((text) => text.includes('ORDER BY c.cid'));

describe('buckets folded from the CIDs', () => {
  it('are those that counted as of every seq, of a large scope as they lie and of a small one by the key', async (t) => {
    const { heard, history, asked } = await base(t);
    for (const seq of [1, 4, 8, lastSeq]) {
      assert.deepEqual(differingBuckets(await bucketsOfCids(heard, large, seq), foldedAt(history.large, seq)), []);
    }
    assert.equal(readByKey(asked), false);
    for (const seq of [1, 4, 8, lastSeq]) {
      assert.deepEqual(differingBuckets(await bucketsOfCids(heard, small, seq), foldedAt(history.small, seq)), []);
    }
    assert.equal(readByKey(asked), true);
  });

  it('are read in the caller’s transaction, which goes on as it was set', async (t) => {
    const { database, history } = await base(t);
    const [first] = history.large;
    assert(first !== undefined);
    const altered: HistoryRow = { ...first, cid: asCid(Buffer.alloc(32, 7)) };
    await database.transaction(async (tx) => {
      await tx.query('SET LOCAL enable_seqscan = off');
      await tx.query('UPDATE dict_cids SET cid = $1 WHERE cid = $2', [altered.cid, first.cid]);
      const mine = await bucketsOfCids(tx, large, lastSeq);
      assert.deepEqual(differingBuckets(mine, foldedAt([altered, ...history.large.slice(1)], lastSeq)), []);
      const { rows } = await tx.query<{ settings: string }>(
        `SELECT string_agg(setting, ' ' ORDER BY name) AS settings FROM pg_settings
         WHERE name IN ('enable_bitmapscan', 'enable_indexonlyscan', 'enable_indexscan', 'enable_seqscan')`,
      );
      assert.equal(rows[0]?.settings, 'on on on off');
      await tx.query('UPDATE dict_cids SET cid = $2 WHERE cid = $1', [altered.cid, first.cid]);
    });
    assert.deepEqual(differingBuckets(await bucketsOfCids(database, large, lastSeq), foldedAt(history.large, lastSeq)), []);
  });

  it('are not read on when aborted, before or in the middle, and the database is there for others', async (t) => {
    const { database, history } = await base(t);
    const reason = new Error('the operator went home');
    await assert.rejects(bucketsOfCids(database, large, lastSeq, AbortSignal.abort(reason)), reason);
    const abort = new AbortController();
    const abortedMidway = (tx: Transaction): Transaction => {
      const query = (given: { submit?: unknown }): unknown => {
        // Statements of the driver come as text; what reads rows brings its own way of sending.
        if (given.submit !== undefined) abort.abort(reason);
        return Reflect.apply(tx.connection.query, tx.connection, [given]);
      };
      // Of the connection nothing but `query` is used.
      return { ...tx, connection: { query } as never };
    };
    const reading = database.transaction((tx) => bucketsOfCids(abortedMidway(tx), large, lastSeq, abort.signal));
    await assert.rejects(reading, reason);
    assert.deepEqual(differingBuckets(await bucketsOfCids(database, large, lastSeq), foldedAt(history.large, lastSeq)), []);
  });
});
