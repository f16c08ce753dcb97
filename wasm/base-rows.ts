/**
 * Rows of a base as PostgreSQL sends them, straight from the socket: rows of dict_entries are hashed (hmac-lanes.ts),
 * compared with their own CID and folded, rows of dict_cids folded. The inner loop of `scan` and `rebuild`. AssemblyScript (see
 * wasm/README.md). What it does is specified by src/ingest/row-filter/plain-folder.ts; how its memory is used, by kernel-folder.ts beside it.
 *
 * A message of the protocol is a byte for its kind (`D`: a row), four bytes of length, itself included, and so many bytes; a row is two
 * bytes for the number of fields, and for each four bytes of length (-1: null) and the value. Numbers are big-endian.
 */

import { digestsAt, hmac, keysAt, lengthsAt, messageBytesMax, messagesAt, messagesBytes, messagesMax, offsetsAt } from './hmac-lanes';

const BUCKETS: i32 = 65536;
const BLOCK_BYTES: i32 = 64;
const PADDING_BYTES: i32 = 9;
const HEAD_BYTES: i32 = 5;

/** Key types at the most: DICT has five. */
export const scopesMax: i32 = 5;

/** The name of each key type, as eight bytes filled up with zeros. */
export const namesAt: i32 = messagesAt + messagesBytes + 64;
/** As of which seq CIDs of each are folded: 64-bit numbers. */
export const seqsAt: i32 = namesAt + 64;
/** Rows of each that were read: 32-bit numbers. */
export const rowsAt: i32 = seqsAt + 64;
/** `&`, the participant, `&`: what stands between trade name and branch. */
export const participantAt: i32 = rowsAt + 64;
/** Of each row that waits: key type, where its key begins and ends. 16 bytes each. */
const WAITING: i32 = participantAt + 64;
const WAITING_CIDS: i32 = WAITING + messagesMax * 16;
/** Rows that are not what they hash to: the same three numbers. 16 bytes each. Valid until the next call. */
export const candidatesAt: i32 = WAITING_CIDS + messagesMax * 32;
/** Of each key type: two 32-bit sums of hashed pairs for each bucket. */
export const sumsAt: i32 = candidatesAt + messagesMax * 16;
/** Of each key type: 32 bytes of XOR for each bucket, and a 32-bit count. */
export const xorsAt: i32 = sumsAt + scopesMax * BUCKETS * 8;
export const countsAt: i32 = xorsAt + scopesMax * BUCKETS * 32;
/** What came from the socket. */
export const inputAt: i32 = countsAt + scopesMax * BUCKETS * 4;
export const inputBytesMax: i32 = 1048576;

/** How many there are of them since the last call. */
export let candidates: i32 = 0;
/** 1: there is more to do in the same input, once the candidates are read. */
export let paused: i32 = 0;
/** 1: what comes next is no row, nor anything that may stand between rows. */
export let stopped: i32 = 0;

let scopes: i32 = 0;
let participantBytes: i32 = 0;
let seedLow: i32 = 0;
let seedHigh: i32 = 0;
let size: i32 = 0;
let used: i32 = 0;

/** Says what is read; names and participant stand in the memory. */
export function configure(scopeCount: i32, participantLength: i32, low: i32, high: i32): void {
  scopes = scopeCount;
  participantBytes = participantLength;
  seedLow = low;
  seedHigh = high;
}

/** A new statement's rows begin. */
export function begin(): void {
  stopped = 0;
  paused = 0;
  size = 0;
  used = 0;
  memory.fill(rowsAt, 0, scopesMax * 4);
}

/** Goes through rows of dict_entries; answers where it stopped: at an unfinished message, paused or stopped. */
export function entries(from: i32, upto: i32): i32 {
  return through(from, upto, true);
}

/** The same for rows of dict_cids. */
export function cids(from: i32, upto: i32): i32 {
  return through(from, upto, false);
}

/** Hashes what still waits. */
export function finish(): void {
  candidates = 0;
  hashWaiting();
}

// @ts-expect-error: decorator
@inline
function i32At(at: i32): i32 {
  return bswap<i32>(load<i32>(at));
}

function through(from: i32, upto: i32, areEntries: bool): i32 {
  let at = inputAt + from;
  const end = inputAt + upto;
  paused = 0;
  candidates = 0;
  while (at < end) {
    const kind = load<u8>(at);
    const isRow = kind == 0x44;
    // That parsing and binding are done, and what a server may say at any time: notices, notifications, changed parameters.
    if (!isRow && kind != 0x31 && kind != 0x32 && kind != 0x4e && kind != 0x41 && kind != 0x53) {
      stopped = 1;
      break;
    }
    if (end - at < HEAD_BYTES) break;
    const next = at + 1 + i32At(at + 1);
    if (next > end) break;
    if (isRow) {
      if (areEntries && isFull()) {
        hashWaiting();
        paused = 1;
        break;
      }
      if (areEntries) addEntry(at + HEAD_BYTES + 2, next);
      else foldCid(at + HEAD_BYTES + 2);
      at = next;
      if (paused != 0) break;
    } else {
      at = next;
    }
  }
  return at - inputAt;
}

// @ts-expect-error: decorator
@inline
function isFull(): bool {
  return size == messagesMax || used + messageBytesMax + PADDING_BYTES + BLOCK_BYTES > messagesBytes;
}

/** Which key type the name of that length is; -1 for one that is not read. */
// @ts-expect-error: decorator
@inline
function scopeOf(at: i32, bytes: i32): i32 {
  if (bytes <= 0 || bytes >= 8) return -1;
  const name = load<u64>(at) & ((<u64>1 << (<u64>bytes << 3)) - 1);
  let scope = 0;
  while (scope < scopes && load<u64>(namesAt + (scope << 3)) != name) scope++;
  return scope < scopes ? scope : -1;
}

/** Copies sixteen bytes at a time; what is written behind the end is overwritten by what comes next. */
// @ts-expect-error: decorator
@inline
function copyShort(to: i32, from: i32, bytes: i32): void {
  for (let n = 0; n < bytes; n += 16) v128.store(to + n, v128.load(from + n));
}

/** Fields: status, key_type, request_id, cid, key, owner_tax_id, owner_name, owner_trade_name, branch, account_number, account_type. */
function addEntry(at: i32, end: i32): void {
  const statusBytes = i32At(at);
  const letter = load<u8>(at + 4);
  const typeAt = at + 4 + statusBytes + 4;
  const typeBytes = i32At(typeAt - 4);
  const scope = scopeOf(typeAt, typeBytes);
  if (scope < 0) return;
  store<i32>(rowsAt + (scope << 2), load<i32>(rowsAt + (scope << 2)) + 1);
  // Only ACTIVE, ORPHANED and PENDING have a CID that could be wrong.
  const isActive = letter == 0x41;
  if (!isActive && letter != 0x4f && letter != 0x50) return;
  const requestId = typeAt + typeBytes + 4;
  const cid = requestId + 16 + 4;
  // The table's checks see to it that these two are there.
  if (i32At(requestId - 4) != 16 || i32At(cid - 4) != 32) unreachable();
  let field = cid + 32 + 4;
  const keyBytes = i32At(field - 4);
  if (isActive) foldPair(scope, cid, field, field + keyBytes, 1);
  if (end - at + participantBytes > messageBytesMax) {
    // Too long for the lanes, by damage or malice: whoever judges candidates hashes it.
    addCandidate(scope, field, field + keyBytes);
    paused = 1;
    return;
  }
  const message = messagesAt + used;
  copyShort(message, typeAt, typeBytes);
  let to = message + typeBytes;
  store<u8>(to++, 0x26);
  const waiting = WAITING + (size << 4);
  store<i32>(waiting, scope);
  store<i32>(waiting, to, 4);
  store<i32>(waiting, to + keyBytes, 8);
  copyShort(to, field, keyBytes);
  to += keyBytes;
  field += keyBytes + 4;
  for (let n = 1; n < 7; n++) {
    const bytes = max(0, i32At(field - 4));
    if (n == 4) {
      copyShort(to, participantAt, participantBytes);
      to += participantBytes;
    } else {
      store<u8>(to++, 0x26);
    }
    copyShort(to, field, bytes);
    to += bytes;
    field += bytes + 4;
  }
  v128.store(keysAt + (size << 4), v128.load(requestId));
  const waitingCid = WAITING_CIDS + (size << 5);
  v128.store(waitingCid, v128.load(cid));
  v128.store(waitingCid, v128.load(cid, 16), 16);
  store<i32>(offsetsAt + (size << 2), used);
  store<i32>(lengthsAt + (size << 2), to - message);
  used += (to - message + PADDING_BYTES + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1);
  size++;
}

function addCandidate(scope: i32, keyFrom: i32, keyTo: i32): void {
  const to = candidatesAt + (candidates << 4);
  store<i32>(to, scope);
  store<i32>(to, keyFrom, 4);
  store<i32>(to, keyTo, 8);
  candidates++;
}

function hashWaiting(): void {
  hmac(size);
  for (let row = 0; row < size; row++) {
    const is = digestsAt + (row << 5);
    const own = WAITING_CIDS + (row << 5);
    const differs = v128.or(
      v128.xor(v128.load(is), v128.load(own)),
      v128.xor(v128.load(is, 16), v128.load(own, 16)),
    );
    if (v128.any_true(differs)) {
      const waiting = WAITING + (row << 4);
      addCandidate(load<i32>(waiting), load<i32>(waiting, 4), load<i32>(waiting, 8));
    }
  }
  size = 0;
  used = 0;
}

/** Fields: cid, key_type, key, added_seq, removed_seq. */
function foldCid(at: i32): void {
  const cid = at + 4;
  if (i32At(at) != 32) unreachable();
  const typeAt = cid + 32 + 4;
  const typeBytes = i32At(typeAt - 4);
  const scope = scopeOf(typeAt, typeBytes);
  if (scope < 0) return;
  const key = typeAt + typeBytes + 4;
  const keyEnd = key + i32At(key - 4);
  const addedSeq = bswap<i64>(load<i64>(keyEnd + 4));
  const removed = keyEnd + 4 + 8 + 4;
  const counts = i32At(removed - 4) < 0;
  const seq = load<i64>(seqsAt + (scope << 3));
  if (counts) foldPair(scope, cid, key, keyEnd, -1);
  if (addedSeq > seq || (!counts && bswap<i64>(load<i64>(removed)) <= seq)) return;
  const bucket = bucketOf(cid);
  const count = countsAt + ((scope * BUCKETS + bucket) << 2);
  store<i32>(count, load<i32>(count) + 1);
  const xor = xorsAt + ((scope * BUCKETS + bucket) << 5);
  v128.store(xor, v128.xor(v128.load(xor), v128.load(cid)));
  v128.store(xor, v128.xor(v128.load(xor, 16), v128.load(cid, 16)), 16);
}

// @ts-expect-error: decorator
@inline
function bucketOf(cid: i32): i32 {
  return (<i32>load<u8>(cid) << 8) | <i32>load<u8>(cid, 1);
}

/** HalfSipHash-1-3 of CID and key, 64 bits, added to the bucket's sums or taken from them. */
function foldPair(scope: i32, cid: i32, key: i32, keyEnd: i32, sign: i32): void {
  let v0 = seedLow;
  let v1 = seedHigh ^ 0xee;
  let v2 = seedLow ^ 0x6c796765;
  let v3 = seedHigh ^ 0x74656462;
  const keyBytes = keyEnd - key;
  const lastWord = 8 + (keyBytes >> 2);
  let low = 0;
  for (let n = 0; n <= lastWord + 6; n++) {
    let word = 0;
    if (n < 8) {
      word = load<i32>(cid + (n << 2));
    } else if (n < lastWord) {
      word = load<i32>(key + ((n - 8) << 2));
    } else if (n == lastWord) {
      const rest = keyBytes & 3;
      word = (load<i32>(keyEnd - rest) & ((1 << (rest << 3)) - 1)) | ((32 + keyBytes) << 24);
    } else if (n == lastWord + 1) {
      v2 ^= 0xee;
    } else if (n == lastWord + 4) {
      low = v1 ^ v3;
      v1 ^= 0xdd;
    }
    v3 ^= word;
    v0 += v1;
    v1 = rotl<i32>(v1, 5) ^ v0;
    v0 = rotl<i32>(v0, 16);
    v2 += v3;
    v3 = rotl<i32>(v3, 8) ^ v2;
    v0 += v3;
    v3 = rotl<i32>(v3, 7) ^ v0;
    v2 += v1;
    v1 = rotl<i32>(v1, 13) ^ v2;
    v2 = rotl<i32>(v2, 16);
    v0 ^= word;
  }
  const sum = sumsAt + ((scope * BUCKETS + bucketOf(cid)) << 3);
  store<i32>(sum, load<i32>(sum) + sign * low);
  store<i32>(sum, load<i32>(sum, 4) + sign * (v1 ^ v3), 4);
}
