/**
 * The anchor of one participant and key type: where DICT's log and our history were last known to agree, and on what they did
 * not. Everything after it is explained from the log; nothing before it is read again. See the table for the columns.
 */

import { assert } from '../platform/assert.ts';
import type { Sql, Transaction } from '../platform/postgres/database.ts';
import { asVSync, type VSync } from '../vsync/vsync.ts';
import type { Scope } from '../vsync/vsync-store.ts';
import type { Difference } from './explanation.ts';

/** At `dictTime` at the latest, DICT's set had the VSync `verifier` and was ours as of `seq`, but for `exceptions`. */
export interface EventCursor {
  readonly seq: number;
  readonly dictTime: Date;
  readonly verifier: VSync;
  readonly exceptions: readonly Difference[];
  readonly proof: 'ok' | 'log';
}

const recordBytes = 40;
const cidBytes = 32;
const noTime = 0xffff_ffff_ffff_ffffn;

/** More exceptions than this are no anchor: what differs that much is compared with the file. */
const exceptionsMax = 20_000;

function pack(exceptions: readonly Difference[]): Buffer {
  const packed = Buffer.allocUnsafe(exceptions.length * recordBytes);
  for (const [index, { cid, sinceMs }] of exceptions.entries()) {
    packed.write(cid, index * recordBytes, 'hex');
    packed.writeBigUInt64BE(sinceMs === null ? noTime : BigInt(Math.trunc(sinceMs)), index * recordBytes + cidBytes);
  }
  return packed;
}

/** The CIDs of the exceptions and since when they differ; which side has them follows from our history. */
function unpack(packed: Buffer): Map<string, number | null> {
  assert(packed.length % recordBytes === 0, `exceptions of ${packed.length} bytes`);
  const exceptions = new Map<string, number | null>();
  for (let at = 0; at < packed.length; at += recordBytes) {
    const since = packed.readBigUInt64BE(at + cidBytes);
    exceptions.set(packed.toString('hex', at, at + cidBytes), since === noTime ? null : Number(since));
  }
  return exceptions;
}

/** An anchor as it is read back. */
export interface StoredCursor extends Omit<EventCursor, 'exceptions'> {
  readonly exceptions: ReadonlyMap<string, number | null>;
}

/** The anchor; null where none was ever proven. */
export async function readCursor(sql: Sql, scope: Scope): Promise<StoredCursor | null> {
  const { rows } = await sql.query<{ seq: number; dict_time: Date; verifier: Buffer; exceptions: Buffer; proof: 'ok' | 'log' }>(
    `SELECT seq, dict_time, verifier, exceptions, proof FROM dict_event_cursors WHERE participant = $1 AND key_type = $2`,
    [scope.participant, scope.keyType],
  );
  const row = rows[0];
  if (row === undefined) return null;
  return {
    seq: row.seq,
    dictTime: row.dict_time,
    verifier: asVSync(row.verifier),
    exceptions: unpack(row.exceptions),
    proof: row.proof,
  };
}

/**
 * Moves the anchor forward; an earlier one than the stored is ignored, since whoever moved it knew more. Verification calls it;
 * so may a reconciliation that has matched a CID set file with a position of the log.
 */
export async function moveCursor(tx: Transaction, scope: Scope, cursor: EventCursor, now: Date): Promise<void> {
  if (cursor.exceptions.length > exceptionsMax) return;
  await tx.query(
    `INSERT INTO dict_event_cursors AS c (participant, key_type, seq, dict_time, verifier, exceptions, proof, moved_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
     ON CONFLICT (participant, key_type) DO UPDATE
     SET seq = excluded.seq, dict_time = excluded.dict_time, verifier = excluded.verifier, exceptions = excluded.exceptions,
         proof = excluded.proof, moved_at = excluded.moved_at
     WHERE c.dict_time <= excluded.dict_time AND c.seq <= excluded.seq`,
    [
      scope.participant,
      scope.keyType,
      cursor.seq,
      cursor.dictTime,
      Buffer.from(cursor.verifier),
      pack(cursor.exceptions),
      cursor.proof,
      now,
    ],
  );
}
