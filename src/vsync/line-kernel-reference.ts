/**
 * The kernel for lines of CIDs in plain TypeScript: what the WebAssembly one is held against, and what serves where there is no
 * WebAssembly. Measured at 1,016 ns a line against some 30.
 */

import { asCid, CID_BYTES, type Cid } from '../cid/cid.ts';
import { BUCKET_COUNT, bucketOf, emptyBuckets } from './buckets.ts';
import { foldLine, isWanted, readHexCid } from './line-fold.ts';
import { LINE_BYTES, type LineKernel } from './line-kernel.ts';
import { emptyVSync, xorInto } from './vsync.ts';

const linesMax = 16_384;
const lineFeed = 0x0a;

/** A new plain kernel with empty buckets. */
export function referenceLineKernel(): LineKernel {
  const input = new Uint8Array(linesMax * LINE_BYTES);
  const foundCids = new Uint8Array(linesMax * CID_BYTES);
  const foundLines = new Uint32Array(linesMax);
  const combined = emptyVSync();
  const wanted = new Uint8Array(BUCKET_COUNT / 8);
  const buckets = { ...emptyBuckets(), sums: new BigUint64Array(BUCKET_COUNT) };
  let lines = 0;
  let found = 0;

  function through(from: number, upto: number, onCid: (cid: Cid, line: number) => void): number {
    let at = from;
    lines = 0;
    while (at + LINE_BYTES <= upto && input[at + LINE_BYTES - 1] === lineFeed) {
      const cid = readHexCid(input, at);
      if (cid === null) break;
      onCid(cid, lines);
      lines += 1;
      at += LINE_BYTES;
    }
    return at;
  }

  return {
    input,
    combined,
    foundCids,
    foundLines,
    wanted,
    buckets,
    settle: () => {},
    lines: () => lines,
    found: () => found,
    fold: (from, upto) => through(from, upto, (cid) => foldLine(buckets, cid)),
    combine: (from, upto) => through(from, upto, (cid) => xorInto(combined, cid)),
    foldCids(count) {
      for (let at = 0; at < count; at++) foldLine(buckets, asCid(foundCids.subarray(at * CID_BYTES, (at + 1) * CID_BYTES)));
    },
    collect(from, upto) {
      found = 0;
      return through(from, upto, (cid, line) => {
        if (!isWanted(wanted, bucketOf(cid))) return;
        foundCids.set(cid, found * CID_BYTES);
        foundLines[found] = line;
        found += 1;
      });
    },
  };
}
