/**
 * Lines of CIDs, 64 hex digits and a line feed, folded into buckets or looked through for those of chosen buckets: the inner loop of
 * every file comparison. AssemblyScript (see wasm/README.md). It goes through lines of the usual form only and stops at the first
 * that has another; what to do about that one is decided by its caller, src/vsync/cid-lines.ts, which also is its specification.
 */

const BUCKETS: i32 = 65536;
const LINE_BYTES: i32 = 65;

// Where everything lies, each part aligned to 16 bytes; below 1,024 nothing, so that a wrong zero does no harm.
/** 32 bytes of XOR for each bucket. */
export const xorsAt: i32 = 1024;
/** A 32-bit count for each bucket. */
export const countsAt: i32 = xorsAt + BUCKETS * 32;
/** A 64-bit wrapping sum for each bucket. */
export const sumsAt: i32 = countsAt + BUCKETS * 4;
/** A bit for each bucket: whether `collect` is to give its lines. */
export const wantedAt: i32 = sumsAt + BUCKETS * 8;
/**
 * What `fold` works on: 64 bytes for each bucket, XOR, sum, count, so that a line touches one line of the processor's cache and not
 * three; `settle` brings it where it is read.
 */
const recordsAt: i32 = wantedAt + BUCKETS / 8;
const RECORD_SUM: usize = 32;
const RECORD_COUNT: usize = 40;
/** What `collect` found: 32 bytes each, and which line of the input it was, 32 bits each. */
export const foundAt: i32 = recordsAt + BUCKETS * 64;
export const foundMax: i32 = 16384;
export const foundLinesAt: i32 = foundAt + foundMax * 32;
/** Bytes of the file. */
export const inputAt: i32 = foundLinesAt + foundMax * 4;
/** Not more lines than `foundMax`. */
export const inputBytesMax: i32 = foundMax * LINE_BYTES;

/** Lines that the last call went through. */
export let lines: i32 = 0;
/** CIDs that the last `collect` found. */
export let found: i32 = 0;
/** Of no meaning: what `touch` reads has to go somewhere, or the compiler leaves it out. */
export let touched: u32 = 0;

/**
 * How many lines ahead `fold` fetches the records of. They are four times what the processor's second cache has free, and line by line
 * each was waited for: 62 to 85 ns a line. Fetched 32 at a time it is 35 to 47 ns; 8 gained less, 64 no more.
 */
const AHEAD: i32 = 32;

// The CID of the line read last, as bytes 0 to 15 and 16 to 31.
let low: v128 = i64x2.splat(0);
let high: v128 = i64x2.splat(0);

// @ts-expect-error: decorator
@inline
function nibbles(text: v128): v128 {
  // Each of the two is its digit's value where the text is such a digit, and 16 or more where it is not: of what the first addition
  // wraps around and what is below the range nothing is left above 0xef, and the second one cannot wrap.
  const digit = i8x16.sub(i8x16.sub_sat_u(i8x16.add(text, i8x16.splat(<i8>0xc6)), i8x16.splat(6)), i8x16.splat(<i8>0xf0));
  const letter = i8x16.add_sat_u(i8x16.sub(v128.and(text, i8x16.splat(<i8>0xdf)), i8x16.splat(0x41)), i8x16.splat(10));
  return i8x16.min_u(digit, letter);
}

/** Sixteen nibbles in eight bytes, each in a 16-bit lane. */
// @ts-expect-error: decorator
@inline
function joined(nibbles: v128): v128 {
  return v128.or(v128.and(i16x8.shl(nibbles, 4), i16x8.splat(0xff)), i16x8.shr_u(nibbles, 8));
}

/** Reads the line at `at` into `low` and `high`; false where it is not 64 hex digits and a line feed. */
// @ts-expect-error: decorator
@inline
function readLine(at: i32): bool {
  const a = nibbles(v128.load(at));
  const b = nibbles(v128.load(at, 16));
  const c = nibbles(v128.load(at, 32));
  const d = nibbles(v128.load(at, 48));
  if (v128.any_true(v128.and(v128.or(v128.or(a, b), v128.or(c, d)), i8x16.splat(<i8>0xf0))) || load<u8>(at, 64) != 0x0a) return false;
  low = i8x16.narrow_i16x8_u(joined(a), joined(b));
  high = i8x16.narrow_i16x8_u(joined(c), joined(d));
  return true;
}

/**
 * 64 bits that all 32 bytes have a part in, not linear in them: pairs that cancel out in the XOR do not in a sum of these. The last rounds
 * are MurmurHash3's: with one of them less, CIDs that are alike but for a byte cancelled out in both (4 and 7 against 5 and 6).
 */
// @ts-expect-error: decorator
@inline
function mixed(): u64 {
  // Unsigned throughout: a signed shift would fill with the sign.
  let mix: u64 = (<u64>i64x2.extract_lane(low, 0) ^ rotl<u64>(<u64>i64x2.extract_lane(low, 1), 23)) * 0x9e3779b97f4a7c15;
  mix = ((mix ^ (mix >> 32)) + <u64>i64x2.extract_lane(high, 0)) * 0xbf58476d1ce4e5b9;
  mix = ((mix ^ (mix >> 29)) + <u64>i64x2.extract_lane(high, 1)) * 0x94d049bb133111eb;
  mix = (mix ^ (mix >> 33)) * 0xff51afd7ed558ccd;
  mix = (mix ^ (mix >> 33)) * 0xc4ceb9fe1a85ec53;
  return mix ^ (mix >> 33);
}

// @ts-expect-error: decorator
@inline
function bucket(): i32 {
  const first = i16x8.extract_lane_u(low, 0);
  return ((first & 0xff) << 8) | (first >> 8);
}

/** The bucket that four hex digits name; of other characters, any number below 65,536. */
// @ts-ignore: decorator
@inline
function bucketOfDigits(text: u32): i32 {
  // Letters have bit 6, and their low four bits count from 1.
  const values = (text & 0x0f0f0f0f) + ((text >> 6) & 0x01010101) * 9;
  return ((values & 0xf) << 12) | (values & 0xf00) | ((values & 0xf0000) >> 12) | ((values & 0xf000000) >> 24);
}

/** Brings the records of these lines into the processor's cache, all at once. */
// @ts-ignore: decorator
@inline
function touch(first: i32, last: i32): void {
  let words: u32 = 0;
  for (let at = first; at <= last; at += LINE_BYTES) words += load<u32>(recordsAt + (bucketOfDigits(load<u32>(at)) << 6));
  touched = words;
}

/** Adds the line read last to its record. */
// @ts-ignore: decorator
@inline
function foldInto(record: i32): void {
  v128.store(record, v128.xor(v128.load(record), low));
  v128.store(record, v128.xor(v128.load(record, 16), high), 16);
  store<u64>(record, load<u64>(record, RECORD_SUM) + mixed(), RECORD_SUM);
  store<u32>(record, load<u32>(record, RECORD_COUNT) + 1, RECORD_COUNT);
}

/** Folds the lines between two positions of the input, up to the first unusual or unfinished one; answers its position. */
export function fold(from: i32, upto: i32): i32 {
  const start = inputAt + from;
  const end = inputAt + upto - LINE_BYTES;
  let at = start;
  // Ends: every turn goes through all lines that were touched, or breaks off.
  while (at <= end) {
    const last = min(end, at + (AHEAD - 1) * LINE_BYTES);
    touch(at, last);
    for (; at <= last && readLine(at); at += LINE_BYTES) foldInto(recordsAt + (bucket() << 6));
    if (at <= last) break;
  }
  lines = (at - start) / LINE_BYTES;
  return at - inputAt;
}

/** Adds what was folded since the last time to the XORs, counts and sums. */
export function settle(): void {
  for (let into = 0; into < BUCKETS; into++) {
    const record = recordsAt + (into << 6);
    const xor = xorsAt + (into << 5);
    v128.store(xor, v128.xor(v128.load(xor), v128.load(record)));
    v128.store(xor, v128.xor(v128.load(xor, 16), v128.load(record, 16)), 16);
    const sum = sumsAt + (into << 3);
    store<u64>(sum, load<u64>(sum) + load<u64>(record, RECORD_SUM));
    const count = countsAt + (into << 2);
    store<u32>(count, load<u32>(count) + load<u32>(record, RECORD_COUNT));
  }
  memory.fill(recordsAt, 0, BUCKETS * 64);
}

/** Whether the 64 characters at `at` are followed by a line feed and have none among them: a line, of whatever. */
// @ts-ignore: decorator
@inline
function isLine(at: i32): bool {
  const feed = i8x16.splat(0x0a);
  const first = v128.or(i8x16.eq(v128.load(at), feed), i8x16.eq(v128.load(at, 16), feed));
  const second = v128.or(i8x16.eq(v128.load(at, 32), feed), i8x16.eq(v128.load(at, 48), feed));
  return load<u8>(at, LINE_BYTES - 1) === 0x0a && !v128.any_true(v128.or(first, second));
}

/**
 * The same, looking for the lines of wanted buckets. Of other lines it reads the first four characters alone, and where the line
 * ends: `fold` has been over them.
 */
export function collect(from: i32, upto: i32): i32 {
  const end = inputAt + upto - LINE_BYTES;
  let at = inputAt + from;
  let line = 0;
  found = 0;
  while (at <= end && isLine(at)) {
    const source = bucketOfDigits(load<u32>(at));
    if ((load<u8>(wantedAt + (source >> 3)) >> <u8>(source & 7)) & 1) {
      if (!readLine(at)) break;
      const to = foundAt + (found << 5);
      v128.store(to, low);
      v128.store(to, high, 16);
      store<u32>(foundLinesAt + (found << 2), line);
      found += 1;
    }
    line += 1;
    at += LINE_BYTES;
  }
  lines = line;
  return at - inputAt;
}
