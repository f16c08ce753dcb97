/**
 * Rows of dict_entries as the server sends them, each with the answer whether its attributes hash to its own CID. No string and
 * no object is made for a row: its message goes from the socket's buffer into a batch of HMACs, and one view is moved over the batch
 * when it is full. For algorithm `dict`; any other is plain-entries.ts.
 */

import { CID_BYTES } from '../../cid/cid.ts';
import { cidBatch } from '../../cid/cid-batch.ts';
import { hmacSha256 } from '../../cid/dict-cid.ts';
import type { KeyType } from '../../dict/key-type.ts';
import type { Participant } from '../../dict/participant.ts';
import { assert } from '../../platform/assert.ts';
import type { Transaction } from '../../platform/postgres/database.ts';
import { type OnRow, type RowsQuery, rowReader, rowsOut } from '../../platform/postgres/rows-out.ts';
import type { PairPlace } from './pair-sums.ts';

/** One row that has a CID. The same object for all rows: read what is needed before returning. */
export interface EntryView extends PairPlace {
  /** Which of the key types. */
  scope: number;
  active: boolean;
  /** The attributes hash to the row's own CID. */
  sound: boolean;
}

export interface EntryReader {
  /** Reads the rows of a source (row-source.ts); calls back for those that have a CID. Answers how many there were of each key type. */
  read(tx: Transaction, source: string, onEntry: (view: EntryView) => void): Promise<number[]>;
}

/**
 * The rows of a source (row-source.ts): what is compared, then the hashed attributes in their order, the key type and participant being
 * known. Also wasm/base-rows.ts counts on it.
 */
export function entryQuery(source: string): RowsQuery {
  const texts = 'key, owner_tax_id, owner_name, owner_trade_name, branch, account_number, account_type';
  return {
    statement: `SELECT status, key_type, request_id, cid, ${texts} ${source}`,
    columns: ['text', 'text', 'binary', 'binary', ...texts.split(', ').map(() => 'text' as const)],
  };
}
const status = 0;
const keyTypeField = 1;
const requestId = 2;
const cid = 3;
const keyField = 4;
/** The participant is hashed between trade name and branch. */
const branch = 8;
const fieldCount = 11;
const ampersand = 0x26;
/** The first letters of ACTIVE, ORPHANED and PENDING; a row of any other status has no CID that could be wrong. */
const activeLetter = 0x41;
const orphanedLetter = 0x4f;
const pendingLetter = 0x50;
const requestIdBytes = 16;
const rowsMax = 4_096;
const shortBytes = 64;

/** A reader of one participant's rows. It may be used again, not twice at once. */
export function dictEntryReader(participant: Participant, keyTypes: readonly KeyType[]): EntryReader {
  const names = keyTypes.map((keyType) => Buffer.from(keyType));
  const fields = emptyFields();
  let sink: (view: EntryView) => void = () => {};
  const hashing = hashedRows(Buffer.from(participant), (view) => sink(view));
  return {
    async read(tx, source, onEntry) {
      const counts = keyTypes.map(() => 0);
      sink = onEntry;
      const onRow: OnRow = (buffer, from, to) => {
        findFields(fields, buffer, from, to);
        const scope = scopeOf(fields, names);
        if (scope < 0) return;
        counts[scope] = (counts[scope] ?? 0) + 1;
        const letter = buffer[start(fields, status)];
        if (letter === activeLetter || letter === orphanedLetter || letter === pendingLetter) {
          hashing.add(fields, scope, letter === activeLetter);
        }
      };
      await rowsOut(tx.connection, entryQuery(source), rowReader(onRow));
      hashing.flush();
      return counts;
    },
  };
}

/** Where the fields of one row stand. */
interface Fields {
  buffer: Buffer;
  readonly starts: Int32Array;
  /** -1: null. */
  readonly lengths: Int32Array;
}

function emptyFields(): Fields {
  return { buffer: Buffer.alloc(0), starts: new Int32Array(fieldCount), lengths: new Int32Array(fieldCount) };
}

function start(fields: Fields, field: number): number {
  return fields.starts[field] ?? 0;
}

function length(fields: Fields, field: number): number {
  return fields.lengths[field] ?? 0;
}

function findFields(fields: Fields, buffer: Buffer, from: number, to: number): void {
  fields.buffer = buffer;
  let at = from + 2;
  for (let field = 0; field < fieldCount; field++) {
    const bytes = buffer.readInt32BE(at);
    at += 4;
    fields.starts[field] = at;
    fields.lengths[field] = bytes;
    if (bytes > 0) at += bytes;
  }
  assert(at === to, `a row of dict_entries ends at ${at}, not at ${to}`);
}

/** Which key type it is of; -1: one that was not asked for. */
function scopeOf(fields: Fields, names: readonly Buffer[]): number {
  const from = start(fields, keyTypeField);
  const to = from + length(fields, keyTypeField);
  return names.findIndex((name) => fields.buffer.compare(name, 0, name.length, from, to) === 0);
}

interface HashedRows {
  add(fields: Fields, scope: number, active: boolean): void;
  flush(): void;
}

/** Rows that wait for their HMAC. */
function hashedRows(participant: Buffer, onEntry: (view: EntryView) => void): HashedRows {
  const batch = cidBatch();
  const bytes = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength);
  const cids = Buffer.alloc(rowsMax * CID_BYTES);
  const scopes = new Uint16Array(rowsMax);
  const actives = new Uint8Array(rowsMax);
  const keysFrom = new Int32Array(rowsMax);
  const keysTo = new Int32Array(rowsMax);
  const view = emptyView(cids, bytes);

  function flush(): void {
    const rows = batch.size;
    const computed = batch.compute();
    for (let row = 0; row < rows; row++) {
      view.scope = scopes[row] ?? 0;
      view.active = actives[row] === 1;
      view.cidAt = row * CID_BYTES;
      view.sound = sameCid(computed, view.cidAt, cids, view.cidAt);
      view.keyFrom = keysFrom[row] ?? 0;
      view.keyTo = keysTo[row] ?? 0;
      onEntry(view);
    }
  }

  function add(fields: Fields, scope: number, active: boolean): void {
    assert(length(fields, requestId) === requestIdBytes, 'an entry that may count has a RequestId');
    assert(length(fields, cid) === CID_BYTES, 'an entry that may count has a CID');
    const messageBytes = messageLength(fields) + participant.length;
    if (messageBytes > batch.messageBytesMax) {
      onEntry(longRow(fields, participant, messageBytes, { scope, active }));
      return;
    }
    if (batch.isFull || batch.size === rowsMax) flush();
    const row = batch.size;
    const { buffer } = fields;
    const { messageAt } = batch;
    copyBytes(buffer, start(fields, requestId), bytes, batch.requestIdAt, requestIdBytes);
    copyBytes(buffer, start(fields, cid), cids, row * CID_BYTES, CID_BYTES);
    scopes[row] = scope;
    actives[row] = active ? 1 : 0;
    keysFrom[row] = messageAt + length(fields, keyTypeField) + 1;
    keysTo[row] = messageAt + length(fields, keyTypeField) + 1 + length(fields, keyField);
    writeMessage(fields, participant, bytes, messageAt);
    batch.commit(messageBytes);
  }

  return { add, flush };
}

function emptyView(cidBytes: Uint8Array, keyBytes: Buffer): EntryView {
  return { scope: 0, active: false, sound: false, cidBytes, cidAt: 0, keyBytes, keyFrom: 0, keyTo: 0 };
}

/** A row too long for the batch, by damage or malice: hashed by itself. */
function longRow(
  fields: Fields,
  participant: Buffer,
  messageBytes: number,
  known: { readonly scope: number; readonly active: boolean },
): EntryView {
  const message = Buffer.alloc(messageBytes);
  writeMessage(fields, participant, message, 0);
  const { buffer } = fields;
  const key = buffer.subarray(start(fields, requestId), start(fields, requestId) + requestIdBytes);
  const keyFrom = length(fields, keyTypeField) + 1;
  return {
    ...known,
    sound: sameCid(hmacSha256(key, message), 0, buffer, start(fields, cid)),
    cidBytes: buffer,
    cidAt: start(fields, cid),
    keyBytes: message,
    keyFrom,
    keyTo: keyFrom + length(fields, keyField),
  };
}

/** Of the attributes and the signs between them, without the participant's. */
function messageLength(fields: Fields): number {
  let bytes = length(fields, keyTypeField) + fieldCount - keyField + 1;
  for (let field = keyField; field < fieldCount; field++) bytes += Math.max(0, length(fields, field));
  return bytes;
}

/** The attributes joined by `&` as dict-cid.ts does it, null as empty. */
function writeMessage(fields: Fields, participant: Buffer, target: Buffer, targetAt: number): void {
  const { buffer } = fields;
  copyBytes(buffer, start(fields, keyTypeField), target, targetAt, length(fields, keyTypeField));
  let at = targetAt + length(fields, keyTypeField);
  for (let field = keyField; field < fieldCount; field++) {
    target[at++] = ampersand;
    if (field === branch) {
      copyBytes(participant, 0, target, at, participant.length);
      at += participant.length;
      target[at++] = ampersand;
    }
    const bytes = Math.max(0, length(fields, field));
    copyBytes(buffer, start(fields, field), target, at, bytes);
    at += bytes;
  }
}

/** Byte by byte where there are few: `Buffer.copy` costs 60 ns before its first. */
function copyBytes(source: Buffer, from: number, target: Buffer, targetAt: number, bytes: number): void {
  if (bytes > shortBytes) source.copy(target, targetAt, from, from + bytes);
  else for (let n = 0; n < bytes; n++) target[targetAt + n] = source[from + n] ?? 0;
}

function sameCid(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  for (let n = 0; n < CID_BYTES; n++) if (a[aAt + n] !== b[bAt + n]) return false;
  return true;
}
