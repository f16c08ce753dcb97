/**
 * Lines of CIDs, 64 hex digits and a line feed, folded into buckets or looked through for those of chosen buckets: the inner loop of
 * every file comparison. AssemblyScript (see wasm/README.md). It goes through lines of the usual form only and stops at the first
 * that has another; what to do about that one is decided by its caller, src/vsync/cid-lines.ts, which also is its specification.
 */

const BUCKETS: i32 = 65536;
const LINE_BYTES: i32 = 65;

// Where everything lies, each part aligned to 16 bytes; below 512 nothing, so that a wrong zero does no harm.
/** Constants of `nibbles` and `half`, 16 bytes each. */
const constantsAt: i32 = 512;
/** Records of the lines that `touch` went over, 32 bits each. */
const touchedAt: i32 = 768;
/** XOR of all that `combine` has gone over, 32 bytes. */
export const combinedAt: i32 = 896;
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
/** What `collect` found: 32 bytes each, and which line of the input it was, 32 bits each. Also where `foldCids` finds its CIDs. */
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
 * How many lines ahead `fold` fetches the records of. They are twice what the processor's second cache holds, and line by line each was
 * waited for: 44 ns a line where nothing else ran, 85 where much did, against 36 and 47 fetched 32 at a time. 8 gained less, 64 no more.
 */
const AHEAD: i32 = 32;

// Constants come from memory: those in the code V8 makes anew for each use, by three instructions, which were half of all. 43 ns a line
// became 30.
v128.store(constantsAt, i8x16.splat(<i8>0xc6));
v128.store(constantsAt, i8x16.splat(6), 16);
v128.store(constantsAt, i8x16.splat(<i8>0xf0), 32);
v128.store(constantsAt, i8x16.splat(<i8>0xdf), 48);
v128.store(constantsAt, i8x16.splat(0x41), 64);
v128.store(constantsAt, i8x16.splat(10), 80);
v128.store(constantsAt, i16x8.splat(0x1001), 96);

// @ts-expect-error: decorator
@inline
function constant(number: i32): v128 {
  return v128.load(constantsAt + (number << 4));
}

// @ts-expect-error: decorator
@inline
function nibbles(text: v128): v128 {
  // Each of the two is its digit's value where the text is such a digit, and 16 or more where it is not: of what the first addition
  // wraps around and what is below the range nothing is left above 0xef, and the second one cannot wrap.
  const digit = i8x16.sub(i8x16.sub_sat_u(i8x16.add(text, constant(0)), constant(1)), constant(2));
  const letter = i8x16.add_sat_u(i8x16.sub(v128.and(text, constant(3)), constant(4)), constant(5));
  return i8x16.min_u(digit, letter);
}

/** Sixteen nibbles in eight bytes, each in a 16-bit lane: of first + 256 second times 4,097 the higher byte is 16 first + second. */
// @ts-expect-error: decorator
@inline
function joined(nibbles: v128): v128 {
  return i16x8.shr_u(i16x8.mul(nibbles, constant(6)), 8);
}

// A CID goes from function to function as two halves, bytes 0 to 15 and 16 to 31.

/** Half a CID out of its 32 nibbles. */
// @ts-expect-error: decorator
@inline
function half(first: v128, second: v128): v128 {
  return i8x16.narrow_i16x8_u(joined(first), joined(second));
}

/** Whether these are nibbles all, and a line feed follows. */
// @ts-expect-error: decorator
@inline
function isUsual(at: i32, first: v128, second: v128, third: v128, fourth: v128): bool {
  const all = v128.or(v128.or(first, second), v128.or(third, fourth));
  return load<u8>(at, LINE_BYTES - 1) == 0x0a && !v128.any_true(v128.and(all, constant(2)));
}

/**
 * 64 bits that all 32 bytes have a part in, not linear in them: pairs that cancel out in the XOR do not in a sum of these. The last rounds
 * are MurmurHash3's: with one of them less, CIDs that are alike but for a byte cancelled out in both (4 and 7 against 5 and 6).
 */
// @ts-expect-error: decorator
@inline
function mixed(lower: v128, upper: v128): u64 {
  // Unsigned throughout: a signed shift would fill with the sign.
  let mix: u64 = (<u64>i64x2.extract_lane(lower, 0) ^ rotl<u64>(<u64>i64x2.extract_lane(lower, 1), 23)) * 0x9e3779b97f4a7c15;
  mix = ((mix ^ (mix >> 32)) + <u64>i64x2.extract_lane(upper, 0)) * 0xbf58476d1ce4e5b9;
  mix = ((mix ^ (mix >> 29)) + <u64>i64x2.extract_lane(upper, 1)) * 0x94d049bb133111eb;
  mix = (mix ^ (mix >> 33)) * 0xff51afd7ed558ccd;
  mix = (mix ^ (mix >> 33)) * 0xc4ceb9fe1a85ec53;
  return mix ^ (mix >> 33);
}

// @ts-expect-error: decorator
@inline
function bucketOf(lower: v128): i32 {
  const bytes = i16x8.extract_lane_u(lower, 0);
  return ((bytes & 0xff) << 8) | (bytes >> 8);
}

/** The bucket that four hex digits name; of other characters, any number below 65,536. */
// @ts-ignore: decorator
@inline
function bucketOfDigits(text: u32): i32 {
  // Letters have bit 6, and their low four bits count from 1.
  const values = (text & 0x0f0f0f0f) + ((text >> 6) & 0x01010101) * 9;
  return ((values & 0xf) << 12) | (values & 0xf00) | ((values & 0xf0000) >> 12) | ((values & 0xf000000) >> 24);
}

/** Brings the records of these lines into the processor's cache, all at once, and notes where they are. */
// @ts-ignore: decorator
@inline
function touch(first: i32, last: i32): void {
  let words: u32 = 0;
  let note = touchedAt;
  for (let at = first; at <= last; at += LINE_BYTES) {
    const record = recordsAt + (bucketOfDigits(load<u32>(at)) << 6);
    words += load<u32>(record);
    store<i32>(note, record);
    note += 4;
  }
  touched = words;
}

/** Adds a CID to its record. */
// @ts-ignore: decorator
@inline
function addTo(record: i32, lower: v128, upper: v128): void {
  v128.store(record, v128.xor(v128.load(record), lower));
  v128.store(record, v128.xor(v128.load(record, 16), upper), 16);
  store<u64>(record, load<u64>(record, RECORD_SUM) + mixed(lower, upper), RECORD_SUM);
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
    for (let note = touchedAt; at <= last; note += 4) {
      const first = nibbles(v128.load(at));
      const second = nibbles(v128.load(at, 16));
      const third = nibbles(v128.load(at, 32));
      const fourth = nibbles(v128.load(at, 48));
      if (!isUsual(at, first, second, third, fourth)) break;
      addTo(load<i32>(note), half(first, second), half(third, fourth));
      at += LINE_BYTES;
    }
    if (at <= last) break;
  }
  lines = (at - start) / LINE_BYTES;
  return at - inputAt;
}

/** The same into one XOR, for who needs no buckets: their memory stays untouched. */
export function combine(from: i32, upto: i32): i32 {
  const start = inputAt + from;
  const end = inputAt + upto - LINE_BYTES;
  let lower = v128.load(combinedAt);
  let upper = v128.load(combinedAt, 16);
  let at = start;
  while (at <= end) {
    const first = nibbles(v128.load(at));
    const second = nibbles(v128.load(at, 16));
    const third = nibbles(v128.load(at, 32));
    const fourth = nibbles(v128.load(at, 48));
    if (!isUsual(at, first, second, third, fourth)) break;
    lower = v128.xor(lower, half(first, second));
    upper = v128.xor(upper, half(third, fourth));
    at += LINE_BYTES;
  }
  v128.store(combinedAt, lower);
  v128.store(combinedAt, upper, 16);
  lines = (at - start) / LINE_BYTES;
  return at - inputAt;
}

/** Folds that many CIDs, 32 bytes each, which lie where `collect` puts what it finds: `foundMax` at the most. */
export function foldCids(count: i32): void {
  for (let at = foundAt, end = foundAt + (count << 5); at < end; at += 32) {
    const lower = v128.load(at);
    addTo(recordsAt + (bucketOf(lower) << 6), lower, v128.load(at, 16));
  }
}

/** Adds what was folded since the last time to the XORs, counts and sums. Of few CIDs it touches no more memory than theirs. */
export function settle(): void {
  for (let into = 0; into < BUCKETS; into++) {
    const record = recordsAt + (into << 6);
    if (load<u32>(record, RECORD_COUNT) == 0) continue;
    const xor = xorsAt + (into << 5);
    v128.store(xor, v128.xor(v128.load(xor), v128.load(record)));
    v128.store(xor, v128.xor(v128.load(xor, 16), v128.load(record, 16)), 16);
    const sum = sumsAt + (into << 3);
    store<u64>(sum, load<u64>(sum) + load<u64>(record, RECORD_SUM));
    const count = countsAt + (into << 2);
    store<u32>(count, load<u32>(count) + load<u32>(record, RECORD_COUNT));
    memory.fill(record, 0, 64);
  }
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
      const first = nibbles(v128.load(at));
      const second = nibbles(v128.load(at, 16));
      const third = nibbles(v128.load(at, 32));
      const fourth = nibbles(v128.load(at, 48));
      if (!isUsual(at, first, second, third, fourth)) break;
      const to = foundAt + (found << 5);
      v128.store(to, half(first, second));
      v128.store(to, half(third, fourth), 16);
      store<u32>(foundLinesAt + (found << 2), line);
      found += 1;
    }
    line += 1;
    at += LINE_BYTES;
  }
  lines = line;
  return at - inputAt;
}
