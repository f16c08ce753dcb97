/**
 * Notices CIDs that come twice, in bounded memory: 64 bits of a digest of each in an open-addressing table. Two different CIDs out of
 * six million are taken for the same with a probability of one in a million; that is enough for a warning, and for nothing else.
 */

import type { Cid } from '../cid/cid.ts';

/** At most three quarters of the slots are used; 64 MiB when full. */
const slotsMax = 2 ** 23;
const slotsAtFirst = 2 ** 12;

/** How many different CIDs are remembered. Later ones are only compared with these. */
export const SEEN_CIDS_MAX = slotsMax * 0.75;

export interface SeenCids {
  /** Whether this CID came before; remembers it if not. */
  seenBefore(cid: Cid): boolean;
  /** Whether so many came that later ones are no longer remembered. */
  readonly isFull: boolean;
}

/** A memory of CIDs that is empty at first and grows up to its limit. */
export function seenCids(): SeenCids {
  // Two 32-bit words for each slot; both zero: free.
  let table = new Uint32Array(slotsAtFirst * 2);
  let used = 0;

  /** Where these words are, or the free slot where they belong. Ends: a quarter of the slots is always free. */
  const slotOf = (high: number, low: number): number => {
    const mask = table.length / 2 - 1;
    let slot = low & mask;
    while ((table[slot * 2] !== 0 || table[slot * 2 + 1] !== 0) && (table[slot * 2] !== high || table[slot * 2 + 1] !== low)) {
      slot = (slot + 1) & mask;
    }
    return slot;
  };
  const put = (slot: number, high: number, low: number): void => {
    table[slot * 2] = high;
    table[slot * 2 + 1] = low;
  };
  const grow = (): void => {
    const before = table;
    table = new Uint32Array(before.length * 2);
    for (let at = 0; at < before.length; at += 2) {
      const high = before[at] ?? 0;
      const low = before[at + 1] ?? 0;
      if (high !== 0 || low !== 0) put(slotOf(high, low), high, low);
    }
  };

  return {
    get isFull() {
      return used >= SEEN_CIDS_MAX;
    },
    seenBefore(cid) {
      const [high, low] = digestOf(cid);
      const slot = slotOf(high, low);
      if (table[slot * 2] === high && table[slot * 2 + 1] === low) return true;
      if (used >= SEEN_CIDS_MAX) return false;
      put(slot, high, low);
      used++;
      if (used >= (table.length / 2) * 0.75 && table.length / 2 < slotsMax) grow();
      return false;
    },
  };
}

/** All 32 bytes count, so that CIDs made up by hand (zeros and a digit) do not collide either. Never two zeros. */
function digestOf(cid: Cid): [high: number, low: number] {
  let high = 0x9e3779b9;
  let low = 0x85ebca6b;
  for (let at = 0; at < cid.length; at += 4) {
    const word = ((cid[at] ?? 0) | ((cid[at + 1] ?? 0) << 8) | ((cid[at + 2] ?? 0) << 16) | ((cid[at + 3] ?? 0) << 24)) >>> 0;
    high = mix(high ^ word, 0xcc9e2d51);
    low = mix(low ^ word ^ at, 0x1b873593);
  }
  return [high, high === 0 && low === 0 ? 1 : low];
}

function mix(value: number, factor: number): number {
  const product = Math.imul(value ^ (value >>> 15), factor);
  return (product ^ (product >>> 13)) >>> 0;
}
