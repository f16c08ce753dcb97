/** What somebody else meets while a world of scale-world.ts repairs: other verifications, a person's look-up, and the memory it takes. */

import assert from 'node:assert/strict';
import type { KeyType } from '../../src/dict/key-type.ts';
import { collectedHeapBytes } from './heap.ts';
import { OURS, type ScaleWorld } from './scale-world.ts';

/** In milliseconds of the world's clock, and bytes of the heap after everything that can go has gone. */
export interface Watched {
  readonly verificationsMs: number[];
  readonly personsMs: number[];
  readonly heapBytes: number[];
}

const minuteMs = 60_000;

/**
 * Verifies other key types once a minute, looks up an entry as a person does, and measures the heap while repairs are applied, until the
 * signal. Rejects where one of these key types is not in sync.
 */
export async function watch(world: ScaleWorld, others: readonly KeyType[], signal: AbortSignal): Promise<Watched> {
  const seen: Watched = { verificationsMs: [], personsMs: [], heapBytes: [] };
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const begunMs = world.clock.now().getTime();
    await work();
    return world.clock.now().getTime() - begunMs;
  };
  while (!signal.aborted) {
    for (const other of others) {
      const ms = await timed(async () => assert.equal((await world.verify(other)).kind, 'in-sync'));
      seen.verificationsMs.push(ms);
    }
    const looked = { participant: OURS, cid: '0'.repeat(64) };
    seen.personsMs.push(await timed(() => world.deps.dict.getEntryByCid(looked, { priority: 'person' })));
    if (await world.isApplying()) seen.heapBytes.push(collectedHeapBytes());
    await world.clock.sleep(minuteMs, signal).catch(() => {});
  }
  return seen;
}

/** NaN of none. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
