/**
 * CIDs with the lines they stand on, packed, and brought into ascending order. Made for CIDs as they are, hashes spread evenly: two bytes
 * at a time by counting, then five bytes at a time as numbers that the engine sorts natively. CIDs that share long beginnings only cost
 * more rounds. Equal CIDs keep the order in which they came.
 */

import { CID_BYTES } from '../cid/cid.ts';
import type { FoundLines } from '../vsync/cid-lines.ts';

/** Memory of one record: CID, line, and its places in the order before and after a round. */
export const RECORD_BYTES = CID_BYTES + 8 + 4 + 4;

/** So many and fewer are sorted as numbers: 40 bits of the CID above 13 bits of the place. */
const numbersMax = 8_192;
const numberBytes = 5;

export interface CidRecords {
  readonly capacity: number;
  readonly size: number;
  /** The CIDs in the order in which they came. */
  readonly cids: Uint8Array;
  readonly lines: Float64Array;
  /** After `sort`: places in `cids` and `lines`, ascending by CID. */
  readonly order: Uint32Array;
  add(found: FoundLines): void;
  sort(): void;
  clear(): void;
}

/** Room for that many. `add` beyond it throws `RangeError`. */
export function cidRecords(capacity: number): CidRecords {
  const cids = new Uint8Array(capacity * CID_BYTES);
  const lines = new Float64Array(capacity);
  const order = new Uint32Array(capacity);
  let scratch: Uint32Array | null = null;
  let size = 0;
  return {
    capacity,
    get size() {
      return size;
    },
    cids,
    lines,
    order,
    add(found) {
      cids.set(found.cids.subarray(0, found.count * CID_BYTES), size * CID_BYTES);
      for (let at = 0; at < found.count; at++) lines[size + at] = found.firstLine + (found.lines[at] ?? 0);
      size += found.count;
    },
    sort() {
      for (let place = 0; place < size; place++) order[place] = place;
      scratch ??= new Uint32Array(capacity);
      sortRange({ cids, order, scratch }, 0, size, 0);
    },
    clear() {
      size = 0;
    },
  };
}

interface Sorting {
  readonly cids: Uint8Array;
  readonly order: Uint32Array;
  readonly scratch: Uint32Array;
}

const numbers = new Float64Array(numbersMax);
const placesBefore = new Uint32Array(numbersMax);

/** Orders `order[from..to)` by the bytes of the CIDs from `byte` on; the bytes before it are equal. At most 16 rounds deep. */
function sortRange(sorting: Sorting, from: number, to: number, byte: number): void {
  const size = to - from;
  if (size < 2 || byte >= CID_BYTES) return;
  if (size <= numbersMax) sortAsNumbers(sorting, from, to, byte);
  else sortByCounting(sorting, from, to, byte);
}

function sortByCounting(sorting: Sorting, from: number, to: number, byte: number): void {
  const { cids, order, scratch } = sorting;
  const starts = new Uint32Array(65_537);
  const keyAt = (place: number): number => {
    const at = place * CID_BYTES + byte;
    return ((cids[at] ?? 0) << 8) | (cids[at + 1] ?? 0);
  };
  for (let at = from; at < to; at++) {
    const key = keyAt(order[at] ?? 0) + 1;
    starts[key] = (starts[key] ?? 0) + 1;
  }
  for (let key = 1; key <= 65_536; key++) starts[key] = (starts[key] ?? 0) + (starts[key - 1] ?? 0);
  const ends = starts.slice();
  for (let at = from; at < to; at++) {
    const place = order[at] ?? 0;
    const key = keyAt(place);
    const slot = ends[key] ?? 0;
    ends[key] = slot + 1;
    scratch[from + slot] = place;
  }
  order.set(scratch.subarray(from, to), from);
  for (let key = 0; key < 65_536; key++) {
    sortRange(sorting, from + (starts[key] ?? 0), from + (starts[key + 1] ?? 0), byte + 2);
  }
}

function sortAsNumbers(sorting: Sorting, from: number, to: number, byte: number): void {
  const { cids, order } = sorting;
  const size = to - from;
  for (let index = 0; index < size; index++) {
    const place = order[from + index] ?? 0;
    placesBefore[index] = place;
    numbers[index] = numberOf(cids, place * CID_BYTES, byte) * numbersMax + index;
  }
  const sorted = numbers.subarray(0, size).sort();
  for (let index = 0; index < size; index++) order[from + index] = placesBefore[(sorted[index] ?? 0) % numbersMax] ?? 0;
  // Ties have to be found before anything deeper uses the scratch numbers again.
  const ties: number[] = [];
  for (let index = 1, start = 0; index <= size; index++) {
    const same = index < size && keyOf(sorted[index]) === keyOf(sorted[start]);
    if (same) continue;
    if (index - start > 1) ties.push(start, index);
    start = index;
  }
  for (let tie = 0; tie < ties.length; tie += 2) {
    sortRange(sorting, from + (ties[tie] ?? 0), from + (ties[tie + 1] ?? 0), byte + numberBytes);
  }
}

function keyOf(number: number | undefined): number {
  return Math.floor((number ?? 0) / numbersMax);
}

/** Five bytes as a number; bytes after the CID's end count as zero. */
function numberOf(cids: Uint8Array, start: number, byte: number): number {
  let value = 0;
  for (let at = byte; at < byte + numberBytes; at++) value = value * 256 + (at < CID_BYTES ? (cids[start + at] ?? 0) : 0);
  return value;
}
