/**
 * How far a scan or a rebuild of a participant's key types has come, kept so that it can be interrupted, also by a kill, and go on. Rows
 * read as of a seq stay right however much later it goes on; what changed meanwhile is compared again as of one moment.
 */

import { hash } from 'node:crypto';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import { errorCode } from '../platform/postgres/errors.ts';
import { decodeBuckets, encodeBuckets, type StoredSums } from '../vsync/bucket-store.ts';
import type { Buckets } from '../vsync/buckets.ts';
import type { Scope } from '../vsync/scope.ts';
import { asVSync } from '../vsync/vsync.ts';
import { decodePairSums, emptyPairSums, encodePairSums, type PairSeed, type PairSums } from './row-filter/pair-sums.ts';
import type { TableFile } from './row-filter/table-files.ts';
import { clearFindings } from './scan-store.ts';

export type ScanKind = 'scan' | 'rebuild';

/** What is being done; migrations/000010 says what each is. */
export type ScanPhase = 'entries' | 'cids' | 'buckets' | 'sums' | 'keys' | 'done';

/** One participant's part of a scan. Phase, position and what stands in the scopes change in place as it goes on. */
export interface ScanRun {
  readonly id: string;
  readonly participant: Participant;
  readonly kind: ScanKind;
  readonly acceptAltered: boolean;
  /** The files of dict_entries; none where the participant's rows are so few that they are read by their index. */
  readonly files: readonly TableFile[];
  readonly token: number;
  readonly scopes: readonly ScanScope[];
  phase: ScanPhase;
  position: number;
}

/** One key type of it. */
export interface ScanScope {
  readonly keyType: KeyType;
  /** As of which CIDs are counted; 0 until they are read. */
  seq: number;
  /** What was stored in the moment as of which they were read; null until then. */
  stored: StoredSums | null;
  /** Rows looked at, tombstones included. */
  entries: number;
  readonly pairs: PairSums;
  /** The buckets of the CIDs that count as of the seq; null until they are read. */
  counted: Buckets | null;
  /** Findings by kind, or keys by what became of them. */
  readonly tally: Record<string, number>;
}

/** Another process has gone on with this scan, and this one ends. */
export class ScanTakenOver extends Error {
  override readonly name = 'ScanTakenOver';

  constructor(id: string) {
    super(`another process goes on with ${id}`);
  }
}

/** Scopes by participant: each is scanned in one go, all its key types at once. */
export function byParticipant(scopes: readonly Scope[]): Map<Participant, KeyType[]> {
  const grouped = new Map<Participant, KeyType[]>();
  for (const { participant, keyType } of scopes) grouped.set(participant, [...(grouped.get(participant) ?? []), keyType]);
  return grouped;
}

/** What a part of a run is of. */
export function scopeOf({ participant }: Pick<ScanRun, 'participant'>, { keyType }: Pick<ScanScope, 'keyType'>): Scope {
  return { participant, keyType };
}

/** Unfinished scans older than this are forgotten when a new one begins. */
const keptMs = 7 * 86_400_000;

/** The seed of a scan's hashes: unknown to anybody before the scan has its id. */
export function seedOf({ id }: Pick<ScanRun, 'id'>): PairSeed {
  const bytes = hash('sha256', id, 'buffer');
  return { low: bytes.readInt32LE(0), high: bytes.readInt32LE(4) };
}

/** A new run with nothing done, in place of what was there under the same id. */
export async function insertRun(
  tx: Transaction,
  run: Pick<ScanRun, 'id' | 'participant' | 'kind' | 'acceptAltered' | 'files'> & { readonly keyTypes: readonly KeyType[] },
  now: Date,
): Promise<ScanRun> {
  const { id, participant, kind, acceptAltered, files, keyTypes } = run;
  await tx.query('DELETE FROM scan_runs WHERE participant = $1 AND (id = $2 OR (kind = $3 AND updated_at < $4))', [
    ...[participant, id, kind, new Date(now.getTime() - keptMs)],
  ]);
  await tx.query(
    `INSERT INTO scan_runs (id, participant, kind, accept_altered, phase, position, files, token, started_at, updated_at)
     VALUES ($1, $2, $3, $4, 'entries', 0, $5, 1, $6, $6)`,
    [id, participant, kind, acceptAltered, JSON.stringify(files), now],
  );
  const scopes = keyTypes.map((keyType): ScanScope => {
    return { keyType, seq: 0, stored: null, entries: 0, pairs: emptyPairSums(), counted: null, tally: {} };
  });
  for (const { keyType, pairs } of scopes) {
    if (kind === 'scan') await clearFindings(tx, id, { participant, keyType });
    await tx.query(
      `INSERT INTO scan_scopes (scan_id, participant, key_type, seq, entries, pair_sums, tally) VALUES ($1, $2, $3, 0, 0, $4, '{}')`,
      [id, participant, keyType, encodePairSums(pairs)],
    );
  }
  return { id, participant, kind, acceptAltered, files, token: 1, scopes, phase: 'entries', position: 0 };
}

interface RunRow {
  kind: ScanKind;
  accept_altered: boolean;
  phase: ScanPhase;
  position: number;
  files: TableFile[];
  token: number;
}

interface ScopeRow {
  key_type: KeyType;
  seq: number;
  stored_seq: number | null;
  vsync: Buffer | null;
  keys: number | null;
  stored_xors: Buffer | null;
  stored_counts: Buffer | null;
  stored_fault: string | null;
  entries: number;
  pair_sums: Buffer;
  cid_xors: Buffer | null;
  cid_counts: Buffer | null;
  tally: Record<string, number>;
}

/** Takes over what there is of a scan of one participant, from whoever works on it; null where there is nothing. */
export async function takeRun(tx: Transaction, id: string, participant: Participant, now: Date): Promise<ScanRun | null> {
  const { rows } = await tx.query<RunRow>(
    `UPDATE scan_runs SET token = token + 1, updated_at = $3 WHERE id = $1 AND participant = $2
     RETURNING kind, accept_altered, phase, position, files, token`,
    [id, participant, now],
  );
  const [row] = rows;
  if (row === undefined) return null;
  const { rows: scopes } = await tx.query<ScopeRow>(
    `SELECT key_type, seq, stored_seq, vsync, keys, stored_xors, stored_counts, stored_fault, entries, pair_sums, cid_xors, cid_counts,
       tally
     FROM scan_scopes WHERE scan_id = $1 AND participant = $2`,
    [id, participant],
  );
  const { kind, accept_altered: acceptAltered, phase, position, files, token } = row;
  return { id, participant, kind, acceptAltered, files, token, scopes: scopes.map(scopeOfRow).sort(byKeyType), phase, position };
}

/** As `insertRun` is given them: the position among the buckets counts on it. */
function byKeyType(a: ScanScope, b: ScanScope): number {
  return a.keyType < b.keyType ? -1 : 1;
}

function scopeOfRow(row: ScopeRow): ScanScope {
  const buckets = (xors: Buffer | null, counts: Buffer | null): Buckets | null =>
    xors === null || counts === null ? null : decodeBuckets(xors, counts);
  const { stored_seq: seq, vsync, keys, stored_fault: fault } = row;
  const stored =
    seq === null || vsync === null || keys === null
      ? null
      : { seq, vsync: asVSync(vsync), keys, fault, buckets: buckets(row.stored_xors, row.stored_counts) };
  return {
    ...{ keyType: row.key_type, seq: row.seq, stored, entries: row.entries, tally: row.tally },
    pairs: decodePairSums(row.pair_sums),
    counted: buckets(row.cid_xors, row.cid_counts),
  };
}

/** A scan or rebuild that was begun and not finished. */
export interface UnfinishedRun {
  readonly id: string;
  readonly acceptAltered: boolean;
  /** What of it was begun; other participants may not have been. */
  readonly scopes: readonly Scope[];
  /** When it last kept how far it had come: every few seconds while it runs. */
  readonly updatedAt: Date;
}

/** Those of a kind that nobody has finished, the latest first. */
export async function readUnfinished(sql: Sql, kind: ScanKind): Promise<UnfinishedRun[]> {
  const { rows } = await sql.query<{ id: string; accept_altered: boolean; scopes: Scope[]; updated_at: Date }>(
    `SELECT r.id, bool_or(r.accept_altered) AS accept_altered, max(r.updated_at) AS updated_at,
       json_agg(json_build_object('participant', s.participant, 'keyType', s.key_type)) AS scopes
     FROM scan_runs r
     JOIN scan_scopes s ON s.scan_id = r.id AND s.participant = r.participant
     WHERE r.kind = $1
     GROUP BY r.id
     ORDER BY max(r.updated_at) DESC`,
    [kind],
  );
  return rows.map(({ id, accept_altered, scopes, updated_at }) => {
    return { id, acceptAltered: accept_altered, scopes, updatedAt: updated_at };
  });
}

/** What PostgreSQL says in a snapshot of a row that somebody has changed since. */
const serializationFailure = '40001';

/** Keeps how far it has come. Rejects with `ScanTakenOver` where another process goes on with it, or did to the end. */
export async function saveRun(sql: Sql, run: ScanRun, now: Date): Promise<void> {
  try {
    const { rowCount } = await sql.query(
      'UPDATE scan_runs SET phase = $4, position = $5, updated_at = $6 WHERE id = $1 AND participant = $2 AND token = $3',
      [run.id, run.participant, run.token, run.phase, run.position, now],
    );
    if (rowCount === 0) throw new ScanTakenOver(run.id);
  } catch (cause) {
    throw errorCode(cause) === serializationFailure ? new ScanTakenOver(run.id) : cause;
  }
}

/** Keeps a key type's rows, findings and sums of pairs. */
export async function saveScope(sql: Sql, run: ScanRun, scope: ScanScope): Promise<void> {
  await sql.query(
    'UPDATE scan_scopes SET entries = $4, pair_sums = $5, tally = $6 WHERE scan_id = $1 AND participant = $2 AND key_type = $3',
    [run.id, run.participant, scope.keyType, scope.entries, encodePairSums(scope.pairs), JSON.stringify(scope.tally)],
  );
}

/** Keeps what the CIDs of a key type came to, and what was stored at that moment. */
export async function saveCids(sql: Sql, run: ScanRun, scope: ScanScope): Promise<void> {
  const { stored } = scope;
  if (stored === null) return;
  const kept = stored.buckets === null ? null : encodeBuckets(stored.buckets);
  await sql.query(
    `UPDATE scan_scopes SET stored_seq = $4, vsync = $5, keys = $6, stored_xors = $7, stored_counts = $8, stored_fault = $9
     WHERE scan_id = $1 AND participant = $2 AND key_type = $3`,
    [
      ...[run.id, run.participant, scope.keyType, stored.seq, stored.vsync, stored.keys],
      ...[kept?.xors ?? null, kept?.counts ?? null, stored.fault],
    ],
  );
  await saveCounted(sql, run, scope);
}

/** Keeps the buckets of the CIDs of a key type, and as of which seq they are. */
export async function saveCounted(sql: Sql, run: ScanRun, scope: ScanScope): Promise<void> {
  const kept = scope.counted === null ? null : encodeBuckets(scope.counted);
  await sql.query(
    'UPDATE scan_scopes SET seq = $4, cid_xors = $5, cid_counts = $6 WHERE scan_id = $1 AND participant = $2 AND key_type = $3',
    [run.id, run.participant, scope.keyType, scope.seq, kept?.xors ?? null, kept?.counts ?? null],
  );
}

/** Keeps only the tally, after a page of keys. */
export async function saveTally(sql: Sql, run: ScanRun, scope: ScanScope): Promise<void> {
  await sql.query('UPDATE scan_scopes SET tally = $4 WHERE scan_id = $1 AND participant = $2 AND key_type = $3', [
    ...[run.id, run.participant, scope.keyType, JSON.stringify(scope.tally)],
  ]);
}

/** Forgets a scan that is done. */
export async function deleteRuns(sql: Sql, id: string): Promise<void> {
  await sql.query('DELETE FROM scan_runs WHERE id = $1', [id]);
}
