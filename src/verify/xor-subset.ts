/**
 * Which of some CIDs XOR to a given value. CIDs are random vectors of 256 bits, so a few of them are linearly independent and the
 * answer is unique: with k candidates a wrong one fits by chance once in 2^(256 − k) cases. Gaussian elimination over GF(2).
 */

import type { Cid } from '../cid/cid.ts';
import { cidToHex } from '../cid/cid.ts';
import type { VSync } from '../vsync/vsync.ts';
import { vsyncToHex } from '../vsync/vsync.ts';

/** With 160 candidates a wrong answer has a chance of 2^-96. */
export const SUBSET_CANDIDATES_MAX = 160;

interface Row {
  readonly pivot: bigint;
  readonly value: bigint;
  /** Bit i is set where candidate i takes part. */
  readonly members: bigint;
}

/** The candidates whose XOR is `target`; null where there is none, or too many candidates to trust one. */
export function subsetWithXor(target: VSync, candidates: readonly Cid[]): Cid[] | null {
  if (candidates.length > SUBSET_CANDIDATES_MAX) return null;
  const rows: Row[] = [];
  for (const [index, cid] of candidates.entries()) {
    const reduced = reduce(rows, BigInt(`0x${cidToHex(cid)}`), 1n << BigInt(index));
    if (reduced.value !== 0n) rows.push({ ...reduced, pivot: highestBit(reduced.value) });
  }
  const rest = reduce(rows, BigInt(`0x${vsyncToHex(target)}`), 0n);
  if (rest.value !== 0n) return null;
  return candidates.filter((_, index) => (rest.members & (1n << BigInt(index))) !== 0n);
}

function reduce(rows: readonly Row[], value: bigint, members: bigint): { value: bigint; members: bigint } {
  let rest = value;
  let taken = members;
  for (const row of rows) {
    if ((rest & row.pivot) === 0n) continue;
    rest ^= row.value;
    taken ^= row.members;
  }
  return { value: rest, members: taken };
}

function highestBit(value: bigint): bigint {
  return 1n << BigInt(value.toString(2).length - 1);
}
