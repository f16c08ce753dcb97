/**
 * Records in ascending order of their CIDs, one after the other: from memory, or merged from runs that were spilled to a temporary file
 * because memory did not hold them all. One cursor serves both, so that whoever compares does not know the difference.
 */

import { readSync } from 'node:fs';
import { CID_BYTES } from '../cid/cid.ts';
import type { SpoolFile } from '../platform/spool-file.ts';
import type { CidRecords } from './cid-records.ts';

/** Where a cursor stands. Its bytes are good until it moves on. */
export interface RecordCursor {
  /** Moves to the next record; false at the end. */
  next(): boolean;
  readonly bytes: Uint8Array;
  /** Where the CID begins in `bytes`. */
  readonly at: number;
  readonly side: 0 | 1;
  readonly line: number;
}

/** The records of memory, sorted. The first `firstSideSize` that came belong to side 0. */
export function cursorOfMemory(records: CidRecords, firstSideSize: number): RecordCursor {
  const { cids, lines, order } = records;
  let index = -1;
  let place = 0;
  return {
    next() {
      index += 1;
      place = order[index] ?? 0;
      return index < records.size;
    },
    bytes: cids,
    get at() {
      return place * CID_BYTES;
    },
    get side() {
      return place < firstSideSize ? 0 : 1;
    },
    get line() {
      return lines[place] ?? 0;
    },
  };
}

/** CID, then the line as a 64-bit float, in the machine's own order: the file never leaves it. */
export const SPILLED_BYTES = CID_BYTES + 8;
const cidWords = CID_BYTES / 4;
const writtenRecords = 26_214;
const bufferBytesMin = 16_384;
const bufferBytesMax = 1_048_576;

/** One sorted stretch of the spill file, of one side. */
export interface SpilledRun {
  readonly side: 0 | 1;
  readonly offsetBytes: number;
  readonly size: number;
}

/** Appends the sorted records to the spill file as one run. */
export async function spillRun(spool: SpoolFile, offsetBytes: number, records: CidRecords, side: 0 | 1): Promise<SpilledRun> {
  const { cids, lines, order, size } = records;
  // Whole words: a view of each CID would cost more than copying it.
  const words = new Uint32Array(cids.buffer, cids.byteOffset, (size * CID_BYTES) / 4);
  const buffer = new Uint8Array(Math.min(writtenRecords, size) * SPILLED_BYTES);
  const [bufferWords, bufferLines] = [new Uint32Array(buffer.buffer), new Float64Array(buffer.buffer)];
  let filled = 0;
  for (let index = 0; index < size; index++) {
    const place = order[index] ?? 0;
    for (let word = 0; word < cidWords; word++) bufferWords[filled / 4 + word] = words[place * cidWords + word] ?? 0;
    bufferLines[(filled + CID_BYTES) / 8] = lines[place] ?? 0;
    filled += SPILLED_BYTES;
    if (filled < buffer.length) continue;
    await spool.append(buffer.subarray(0, filled));
    filled = 0;
  }
  await spool.append(buffer.subarray(0, filled));
  return { side, offsetBytes, size };
}

/** Bytes of memory that merging so many runs takes at least. */
export function mergeBytesMin(runs: number): number {
  return runs * bufferBytesMin;
}

/** Merges runs, each read through a share of the memory. Runs of one side are given in the order of their lines. */
export function cursorOfRuns(fd: number, runs: readonly SpilledRun[], memoryBytes: number): RecordCursor {
  const share = Math.min(Math.max(memoryBytes / Math.max(runs.length, 1), bufferBytesMin), bufferBytesMax);
  const bufferRecords = Math.floor(share / SPILLED_BYTES);
  const heads = runs.map((run) => new RunHead(fd, run, bufferRecords));
  // A heap of the runs' places, the least head on top.
  const heap: number[] = [];
  for (const [place, head] of heads.entries()) if (head.advance()) heap.push(place);
  for (let at = (heap.length >> 1) - 1; at >= 0; at--) sink(heap, heads, at);
  const nothing = new Uint8Array(CID_BYTES);
  let current: RunHead | undefined;
  return {
    next() {
      if (current !== undefined && !current.advance()) {
        const last = heap.pop();
        if (heap.length > 0 && last !== undefined) heap[0] = last;
      }
      sink(heap, heads, 0);
      current = heads[heap[0] ?? -1];
      return current !== undefined;
    },
    get bytes() {
      return current?.buffer ?? nothing;
    },
    get at() {
      return current?.at ?? 0;
    },
    get side() {
      return current?.run.side ?? 0;
    },
    get line() {
      return current?.line ?? 0;
    },
  };
}

const keyBytes = 6;

/** The first six bytes of a CID as a number. */
function keyOf(bytes: Uint8Array, at: number): number {
  let key = 0;
  for (let byte = at; byte < at + keyBytes; byte++) key = key * 256 + (bytes[byte] ?? 0);
  return key;
}

class RunHead {
  readonly run: SpilledRun;
  readonly buffer: Uint8Array;
  at = 0;
  /** The CID's first six bytes as a number: enough for almost every comparison. */
  key = 0;
  readonly #fd: number;
  readonly #lines: Float64Array;
  #read = 0;
  #filledBytes = 0;

  constructor(fd: number, run: SpilledRun, bufferRecords: number) {
    this.run = run;
    this.#fd = fd;
    this.buffer = new Uint8Array(Math.min(bufferRecords, run.size) * SPILLED_BYTES);
    this.#lines = new Float64Array(this.buffer.buffer);
  }

  get line(): number {
    return this.#lines[(this.at + CID_BYTES) / 8] ?? 0;
  }

  advance(): boolean {
    this.at += SPILLED_BYTES;
    if (this.at >= this.#filledBytes && !this.#fill()) return false;
    this.key = keyOf(this.buffer, this.at);
    return true;
  }

  #fill(): boolean {
    const wanted = Math.min(this.buffer.length, (this.run.size - this.#read) * SPILLED_BYTES);
    let got = 0;
    // Synchronous: some tens of microseconds of the page cache, where a promise for each of many runs would cost more.
    while (got < wanted) {
      const position = this.run.offsetBytes + this.#read * SPILLED_BYTES + got;
      const bytes = readSync(this.#fd, this.buffer, got, wanted - got, position);
      if (bytes === 0) throw new Error('a temporary file is shorter than what was written to it');
      got += bytes;
    }
    this.#read += wanted / SPILLED_BYTES;
    this.#filledBytes = wanted;
    this.at = 0;
    return wanted > 0;
  }
}

/** Lets the head at `at` sink to where it belongs. */
function sink(heap: number[], heads: readonly RunHead[], at: number): void {
  let parent = at;
  // Ends: every turn goes one level down.
  for (;;) {
    let least = parent;
    for (const child of [2 * parent + 1, 2 * parent + 2]) if (isLess(heap, heads, child, least)) least = child;
    if (least === parent) return;
    [heap[parent], heap[least]] = [heap[least] ?? 0, heap[parent] ?? 0];
    parent = least;
  }
}

/** Of equal CIDs the earlier run's comes first: lines ascend within a side. */
function isLess(heap: readonly number[], heads: readonly RunHead[], a: number, b: number): boolean {
  const [placeA, placeB] = [heap[a], heap[b]];
  if (placeA === undefined || placeB === undefined) return false;
  const [headA, headB] = [heads[placeA], heads[placeB]];
  if (headA === undefined || headB === undefined) return false;
  if (headA.key !== headB.key) return headA.key < headB.key;
  for (let byte = keyBytes; byte < CID_BYTES; byte++) {
    const difference = (headA.buffer[headA.at + byte] ?? 0) - (headB.buffer[headB.at + byte] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return placeA < placeB;
}
