/**
 * HMAC-SHA256 of many short messages, each under a key of 16 bytes: four at a time, one in each lane of a SIMD register. This is how
 * CIDs of millions of rows are computed; one at a time is src/cid/dict-cid.ts, which also is its specification. AssemblyScript
 * (see wasm/README.md). The round constants and steps are those of FIPS 180-4, the padding of keys RFC 2104's.
 */

export const messagesMax: i32 = 4096;
/** Longer messages are for the other implementation. */
export const messageBytesMax: i32 = 4096;

const BLOCK_BYTES: i32 = 64;
const BLOCKS_MAX: i32 = messageBytesMax / BLOCK_BYTES + 1;

// The compiler puts constants below 4,096.
const SCHEDULE: i32 = 4096;
const STATE: i32 = SCHEDULE + 64 * 16;
/** Four blocks, one for each lane: padded keys, and inner digests with their padding. */
const LANE_BLOCKS: i32 = STATE + 8 * 16;
const INNER: i32 = LANE_BLOCKS + 4 * BLOCK_BYTES;
const STARTS: i32 = INNER + 4 * BLOCK_BYTES;
const ORDER: i32 = STARTS + 512;
/** Of each message its key, where it begins (from `messagesAt`) and its length in bytes; then its digest, 32 bytes. */
export const keysAt: i32 = ORDER + messagesMax * 4;
export const offsetsAt: i32 = keysAt + messagesMax * 16;
export const lengthsAt: i32 = offsetsAt + messagesMax * 4;
export const digestsAt: i32 = lengthsAt + messagesMax * 4;
/** The messages, each in whole blocks with room for its padding, which `hmac` writes: a bit, zeros, and eight bytes of length. */
export const messagesAt: i32 = digestsAt + messagesMax * 32;
export const messagesBytes: i32 = 2 * 1024 * 1024;

const K = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
  0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
  0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
  0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
  0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
  0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);
const INITIAL = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);

// @ts-expect-error: decorator
@inline
function rotr(x: v128, n: i32): v128 {
  return v128.or(i32x4.shr_u(x, n), i32x4.shl(x, 32 - n));
}

// @ts-expect-error: decorator
@inline
function xor3(x: v128, y: v128, z: v128): v128 {
  return v128.xor(v128.xor(x, y), z);
}

/** What h becomes part of: h + Σ1(e) + Ch(e, f, g) + K + W. */
// @ts-expect-error: decorator
@inline
function mixOfE(e: v128, f: v128, g: v128, h: v128, kw: v128): v128 {
  const sigma = xor3(rotr(e, 6), rotr(e, 11), rotr(e, 25));
  return i32x4.add(i32x4.add(h, kw), i32x4.add(sigma, v128.bitselect(f, g, e)));
}

/** Σ0(a) + Maj(a, b, c). */
// @ts-expect-error: decorator
@inline
function mixOfA(a: v128, b: v128, c: v128): v128 {
  const sigma = xor3(rotr(a, 2), rotr(a, 13), rotr(a, 22));
  return i32x4.add(sigma, v128.bitselect(c, a, v128.xor(a, b)));
}

/** K + W of a round. */
// @ts-expect-error: decorator
@inline
function kw(t: i32): v128 {
  return i32x4.add(v128.load32_splat(K + (t << 2)), v128.load(SCHEDULE + (t << 4)));
}

/** Rounds of SHA-256 over the first sixteen words in SCHEDULE, added to STATE. */
function compress(): void {
  for (let t = 16; t < 64; t++) {
    const w = SCHEDULE + (t << 4);
    const w15 = v128.load(w - 15 * 16);
    const w2 = v128.load(w - 2 * 16);
    const s0 = xor3(rotr(w15, 7), rotr(w15, 18), i32x4.shr_u(w15, 3));
    const s1 = xor3(rotr(w2, 17), rotr(w2, 19), i32x4.shr_u(w2, 10));
    v128.store(w, i32x4.add(i32x4.add(v128.load(w - 16 * 16), s0), i32x4.add(v128.load(w - 7 * 16), s1)));
  }
  let a = v128.load(STATE);
  let b = v128.load(STATE, 16);
  let c = v128.load(STATE, 32);
  let d = v128.load(STATE, 48);
  let e = v128.load(STATE, 64);
  let f = v128.load(STATE, 80);
  let g = v128.load(STATE, 96);
  let h = v128.load(STATE, 112);
  // Eight rounds a turn: the names change places instead of the values.
  for (let t = 0; t < 64; t += 8) {
    let m = mixOfE(e, f, g, h, kw(t));
    d = i32x4.add(d, m);
    h = i32x4.add(m, mixOfA(a, b, c));
    m = mixOfE(d, e, f, g, kw(t + 1));
    c = i32x4.add(c, m);
    g = i32x4.add(m, mixOfA(h, a, b));
    m = mixOfE(c, d, e, f, kw(t + 2));
    b = i32x4.add(b, m);
    f = i32x4.add(m, mixOfA(g, h, a));
    m = mixOfE(b, c, d, e, kw(t + 3));
    a = i32x4.add(a, m);
    e = i32x4.add(m, mixOfA(f, g, h));
    m = mixOfE(a, b, c, d, kw(t + 4));
    h = i32x4.add(h, m);
    d = i32x4.add(m, mixOfA(e, f, g));
    m = mixOfE(h, a, b, c, kw(t + 5));
    g = i32x4.add(g, m);
    c = i32x4.add(m, mixOfA(d, e, f));
    m = mixOfE(g, h, a, b, kw(t + 6));
    f = i32x4.add(f, m);
    b = i32x4.add(m, mixOfA(c, d, e));
    m = mixOfE(f, g, h, a, kw(t + 7));
    e = i32x4.add(e, m);
    a = i32x4.add(m, mixOfA(b, c, d));
  }
  v128.store(STATE, i32x4.add(v128.load(STATE), a));
  v128.store(STATE, i32x4.add(v128.load(STATE, 16), b), 16);
  v128.store(STATE, i32x4.add(v128.load(STATE, 32), c), 32);
  v128.store(STATE, i32x4.add(v128.load(STATE, 48), d), 48);
  v128.store(STATE, i32x4.add(v128.load(STATE, 64), e), 64);
  v128.store(STATE, i32x4.add(v128.load(STATE, 80), f), 80);
  v128.store(STATE, i32x4.add(v128.load(STATE, 96), g), 96);
  v128.store(STATE, i32x4.add(v128.load(STATE, 112), h), 112);
}

// @ts-expect-error: decorator
@inline
function bigEndian(words: v128): v128 {
  return i8x16.shuffle(words, words, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}

/** Four words of each lane's block, turned so that a register has the same word of all lanes. */
// @ts-expect-error: decorator
@inline
function turn(first: v128, second: v128, third: v128, fourth: v128, to: i32): void {
  const low12 = i32x4.shuffle(first, second, 0, 4, 1, 5);
  const low34 = i32x4.shuffle(third, fourth, 0, 4, 1, 5);
  const high12 = i32x4.shuffle(first, second, 2, 6, 3, 7);
  const high34 = i32x4.shuffle(third, fourth, 2, 6, 3, 7);
  v128.store(to, bigEndian(i64x2.shuffle(low12, low34, 0, 2)));
  v128.store(to, bigEndian(i64x2.shuffle(low12, low34, 1, 3)), 16);
  v128.store(to, bigEndian(i64x2.shuffle(high12, high34, 0, 2)), 32);
  v128.store(to, bigEndian(i64x2.shuffle(high12, high34, 1, 3)), 48);
}

/** Compresses one block of each lane. */
function compressBlocks(first: i32, second: i32, third: i32, fourth: i32): void {
  for (let at = 0; at < BLOCK_BYTES; at += 16) {
    turn(v128.load(first + at), v128.load(second + at), v128.load(third + at), v128.load(fourth + at), SCHEDULE + (at << 2));
  }
  compress();
}

function begin(): void {
  for (let word = 0; word < 8; word++) v128.store(STATE + (word << 4), v128.load32_splat(INITIAL + (word << 2)));
}

/** The state of one lane as a digest. */
function storeDigest(lane: i32, to: i32): void {
  for (let word = 0; word < 8; word++) store<u32>(to + (word << 2), bswap<u32>(load<u32>(STATE + (word << 4) + (lane << 2))));
}

function compressLaneBlocks(): void {
  compressBlocks(LANE_BLOCKS, LANE_BLOCKS + BLOCK_BYTES, LANE_BLOCKS + 2 * BLOCK_BYTES, LANE_BLOCKS + 3 * BLOCK_BYTES);
}

/** The keys of the group, padded: its 16 bytes and 48 zeros, each XOR `pad`. */
function compressKeys(group: i32, pad: u8): void {
  begin();
  const padding = i8x16.splat(pad);
  for (let lane = 0; lane < 4; lane++) {
    const block = LANE_BLOCKS + lane * BLOCK_BYTES;
    v128.store(block, v128.xor(v128.load(keysAt + (messageOf(group, lane) << 4)), padding));
    for (let at = 16; at < BLOCK_BYTES; at += 16) v128.store(block + at, padding);
  }
  compressLaneBlocks();
}

// @ts-expect-error: decorator
@inline
function messageOf(group: i32, lane: i32): i32 {
  return load<i32>(ORDER + ((group + lane) << 2));
}

// @ts-expect-error: decorator
@inline
function blocksOf(message: i32): i32 {
  return (load<i32>(lengthsAt + (message << 2)) + 9 + BLOCK_BYTES - 1) / BLOCK_BYTES;
}

/** A set bit, zeros and the length in bits, that of the key's block included. */
function padMessage(message: i32): void {
  const start = messagesAt + load<i32>(offsetsAt + (message << 2));
  const bytes = load<i32>(lengthsAt + (message << 2));
  const end = start + blocksOf(message) * BLOCK_BYTES;
  store<u8>(start + bytes, 0x80);
  memory.fill(start + bytes + 1, 0, end - (start + bytes + 1));
  store<u32>(end - 4, bswap<u32>((BLOCK_BYTES + bytes) << 3));
}

/** Puts messages of as many blocks beside each other, so that few lanes wait; fills up the last group with its last message. */
function sortByBlocks(count: i32): void {
  memory.fill(STARTS, 0, (BLOCKS_MAX + 1) * 4);
  for (let message = 0; message < count; message++) {
    const start = STARTS + (blocksOf(message) << 2);
    store<i32>(start, load<i32>(start) + 1);
  }
  let next = 0;
  for (let blocks = 0; blocks <= BLOCKS_MAX; blocks++) {
    const here = load<i32>(STARTS + (blocks << 2));
    store<i32>(STARTS + (blocks << 2), next);
    next += here;
  }
  for (let message = 0; message < count; message++) {
    const start = STARTS + (blocksOf(message) << 2);
    const place = load<i32>(start);
    store<i32>(ORDER + (place << 2), message);
    store<i32>(start, place + 1);
  }
  const last = load<i32>(ORDER + ((count - 1) << 2));
  for (let place = count; (place & 3) != 0; place++) store<i32>(ORDER + (place << 2), last);
}

/** Digests of the lanes' messages into LANE_BLOCKS, each when its last block is done. */
function compressMessages(group: i32): void {
  const m0 = messageOf(group, 0);
  const m1 = messageOf(group, 1);
  const m2 = messageOf(group, 2);
  const m3 = messageOf(group, 3);
  const blocks = blocksOf(m3);
  for (let block = 0; block < blocks; block++) {
    compressBlocks(blockOf(m0, block), blockOf(m1, block), blockOf(m2, block), blockOf(m3, block));
    for (let lane = 0; lane < 4; lane++) {
      if (blocksOf(messageOf(group, lane)) == block + 1) storeDigest(lane, LANE_BLOCKS + lane * BLOCK_BYTES);
    }
  }
}

/** A lane that is done goes over its last block again; nobody looks at what comes of it. */
// @ts-expect-error: decorator
@inline
function blockOf(message: i32, block: i32): i32 {
  return messagesAt + load<i32>(offsetsAt + (message << 2)) + min(block, blocksOf(message) - 1) * BLOCK_BYTES;
}

/** Computes the digests of the first `count` messages. */
export function hmac(count: i32): void {
  if (count <= 0) return;
  for (let message = 0; message < count; message++) padMessage(message);
  sortByBlocks(count);
  for (let group = 0; group < count; group += 4) {
    compressKeys(group, 0x36);
    compressMessages(group);
    // The inner digests wait behind the place where the outer keys come.
    memory.copy(INNER, LANE_BLOCKS, 4 * BLOCK_BYTES);
    compressKeys(group, 0x5c);
    memory.copy(LANE_BLOCKS, INNER, 4 * BLOCK_BYTES);
    for (let lane = 0; lane < 4; lane++) {
      const block = LANE_BLOCKS + lane * BLOCK_BYTES;
      store<u8>(block, 0x80, 32);
      memory.fill(block + 33, 0, 27);
      store<u32>(block, bswap<u32>((BLOCK_BYTES + 32) << 3), 60);
    }
    compressLaneBlocks();
    for (let lane = 0; lane < 4; lane++) storeDigest(lane, digestsAt + (messageOf(group, lane) << 5));
  }
}
