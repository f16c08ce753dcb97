/** Seeded randomness for the simulator: the same seed plays the same story. Not for secrets. */

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, below). */
  below(below: number): number;
  /** That many random bytes as lower-case hex. */
  hex(bytes: number): string;
  /** A random UUID of version 4. */
  uuid(): string;
}

/** mulberry32: 32 bits of state are plenty for shuffling files and naming answers. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
  function below(limit: number): number {
    return Math.floor(next() * limit);
  }
  function hex(bytes: number): string {
    let text = '';
    for (let index = 0; index < bytes; index += 1) text += below(256).toString(16).padStart(2, '0');
    return text;
  }
  return { next, below, hex, uuid: () => uuidOf(hex(16)) };
}

/** A UUID of version 4 out of 32 hex digits, six bits of which are lost. */
export function uuidOf(digits: string): string {
  const variant = ((Number.parseInt(digits.slice(16, 17), 16) & 3) | 8).toString(16);
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    `4${digits.slice(13, 16)}`,
    `${variant}${digits.slice(17, 20)}`,
    digits.slice(20, 32),
  ].join('-');
}

/** Shuffles in place (Fisher–Yates) and returns the same array. */
export function shuffle<Item>(random: Random, items: Item[]): Item[] {
  for (let last = items.length - 1; last > 0; last -= 1) {
    const other = random.below(last + 1);
    const kept = items[last];
    const moved = items[other];
    // Both indexes lie inside the array; the checks only tell the compiler so.
    if (kept === undefined || moved === undefined) continue;
    items[last] = moved;
    items[other] = kept;
  }
  return items;
}
