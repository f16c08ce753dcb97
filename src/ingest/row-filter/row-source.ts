/**
 * What a part of a base is read from, as the FROM and WHERE of a statement that is sent without parameters: values stand in the text,
 * quoted by the driver. They are participants, key types and numbers, never what a user typed.
 */

import { escapeLiteral } from 'pg';
import { KEY_TYPES, type KeyType } from '../../dict/key-type.ts';
import type { Participant } from '../../dict/participant.ts';
import { BUCKET_COUNT } from '../../vsync/buckets.ts';
import { ENTRY_COLUMNS } from '../entry-row.ts';
import type { BlockRange } from './table-files.ts';

export interface SourceScopes {
  readonly participant: Participant;
  readonly keyTypes: readonly KeyType[];
}

/** Rows of a block range, or, without one, of all of the participant by its index. Rows of other key types may be among them. */
export function entriesSource(scopes: SourceScopes, range: BlockRange | null): string {
  return `FROM ${from('dict_entries', range)} WHERE ${within(range)}${ofScopes(scopes)}`;
}

/** CIDs that count, or did after that seq, in a block range or of all of the participant; also of other key types. */
export function cidsSource(scopes: SourceScopes, seq: number, range: BlockRange | null): string {
  const counting = `(removed_seq IS NULL OR removed_seq > ${seq})`;
  return `FROM ${from('dict_cids', range)} WHERE ${within(range)}${ofScopes(scopes)} AND ${counting}`;
}

/**
 * Rows of one key type whose own CID is in one of the buckets, bucket by bucket by the index dict_entries_by_bucket. What else is asked of
 * them stands outside: a planner that knows nothing of the base took the primary key for it, and read the whole key type for each bucket.
 */
export function entriesInBuckets(participant: Participant, keyType: KeyType, buckets: readonly number[]): string {
  const one = { participant, keyTypes: [keyType] };
  return `FROM unnest(ARRAY[${buckets.join(', ')}]) AS wanted (bucket) CROSS JOIN LATERAL (
    SELECT ${ENTRY_COLUMNS} FROM dict_entries
    WHERE get_byte(cid, 0) * 256 + get_byte(cid, 1) = wanted.bucket AND cid IS NOT NULL OFFSET 0) AS e
    WHERE ${ofScopes(one)}`;
}

/** CIDs of one key type in the buckets that count now. */
export function cidsInBuckets(participant: Participant, keyType: KeyType, buckets: readonly number[]): string {
  const one = { participant, keyTypes: [keyType] };
  return `FROM ${ranges(buckets)} JOIN dict_cids c ON c.cid >= range.low AND c.cid < range.high
    WHERE ${ofScopes(one)} AND removed_seq IS NULL`;
}

function from(table: string, range: BlockRange | null): string {
  return range === null ? table : `ONLY ${range.name}`;
}

function within(range: BlockRange | null): string {
  return range === null ? '' : `ctid >= '(${range.from},0)' AND ctid < '(${range.to},0)' AND `;
}

/** Without the key types where all are wanted: comparing each row with five names costs more than passing over a stray one. */
function ofScopes({ participant, keyTypes }: SourceScopes): string {
  const names = keyTypes.map((keyType) => escapeLiteral(keyType));
  const ofTypes = keyTypes.length === KEY_TYPES.length ? '' : ` AND key_type IN (${names.join(', ')})`;
  return `participant = ${escapeLiteral(participant)}${ofTypes}`;
}

function ranges(buckets: readonly number[]): string {
  const bound = (bucket: number): string =>
    bucket === BUCKET_COUNT ? `'\\x${'ff'.repeat(33)}'` : `'\\x${bucket.toString(16).padStart(4, '0')}'`;
  const values = buckets.map((bucket) => `(${bound(bucket)}::bytea, ${bound(bucket + 1)}::bytea)`);
  return `(VALUES ${values.join(', ')}) AS range (low, high)`;
}
