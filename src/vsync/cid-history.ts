/**
 * Every CID ever (dict_cids): which counted as of a seq, which key one belongs to, and the statements that write them. Many CIDs
 * travel as one packed bytea parameter, cut by the server: as a bytea[] in the driver's text protocol every byte would be
 * escaped hex inside an array literal, twice the bytes and a parse of each element.
 */

import { asCid, type Cid, type CidAlgorithm, cidToHex, packCids } from '../cid/cid.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import type { Scope } from './scope.ts';
import type { ChangeSource } from './vsync-journal.ts';

interface CidOfKey {
  readonly cid: Cid;
  readonly key: string;
}

interface Stamp {
  readonly seq: number;
  readonly at: Date;
  readonly source: ChangeSource;
  readonly algorithm: CidAlgorithm;
}

/** CIDs of the packed parameter `$n`, numbered from 1 as `at`. */
const cut = (parameter: string): string =>
  `(SELECT at, substring(${parameter}::bytea FROM (at - 1) * 32 + 1 FOR 32) AS cid
    FROM generate_series(1, octet_length(${parameter}::bytea) / 32) AS at)`;

/** CIDs and keys of the parameters `$3` and `$4`. Subscripts, ($4)[at], walk the array anew for each row: 70,000 took 6 s. */
const cidsAndKeys = `(SELECT key, substring($3::bytea FROM (at::int - 1) * 32 + 1 FOR 32) AS cid
    FROM unnest($4::text[]) WITH ORDINALITY AS named (key, at))`;

/** Marks CIDs that count as removed at `stamp.seq`; answers how many did count. */
export async function markRemoved(tx: Transaction, scope: Scope, cids: readonly CidOfKey[], stamp: Stamp): Promise<number> {
  if (cids.length === 0) return 0;
  const { rowCount } = await tx.query(
    `UPDATE dict_cids AS c SET removed_seq = $4, removed_at = $5
     FROM ${cut('$3')} AS given
     WHERE c.participant = $1 AND c.key_type = $2 AND c.cid = given.cid AND c.removed_seq IS NULL`,
    [scope.participant, scope.keyType, packed(cids), stamp.seq, stamp.at],
  );
  return rowCount;
}

/** Inserts CIDs that count from `stamp.seq` on, where they do not count already; answers how many that were. */
export async function insertCids(tx: Transaction, scope: Scope, cids: readonly CidOfKey[], stamp: Stamp): Promise<number> {
  if (cids.length === 0) return 0;
  const { rowCount } = await tx.query(
    `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, removed_seq, added_at, removed_at, source, algorithm)
     SELECT $1, $2, given.cid, given.key, $5, NULL, $6, NULL, $7, $8
     FROM ${cidsAndKeys} AS given
     WHERE NOT EXISTS (
       SELECT FROM dict_cids c
       WHERE c.participant = $1 AND c.key_type = $2 AND c.cid = given.cid AND c.removed_seq IS NULL)`,
    [scope.participant, scope.keyType, packed(cids), keysOf(cids), stamp.seq, stamp.at, stamp.source, stamp.algorithm],
  );
  return rowCount;
}

/** Keeps CIDs that never counted, unless the base knows them already. */
export async function insertHistory(tx: Transaction, scope: Scope, cids: readonly CidOfKey[], stamp: Stamp): Promise<void> {
  if (cids.length === 0) return;
  await tx.query(
    `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, removed_seq, added_at, removed_at, source, algorithm)
     SELECT $1, $2, given.cid, given.key, $5, $5, $6, $6, $7, $8
     FROM ${cidsAndKeys} AS given
     WHERE NOT EXISTS (SELECT FROM dict_cids c WHERE c.participant = $1 AND c.key_type = $2 AND c.cid = given.cid)`,
    [scope.participant, scope.keyType, packed(cids), keysOf(cids), stamp.seq, stamp.at, stamp.source, stamp.algorithm],
  );
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

function packed(cids: readonly CidOfKey[]): Uint8Array {
  return packCids(cids.map(({ cid }) => cid));
}

function keysOf(cids: readonly CidOfKey[]): string[] {
  return cids.map(({ key }) => key);
}
