/**
 * What a kernel for lines of CIDs does, and the WebAssembly one (wasm/cid-lines.ts). A kernel sees usual lines only, 64 hex digits
 * of either case and a line feed; the rest is cid-lines.ts. The plain one is line-kernel-reference.ts.
 */

import { CID_BYTES } from '../cid/cid.ts';
import { loadKernel } from '../platform/wasm.ts';
import { BUCKET_COUNT, type Buckets } from './buckets.ts';

/** Bytes of a usual line, its line feed included. */
export const LINE_BYTES = 2 * CID_BYTES + 1;

/**
 * Buckets of lines, which need not be a set: beside XOR and count a wrapping sum of 64 bits of every CID, mixed, so that lines that
 * cancel out in the XOR (one CID twice) still show.
 */
export interface LineBuckets extends Buckets {
  readonly sums: BigUint64Array;
}

export interface LineKernel {
  /** Bytes of the file are put here. */
  readonly input: Uint8Array;
  /** Folds usual lines from one position of the input up to another; answers where it stopped: the end, an unfinished line, an unusual one. */
  fold(from: number, upto: number): number;
  /** The same into `combined` alone, the XOR of all. */
  combine(from: number, upto: number): number;
  readonly combined: Uint8Array;
  /**
   * The same, looking for the lines of wanted buckets. Lines of 64 characters that begin with the digits of another bucket may be passed
   * over unread.
   */
  collect(from: number, upto: number): number;
  /** Lines that the last call went through. */
  lines(): number;
  /** How many the last `collect` found; their CIDs, 32 bytes each, and their numbers within the call, from 0. */
  found(): number;
  readonly foundCids: Uint8Array;
  /** Folds that many CIDs which lie in `foundCids`. */
  foldCids(count: number): void;
  readonly foundLines: Uint32Array;
  /** A bit for each bucket, lowest first: which ones `collect` looks for. */
  readonly wanted: Uint8Array;
  /** Brings what was folded into `buckets`. */
  settle(): void;
  /** What was folded up to the last `settle`, changed in place. */
  readonly buckets: LineBuckets;
}

/** A new WebAssembly kernel with empty buckets; null where there is no WebAssembly. */
export function wasmLineKernel(): LineKernel | null {
  const kernel = loadKernel('cid-lines');
  if (kernel === null) return null;
  const { memory } = kernel;
  const at = (name: string): number => kernel.number(name)();
  const foundMax = at('foundMax');
  return {
    input: new Uint8Array(memory, at('inputAt'), at('inputBytesMax')),
    fold: kernel.call('fold'),
    combine: kernel.call('combine'),
    combined: new Uint8Array(memory, at('combinedAt'), CID_BYTES),
    collect: kernel.call('collect'),
    foldCids: kernel.call('foldCids'),
    settle: kernel.call('settle'),
    lines: kernel.number('lines'),
    found: kernel.number('found'),
    foundCids: new Uint8Array(memory, at('foundAt'), foundMax * CID_BYTES),
    foundLines: new Uint32Array(memory, at('foundLinesAt'), foundMax),
    wanted: new Uint8Array(memory, at('wantedAt'), BUCKET_COUNT / 8),
    buckets: {
      xors: new Uint8Array(memory, at('xorsAt'), BUCKET_COUNT * CID_BYTES),
      counts: new Uint32Array(memory, at('countsAt'), BUCKET_COUNT),
      sums: new BigUint64Array(memory, at('sumsAt'), BUCKET_COUNT),
    },
  };
}
