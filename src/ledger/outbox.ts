/**
 * Messages to other systems, written inside the transaction of what they tell of, so that none is lost and none tells of what
 * was rolled back. Delivering them is another process's work.
 */

import type { Transaction } from '../platform/postgres/database.ts';

export interface OutboxMessage {
  /** Such as br.dict.vsync.CoreCorrectionRequested. */
  readonly type: string;
  readonly participant: string;
  /** Messages of one partition key are delivered in order. */
  readonly partitionKey: string;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly occurredAt: Date;
  readonly correlationId: string | null;
}

/** Appends messages; they leave once the transaction has been committed. */
export async function appendOutbox(transaction: Transaction, messages: readonly OutboxMessage[]): Promise<void> {
  if (messages.length === 0) return;
  const rows = messages.map((message) => ({
    type: message.type,
    participant: message.participant,
    partition_key: message.partitionKey,
    payload: message.payload,
    occurred_at: message.occurredAt.toISOString(),
    correlation_id: message.correlationId,
  }));
  await transaction.query(
    `INSERT INTO event_outbox (id, type, participant, partition_key, payload, occurred_at, correlation_id)
     SELECT gen_random_uuid(), type, participant, partition_key, payload, occurred_at, correlation_id
     FROM jsonb_to_recordset($1) AS message (type text, participant text, partition_key text, payload jsonb,
       occurred_at timestamptz, correlation_id text)`,
    [JSON.stringify(rows)],
  );
}
