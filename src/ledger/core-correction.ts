/**
 * Corrections that the participant's core system, the owner of the accounts, has been told of. Ours is a mirror: until the
 * core's own event carries the same state (the echo) or acknowledges it, the correction is pending at core and has an age.
 */

import type { Entry } from '../dict/entry.ts';
import { assert } from '../platform/assert.ts';
import { arrayOf } from '../platform/postgres/binary-parameters.ts';
import type { Prepared, Sql, Transaction } from '../platform/postgres/database.ts';
import { appendOutbox } from './outbox.ts';

/** What the core shall do: hold this entry under this CID, or not hold the key any more. */
export type CoreCorrection =
  | { readonly correction: 'upsert'; readonly cid: Uint8Array; readonly entry: Entry; readonly requestId: string }
  | { readonly correction: 'delete' };

export interface CorrectedKey {
  readonly participant: string;
  readonly key: string;
  readonly keyType: string;
}

/** A correction of one key. */
export interface KeyCorrection extends CorrectedKey {
  readonly correction: CoreCorrection;
}

/**
 * Tells the core of corrections, in the transaction of the repairs. Earlier ones for the same keys are superseded. Each key at most
 * once per call.
 */
export async function tellCore(
  transaction: Transaction,
  corrections: readonly KeyCorrection[],
  now: Date,
  correlationId: string | null,
): Promise<void> {
  if (corrections.length === 0) return;
  await supersede(transaction, corrections, now);
  const ids = await insertCorrections(transaction, corrections, now);
  await appendOutbox(
    transaction,
    corrections.map(({ participant, key, keyType, correction }) => {
      const id = ids.get(`${participant} ${key}`);
      assert(id !== undefined, 'every correction was written');
      const state =
        correction.correction === 'upsert'
          ? { entry: correction.entry, request_id: correction.requestId, cid: hexOf(correction) }
          : {};
      return {
        type: 'br.dict.vsync.CoreCorrectionRequested',
        participant,
        partitionKey: key,
        payload: { correction_id: id, correction: correction.correction, key, key_type: keyType, ...state },
        occurredAt: now,
        correlationId,
      };
    }),
  );
}

async function supersede(transaction: Transaction, corrections: readonly CorrectedKey[], now: Date): Promise<void> {
  await transaction.query(
    `UPDATE core_corrections AS pending SET settled_at = $3, settled_by = 'superseded'
     FROM unnest($1::text[], $2::text[]) AS given (participant, key)
     WHERE pending.participant = given.participant AND pending.key = given.key AND pending.settled_at IS NULL`,
    [corrections.map(({ participant }) => participant), corrections.map(({ key }) => key), now],
  );
}

/** The ids of the rows, by participant and key. */
async function insertCorrections(
  transaction: Transaction,
  corrections: readonly KeyCorrection[],
  now: Date,
): Promise<Map<string, string>> {
  const given = corrections.map(({ participant, key, keyType, correction }) => ({
    participant,
    key,
    key_type: keyType,
    correction: correction.correction,
    cid: hexOf(correction),
  }));
  const { rows } = await transaction.query<{ id: string; participant: string; key: string }>(
    `INSERT INTO core_corrections (id, participant, key, key_type, correction, cid, told_at)
     SELECT gen_random_uuid(), participant, key, key_type, correction, decode(cid, 'hex'), $2
     FROM json_to_recordset($1) AS given (participant text, key text, key_type text, correction text, cid text)
     RETURNING id, participant, key`,
    [JSON.stringify(given), now],
  );
  return new Map(rows.map(({ id, participant, key }) => [`${participant} ${key}`, id]));
}

function hexOf(correction: CoreCorrection): string | null {
  return correction.correction === 'upsert' ? Buffer.from(correction.cid).toString('hex') : null;
}

/** The state that an event of the core's showed for a key: the CID it then has, or null when the core deleted it. */
export interface CoreState {
  readonly participant: string;
  readonly key: string;
  readonly cid: Uint8Array | null;
}

const anyPending: Prepared = {
  name: 'corrections-any-pending',
  text: `SELECT participant FROM core_corrections WHERE settled_at IS NULL AND participant = ANY ($1) LIMIT 1`,
};

const settleEchoed: Prepared = {
  name: 'corrections-settle-echoed',
  text: `UPDATE core_corrections AS pending
    SET settled_at = $4, settled_by = CASE WHEN pending.cid IS NOT DISTINCT FROM found.cid THEN 'echo' ELSE 'superseded' END
    FROM (
      SELECT told.place, state.cid
      FROM unnest($1::text[], $2::text[], $3::bytea[]) AS state (participant, key, cid)
      CROSS JOIN LATERAL (
        SELECT ctid AS place FROM core_corrections
        WHERE participant = state.participant AND key = state.key AND settled_at IS NULL OFFSET 0) AS told) AS found
    WHERE pending.ctid = found.place`,
};

/**
 * Settles pending corrections that events of the core have carried out; one that an event contradicts is superseded by it.
 * Give each key once, with the last state that the batch showed.
 */
export async function settleByEcho(transaction: Transaction, states: readonly CoreState[], now: Date): Promise<void> {
  if (states.length === 0) return;
  // Asked first: mostly nothing is pending, and nothing comes meanwhile, since who tells the core holds the scope's VSync row.
  const { rows } = await transaction.prepared(anyPending, [[...new Set(states.map(({ participant }) => participant))]]);
  if (rows.length === 0) return;
  await transaction.prepared(settleEchoed, [
    arrayOf(
      'text',
      states.map(({ participant }) => participant),
    ),
    arrayOf(
      'text',
      states.map(({ key }) => key),
    ),
    arrayOf(
      'bytea',
      states.map(({ cid }) => cid),
    ),
    now,
  ]);
}

/**
 * The core says that it has carried out what it was told for this key; with a CID (lower-case hex), only if that was it. Returns
 * whether anything was pending.
 */
export async function settleByAcknowledgement(
  transaction: Transaction,
  { participant, key, cid }: { readonly participant: string; readonly key: string; readonly cid?: string | null },
  now: Date,
): Promise<boolean> {
  const { rowCount } = await transaction.query(
    `UPDATE core_corrections SET settled_at = $3, settled_by = 'acknowledged'
     WHERE participant = $1 AND key = $2 AND settled_at IS NULL AND ($4::text IS NULL OR cid = decode($4, 'hex'))`,
    [participant, key, now, cid ?? null],
  );
  return rowCount > 0;
}

/** How many corrections wait for the core, and since when the oldest does, per participant and key type. */
export async function pendingAtCore(
  sql: Sql,
): Promise<{ participant: string; keyType: string; pending: number; oldestToldAt: Date }[]> {
  const { rows } = await sql.query<{ participant: string; key_type: string; pending: number; oldest: Date }>(
    `SELECT participant, key_type, count(*) AS pending, min(told_at) AS oldest
     FROM core_corrections WHERE settled_at IS NULL GROUP BY participant, key_type`,
  );
  return rows.map((row) => ({
    participant: row.participant,
    keyType: row.key_type,
    pending: row.pending,
    oldestToldAt: row.oldest,
  }));
}
