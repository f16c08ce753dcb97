/**
 * The audit log: who did what to which participant's base, chained by hashes so that a row changed or cut out later shows.
 * Rows are appended inside the transaction of what they tell of, one chain per participant. Publishing them is not done here.
 */

import { createHash } from 'node:crypto';
import type { Sql, Transaction } from '../platform/postgres/database.ts';

export type AuditKind = 'verification' | 'reconciliation' | 'correction' | 'review' | 'approval' | 'access' | 'administration';

/** Who acted. `authenticated` is false where a name was merely given (the operating system's user, `--operator`). */
export interface Actor {
  readonly name: string;
  readonly authenticated: boolean;
}

/** The program itself, acting on a schedule or a rule. */
export const systemActor: Actor = { name: 'dict-vsync', authenticated: true };

export interface AuditRecord {
  readonly participant: string;
  readonly keyType: string | null;
  readonly occurredAt: Date;
  readonly actor: Actor;
  readonly kind: AuditKind;
  /** Upper-case words, such as VSYNC_CREATE_MISSING. */
  readonly action: string;
  readonly outcome: 'success' | 'failure';
  /** Masked by the caller: no key, name or CID in clear. Plain JSON. */
  readonly details: Readonly<Record<string, unknown>>;
  readonly correlationId: string | null;
}

const firstHash = Buffer.alloc(32);

/** JSON with the members of every object in order, so that a jsonb column's own order does not matter. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value instanceof Date) return JSON.stringify(value);
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  return JSON.stringify(value ?? null);
}

function chainHash(previous: Uint8Array, record: AuditRecord): Buffer {
  return createHash('sha256').update(previous).update(canonicalJson(record)).digest();
}

async function lockChain(transaction: Transaction, participant: string): Promise<Buffer> {
  await transaction.query(`SELECT pg_advisory_xact_lock(hashtextextended('audit_log ' || $1, 0))`, [participant]);
  const { rows } = await transaction.query<{ hash: Buffer }>(
    'SELECT hash FROM audit_log WHERE participant = $1 ORDER BY id DESC LIMIT 1',
    [participant],
  );
  return rows[0]?.hash ?? firstHash;
}

/** A record with its place in its participant's chain. */
interface ChainedRecord {
  readonly record: AuditRecord;
  readonly previous: Buffer;
  readonly hash: Buffer;
}

/**
 * Appends records to the chains of their participants. Holds a lock per participant until the transaction ends: call it last
 * in a transaction. Read committed only, since it must see the rows of whoever held the lock before.
 */
export async function appendAudit(transaction: Transaction, records: readonly AuditRecord[]): Promise<void> {
  const participants = [...new Set(records.map((record) => record.participant))].sort();
  for (const participant of participants) {
    let previous = await lockChain(transaction, participant);
    const chained: ChainedRecord[] = [];
    for (const record of records) {
      if (record.participant !== participant) continue;
      const hash = chainHash(previous, record);
      chained.push({ record, previous, hash });
      previous = hash;
    }
    await insertRecords(transaction, chained);
  }
}

/** One statement for all of them: the lock of the chain is held meanwhile. Ids follow the order that the rows are selected in. */
async function insertRecords(transaction: Transaction, chained: readonly ChainedRecord[]): Promise<void> {
  const rows = chained.map(({ record, previous, hash }) => ({
    participant: record.participant,
    key_type: record.keyType,
    occurred_at: record.occurredAt.toISOString(),
    actor: record.actor.name,
    authenticated: record.actor.authenticated,
    kind: record.kind,
    action: record.action,
    outcome: record.outcome,
    details: record.details,
    correlation_id: record.correlationId,
    previous_hash: previous.toString('hex'),
    hash: hash.toString('hex'),
  }));
  await transaction.query(
    `INSERT INTO audit_log (participant, key_type, occurred_at, actor, authenticated, kind, action, outcome, details,
       correlation_id, previous_hash, hash)
     SELECT participant, key_type, occurred_at, actor, authenticated, kind, action, outcome, details, correlation_id,
       decode(previous_hash, 'hex'), decode(hash, 'hex')
     FROM ROWS FROM (json_to_recordset($1) AS (participant text, key_type text, occurred_at timestamptz, actor text,
       authenticated boolean, kind text, action text, outcome text, details jsonb, correlation_id text, previous_hash text,
       hash text)) WITH ORDINALITY AS given (participant, key_type, occurred_at, actor, authenticated, kind, action, outcome,
       details, correlation_id, previous_hash, hash, position)
     ORDER BY position`,
    [JSON.stringify(rows)],
  );
}

interface AuditRow {
  id: number;
  key_type: string | null;
  occurred_at: Date;
  actor: string;
  authenticated: boolean;
  kind: AuditKind;
  action: string;
  outcome: 'success' | 'failure';
  details: Record<string, unknown>;
  correlation_id: string | null;
  previous_hash: Buffer;
  hash: Buffer;
}

/** A row of the log as it can be shown. */
export interface AuditEntry extends AuditRecord {
  readonly id: number;
}

async function readRows(sql: Sql, participant: string, afterId: number, limit: number): Promise<AuditRow[]> {
  const { rows } = await sql.query<AuditRow>(
    `SELECT id, key_type, occurred_at, actor, authenticated, kind, action, outcome, details, correlation_id, previous_hash, hash
     FROM audit_log WHERE participant = $1 AND id > $2 ORDER BY id LIMIT $3`,
    [participant, afterId, limit],
  );
  return rows;
}

function recordOf(participant: string, row: AuditRow): AuditRecord {
  return {
    participant,
    keyType: row.key_type,
    occurredAt: row.occurred_at,
    actor: { name: row.actor, authenticated: row.authenticated },
    kind: row.kind,
    action: row.action,
    outcome: row.outcome,
    details: row.details,
    correlationId: row.correlation_id,
  };
}

/** The newest rows of a participant, oldest first; at most `limit`. */
export async function readAudit(sql: Sql, participant: string, limit: number): Promise<AuditEntry[]> {
  const { rows } = await sql.query<{ id: number }>(
    'SELECT id FROM audit_log WHERE participant = $1 ORDER BY id DESC OFFSET $2 LIMIT 1',
    [participant, limit],
  );
  const page = await readRows(sql, participant, rows[0]?.id ?? 0, limit);
  return page.map((row) => ({ id: row.id, ...recordOf(participant, row) }));
}

const pageRows = 1_000;

/**
 * Recomputes a participant's whole chain. A row that was altered, or whose predecessor was cut out, is the first one named;
 * rows cut off the end cannot be seen from inside, so compare `rows` and `lastHash` with a copy kept elsewhere.
 */
export async function checkAuditChain(
  sql: Sql,
  participant: string,
): Promise<{ intact: true; rows: number; lastHash: string } | { intact: false; brokenAtId: number }> {
  let previous: Buffer = firstHash;
  let afterId = 0;
  let count = 0;
  // Ends with the first page that is not full.
  for (;;) {
    const page = await readRows(sql, participant, afterId, pageRows);
    for (const row of page) {
      const expected = chainHash(previous, recordOf(participant, row));
      if (!row.previous_hash.equals(previous) || !row.hash.equals(expected)) return { intact: false, brokenAtId: row.id };
      previous = row.hash;
      afterId = row.id;
      count += 1;
    }
    if (page.length < pageRows) return { intact: true, rows: count, lastHash: previous.toString('hex') };
  }
}
