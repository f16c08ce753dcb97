/**
 * Files of CIDs, one a line, read once to be folded into buckets and once more for the lines of chosen buckets. Bytes go straight into
 * the kernel's memory; lines that are not 64 hex digits and a line feed are put before the caller, who knows what they mean to it: a
 * CID set file of DICT is refused over them, a command reports them and goes on. Constant memory, whatever the file and its lines.
 */

import { asCid, CID_BYTES, type Cid } from '../cid/cid.ts';
import { BUCKET_COUNT, bucketOf } from './buckets.ts';
import { foldLine, isWanted } from './line-fold.ts';
import { LINE_BYTES, type LineBuckets, type LineKernel, wasmLineKernel } from './line-kernel.ts';
import { referenceLineKernel } from './line-kernel-reference.ts';
import { asVSync, type VSync, xorInto } from './vsync.ts';

/** A line that is not 64 hex digits. */
export interface UnusualLine {
  /** From 1. */
  readonly number: number;
  /** Its beginning, without the line feed: all of it where it has at most 256 bytes. Valid until the judge returns. */
  readonly bytes: Uint8Array;
  /** How long it really is, without the line feed. */
  readonly length: number;
  /** False where the file ends within it. */
  readonly ended: boolean;
}

/** What an unusual line stands for: a CID all the same, or null for nothing. May throw, which ends the reading. */
export type LineJudge = (line: UnusualLine) => Cid | null;

/** Reads a file's bytes in order. Fill `space()` from its start and say how much by `filled`, or hand over chunks by `read`. */
export interface LineReader {
  /** Where the next bytes of the file belong: at least 1 byte, usually a mebibyte. Valid until `filled`. */
  space(): Uint8Array;
  filled(bytes: number): void;
  /** The same for a chunk that lies elsewhere; copies it. */
  read(chunk: Uint8Array): void;
  /** Ends the file, whose last line may lack its line feed; answers how many lines it had. */
  end(): number;
}

const unusualBytesKept = 256;
const lineFeed = 0x0a;

/** How lines are worked on between the kernel and the caller. */
interface Pass {
  readonly through: (from: number, upto: number) => number;
  /** After each call of `through`, with the number of lines before it. */
  readonly after: (linesBefore: number) => void;
  /** A CID out of an unusual line. */
  readonly take: (cid: Cid, line: number) => void;
}

/** The kernel for a pass: WebAssembly where it is there. */
export function newLineKernel(): LineKernel {
  return wasmLineKernel() ?? referenceLineKernel();
}

/** Folds the lines into buckets; the buckets are whole once `end` was called. */
export function foldLines(
  judge: LineJudge,
  kernel: LineKernel = newLineKernel(),
): LineReader & { readonly buckets: LineBuckets } {
  const { buckets } = kernel;
  const pass = { through: kernel.fold, after: () => {}, take: (cid: Cid) => foldLine(buckets, cid) };
  return Object.assign(new PassReader(kernel, judge, pass), { buckets });
}

/** The VSync of the lines, without their buckets and the 7 MB that these take; it is whole once `end` was called. */
export function combineLines(judge: LineJudge, kernel: LineKernel = newLineKernel()): LineReader & { readonly vsync: VSync } {
  const vsync = asVSync(kernel.combined);
  const pass = { through: kernel.combine, after: () => {}, take: (cid: Cid) => xorInto(vsync, cid) };
  return Object.assign(new PassReader(kernel, judge, pass), { vsync });
}

/** Folds CIDs that are no lines any more, 32 bytes each, as `foldLines` does lines; answers their buckets. */
export async function foldPackedCids(
  pages: AsyncIterable<Uint8Array>,
  kernel: LineKernel = newLineKernel(),
): Promise<LineBuckets> {
  const { foundCids, buckets } = kernel;
  for await (const page of pages) {
    for (let at = 0; at < page.length; at += foundCids.length) {
      const part = page.subarray(at, at + foundCids.length);
      foundCids.set(part);
      kernel.foldCids(part.length / CID_BYTES);
    }
  }
  kernel.settle();
  return buckets;
}

/** CIDs of wanted buckets that were found together, in the file's order. Valid until the callback returns. */
export interface FoundLines {
  readonly count: number;
  /** 32 bytes each. */
  readonly cids: Uint8Array;
  /** Line of each, counted from `firstLine`. */
  readonly lines: Uint32Array;
  readonly firstLine: number;
}

/**
 * Calls `onFound` for each line of these buckets, in the file's order. The CID lies in a buffer that is used again: copy it to keep it.
 * Meant for a file that was folded before: of 64 characters that name another bucket the judge may hear nothing.
 */
export function collectLines(
  wanted: Iterable<number>,
  onFound: (cid: Cid, line: number) => void,
  judge: LineJudge,
  kernel: LineKernel = newLineKernel(),
): LineReader {
  const each = ({ count, cids, lines, firstLine }: FoundLines): void => {
    for (let at = 0; at < count; at++) {
      onFound(asCid(cids.subarray(at * CID_BYTES, (at + 1) * CID_BYTES)), firstLine + (lines[at] ?? 0));
    }
  };
  return collectTogether(wanted, each, judge, kernel);
}

/** The same for callers of millions of lines: calls `onFound` for many lines at once. */
export function collectTogether(
  wanted: Iterable<number>,
  onFound: (found: FoundLines) => void,
  judge: LineJudge,
  kernel: LineKernel = newLineKernel(),
): LineReader {
  kernel.wanted.fill(0);
  for (const bucket of wanted) {
    if (bucket >= 0 && bucket < BUCKET_COUNT)
      kernel.wanted[bucket >> 3] = (kernel.wanted[bucket >> 3] ?? 0) | (1 << (bucket & 7));
  }
  const after = (linesBefore: number): void => {
    const count = kernel.found();
    if (count > 0) onFound({ count, cids: kernel.foundCids, lines: kernel.foundLines, firstLine: linesBefore + 1 });
  };
  const itself = new Uint32Array(1);
  const take = (cid: Cid, line: number): void => {
    if (isWanted(kernel.wanted, bucketOf(cid))) onFound({ count: 1, cids: cid, lines: itself, firstLine: line });
  };
  return new PassReader(kernel, judge, { through: kernel.collect, after, take });
}

class PassReader implements LineReader {
  readonly #kernel: LineKernel;
  readonly #judge: LineJudge;
  readonly #pass: Pass;
  #lines = 0;
  /** Bytes of an unfinished line at the start of the input. */
  #kept = 0;
  /** Length so far of a line too long to be kept whole; its beginning is what is kept. */
  #longBytes: number | null = null;
  #atEnd = false;

  constructor(kernel: LineKernel, judge: LineJudge, pass: Pass) {
    this.#kernel = kernel;
    this.#judge = judge;
    this.#pass = pass;
  }

  space(): Uint8Array {
    return this.#kernel.input.subarray(this.#kept);
  }

  filled(bytes: number): void {
    const upto = this.#kept + bytes;
    let at = this.#longBytes === null ? 0 : this.#skipLong(upto, this.#longBytes);
    // Ends: every turn goes through at least one line, or breaks off.
    while (at !== -1) {
      at = this.#pass.through(at, upto);
      this.#pass.after(this.#lines);
      this.#lines += this.#kernel.lines();
      const length = this.#kernel.input.subarray(at, upto).indexOf(lineFeed);
      if (length === -1) break;
      this.#unusual(at, at + length, length);
      at += length + 1;
    }
    if (at !== -1) this.#keep(at, upto);
  }

  read(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const space = this.space();
      const part = chunk.subarray(at, at + space.length);
      space.set(part);
      at += part.length;
      this.filled(part.length);
    }
  }

  end(): number {
    this.#atEnd = true;
    if (this.#kept > 0) {
      this.#kernel.input[this.#kept] = lineFeed;
      this.filled(1);
    }
    this.#kernel.settle();
    return this.#lines;
  }

  #unusual(start: number, end: number, length: number): void {
    this.#lines += 1;
    const bytes = this.#kernel.input.subarray(start, Math.min(end, start + unusualBytesKept));
    const cid = this.#judge({ number: this.#lines, bytes, length, ended: !this.#atEnd });
    if (cid !== null) this.#pass.take(cid, this.#lines);
  }

  /** Skips to the end of a line too long; answers where the next one begins, or -1 where that is not in sight. */
  #skipLong(upto: number, before: number): number {
    const end = this.#kernel.input.subarray(this.#kept, upto).indexOf(lineFeed);
    if (end === -1) {
      this.#longBytes = before + upto - this.#kept;
      return -1;
    }
    const next = this.#kept + end + 1;
    this.#longBytes = null;
    this.#unusual(0, this.#kept, before + end);
    this.#kept = 0;
    return next;
  }

  #keep(at: number, upto: number): void {
    this.#kernel.input.copyWithin(0, at, upto);
    this.#kept = upto - at;
    if (this.#kept <= LINE_BYTES + unusualBytesKept) return;
    this.#longBytes = this.#kept;
    this.#kept = unusualBytesKept;
  }
}
