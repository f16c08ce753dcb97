/**
 * Every CID ever (dict_cids): which counted as of a seq, which key one belongs to, and the statements that write them. CIDs to be
 * written travel as one array of rows, those to be looked up as one packed bytea that the server cuts: as a bytea[] in the driver's text
 * protocol every byte would be escaped hex inside an array literal, twice the bytes and a parse of each element.
 */

import { asCid, type Cid, type CidAlgorithm, cidToHex, packCids } from '../cid/cid.ts';
import { type ColumnValue, rowsOf, rowTypeOf } from '../platform/postgres/binary-parameters.ts';
import type { Prepared, Sql, Transaction } from '../platform/postgres/database.ts';
import type { Scope } from './scope.ts';
import type { ChangeSource } from './vsync-journal.ts';

/** What one commit does to CIDs of one scope. */
export interface StampedCids {
  readonly scope: Scope;
  readonly cids: readonly { readonly cid: Cid; readonly key: string }[];
  readonly seq: number;
  readonly at: Date;
  readonly algorithm: CidAlgorithm;
}

/** In the order of the composite type `dict_cid_row`. */
const cidColumns = {
  participant: 'text',
  key_type: 'text',
  cid: 'bytea',
  key: 'text',
  seq: 'bigint',
  at: 'timestamptz',
  algorithm: 'text',
} as const;

/** CIDs of the packed parameter `$n`, numbered from 1 as `at`. */
const cut = (parameter: string): string =>
  `(SELECT at, substring(${parameter}::bytea FROM (at - 1) * 32 + 1 FOR 32) AS cid
    FROM generate_series(1, octet_length(${parameter}::bytea) / 32) AS at)`;

const remove: Prepared = {
  name: 'cids-remove',
  text: `UPDATE dict_cids AS c SET removed_seq = found.seq, removed_at = found.at
    FROM (
      SELECT counting.place, given.seq, given.at
      FROM unnest($1::dict_cid_row[]) AS given
      CROSS JOIN LATERAL (
        SELECT ctid AS place FROM dict_cids
        WHERE participant = given.participant AND key_type = given.key_type AND cid = given.cid AND removed_seq IS NULL
        LIMIT 1) AS counting) AS found
    WHERE c.ctid = found.place`,
};

/** Marks CIDs that count as removed; answers how many did count. */
export async function markRemoved(tx: Transaction, removed: readonly StampedCids[]): Promise<number> {
  return await written(tx, remove, removed, []);
}

const insertColumns = 'participant, key_type, cid, key, added_seq, removed_seq, added_at, removed_at, source, algorithm';

/** OFFSET 0 keeps the planner from making a join of it, which it would get wrong where it knows nothing of the table. */
const add: Prepared = {
  name: 'cids-add',
  text: `INSERT INTO dict_cids (${insertColumns})
    SELECT given.participant, given.key_type, given.cid, given.key, given.seq, NULL, given.at, NULL, $2, given.algorithm
    FROM unnest($1::dict_cid_row[]) AS given
    WHERE NOT EXISTS (
      SELECT FROM dict_cids c
      WHERE c.participant = given.participant AND c.key_type = given.key_type AND c.cid = given.cid AND c.removed_seq IS NULL
      OFFSET 0)`,
};

/** Inserts CIDs that count from their seq on, where they do not count already; answers how many that were. */
export async function insertCids(tx: Transaction, added: readonly StampedCids[], source: ChangeSource): Promise<number> {
  return await written(tx, add, added, [source]);
}

const remember: Prepared = {
  name: 'cids-remember',
  text: `INSERT INTO dict_cids (${insertColumns})
    SELECT given.participant, given.key_type, given.cid, given.key, given.seq, given.seq, given.at, given.at, $2, given.algorithm
    FROM unnest($1::dict_cid_row[]) AS given
    WHERE NOT EXISTS (
      SELECT FROM dict_cids c
      WHERE c.participant = given.participant AND c.key_type = given.key_type AND c.cid = given.cid
      OFFSET 0)`,
};

/** Keeps CIDs that never counted, unless the base knows them already. */
export async function insertHistory(tx: Transaction, met: readonly StampedCids[], source: ChangeSource): Promise<void> {
  await written(tx, remember, met, [source]);
}

async function written(
  tx: Transaction,
  statement: Prepared,
  stamped: readonly StampedCids[],
  values: readonly unknown[],
): Promise<number> {
  const rows = stamped.flatMap(({ scope, cids, seq, at, algorithm }) =>
    cids.map(({ cid, key }): ColumnValue[] => [scope.participant, scope.keyType, cid, key, seq, at, algorithm]),
  );
  if (rows.length === 0) return 0;
  const { rowCount } = await tx.prepared(statement, [rowsOf(await rowTypeOf(tx, 'dict_cid_row'), cidColumns, rows), ...values]);
  return rowCount;
}

/** Which of these CIDs counted as of `seq`, as lower-case hex. */
export async function membershipAsOf(sql: Sql, scope: Scope, cids: readonly Cid[], seq: number): Promise<Set<string>> {
  if (cids.length === 0) return new Set();
  const { rows } = await sql.query<{ cid: Buffer }>(
    `SELECT c.cid
     FROM ${cut('$3')} AS given
     JOIN dict_cids c ON c.participant = $1 AND c.key_type = $2 AND c.cid = given.cid
     WHERE c.added_seq <= $4 AND (c.removed_seq IS NULL OR c.removed_seq > $4)`,
    [scope.participant, scope.keyType, packCids(cids), seq],
  );
  return new Set(rows.map((row) => cidToHex(asCid(row.cid))));
}

/** The key that each of these CIDs was generated for, by lower-case hex; CIDs the base never had are absent. */
export async function keysOfCids(sql: Sql, scope: Scope, cids: readonly Cid[]): Promise<Map<string, string>> {
  if (cids.length === 0) return new Map();
  const { rows } = await sql.query<{ cid: Buffer; key: string }>(
    `SELECT DISTINCT ON (c.cid) c.cid, c.key
     FROM ${cut('$3')} AS given
     JOIN dict_cids c ON c.participant = $1 AND c.key_type = $2 AND c.cid = given.cid
     ORDER BY c.cid, c.added_seq DESC`,
    [scope.participant, scope.keyType, packCids(cids)],
  );
  return new Map(rows.map((row) => [cidToHex(asCid(row.cid)), row.key]));
}
