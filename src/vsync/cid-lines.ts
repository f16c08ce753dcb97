/**
 * Files of CIDs, one a line, read once to be folded into buckets and once more for the lines of chosen buckets. Bytes go straight into
 * the kernel's memory; lines that are not 64 hex digits and a line feed are put before the caller, who knows what they mean to it: a
 * CID set file of DICT is refused over them, a command reports them and goes on. Constant memory, whatever the file and its lines.
 */

import { asCid, CID_BYTES, type Cid } from '../cid/cid.ts';
import { BUCKET_COUNT, bucketOf } from './buckets.ts';
import { LINE_BYTES, type LineBuckets, type LineKernel, wasmLineKernel } from './line-kernel.ts';
import { foldLine, isWanted, referenceLineKernel } from './line-kernel-reference.ts';

/** A line that is not 64 hex digits. */
export interface UnusualLine {
  /** From 1. */
  readonly number: number;
  /** Its beginning, without the line feed: all of it where it has at most 256 bytes. Valid until the judge returns. */
  readonly bytes: Uint8Array;
  /** How long it really is, without the line feed. */
  readonly length: number;
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
function newKernel(): LineKernel {
  return wasmLineKernel() ?? referenceLineKernel();
}

/** Folds the lines into buckets; the buckets are whole once `end` was called. */
export function foldLines(judge: LineJudge, kernel: LineKernel = newKernel()): LineReader & { readonly buckets: LineBuckets } {
  const { buckets } = kernel;
  const pass = { through: kernel.fold, after: () => {}, take: (cid: Cid) => foldLine(buckets, cid) };
  return { ...lineReader(kernel, judge, pass), buckets };
}

/** Calls `onFound` for each line of these buckets, in the file's order. The CID lies in a buffer that is used again: copy it to keep it. */
export function collectLines(
  wanted: Iterable<number>,
  onFound: (cid: Cid, line: number) => void,
  judge: LineJudge,
  kernel: LineKernel = newKernel(),
): LineReader {
  kernel.wanted.fill(0);
  for (const bucket of wanted) {
    if (bucket >= 0 && bucket < BUCKET_COUNT)
      kernel.wanted[bucket >> 3] = (kernel.wanted[bucket >> 3] ?? 0) | (1 << (bucket & 7));
  }
  const after = (linesBefore: number): void => {
    for (let at = 0; at < kernel.found(); at++) {
      const cid = asCid(kernel.foundCids.subarray(at * CID_BYTES, (at + 1) * CID_BYTES));
      onFound(cid, linesBefore + (kernel.foundLines[at] ?? 0) + 1);
    }
  };
  const take = (cid: Cid, line: number): void => {
    if (isWanted(kernel.wanted, bucketOf(cid))) onFound(cid, line);
  };
  return lineReader(kernel, judge, { through: kernel.collect, after, take });
}

function lineReader({ input, lines: linesDone }: LineKernel, judge: LineJudge, pass: Pass): LineReader {
  let lines = 0;
  /** Bytes of an unfinished line at the start of the input. */
  let kept = 0;
  /** Length of a line too long to be kept whole, so far; its beginning is what is kept. */
  let longBytes: number | null = null;

  function unusual(start: number, end: number, length: number): void {
    lines += 1;
    const bytes = input.subarray(start, Math.min(end, start + unusualBytesKept));
    const cid = judge({ number: lines, bytes, length });
    if (cid !== null) pass.take(cid, lines);
  }

  /** Skips to the end of a line too long; answers where the next one begins, or -1. */
  function skipLong(from: number, upto: number, before: number): number {
    const end = input.subarray(from, upto).indexOf(lineFeed);
    if (end === -1) {
      longBytes = before + upto - from;
      return -1;
    }
    longBytes = null;
    unusual(0, from, before + end);
    return from + end + 1;
  }

  function keep(at: number, upto: number): void {
    input.copyWithin(0, at, upto);
    kept = upto - at;
    if (kept <= LINE_BYTES + unusualBytesKept) return;
    longBytes = kept;
    kept = unusualBytesKept;
  }

  function work(upto: number): void {
    let at = longBytes === null ? 0 : skipLong(kept, upto, longBytes);
    if (at === -1) return;
    // Ends: every turn goes through at least one line, or breaks off.
    for (;;) {
      at = pass.through(at, upto);
      pass.after(lines);
      lines += linesDone();
      const end = input.subarray(at, upto).indexOf(lineFeed);
      if (end === -1) break;
      unusual(at, at + end, end);
      at += end + 1;
    }
    keep(at, upto);
  }

  const filled = (bytes: number): void => work(kept + bytes);
  return {
    space: () => input.subarray(kept),
    filled,
    read(chunk) {
      for (let at = 0; at < chunk.length; ) {
        const part = chunk.subarray(at, at + input.length - kept);
        input.set(part, kept);
        at += part.length;
        filled(part.length);
      }
    },
    end() {
      if (kept > 0) {
        input[kept] = lineFeed;
        filled(1);
      }
      return lines;
    },
  };
}
