/**
 * Approved divergences repaired against DICT's limit of by-CID reads, which is a physical one: each is judged by one read and proved
 * again by another, and the peer only waits for so many tokens of the same bucket. Everything else is as in life: a base of its own, DICT
 * in another process, verifications of other key types once a minute, a person's look-ups, no 429, a steady heap. One clock for all runs
 * faster; with fewer divergences than 30,000 the bucket is smaller by as much, so that a run always takes some 28 minutes of it.
 */

import { randomUUID } from 'node:crypto';
import { RESERVED_SHARE } from '../../src/bridge/bucket-store.ts';
import { type BucketRates, TokenBucket } from '../../src/bridge/token-bucket.ts';
import { assert } from '../../src/platform/assert.ts';
import { scaledClock } from '../../src/platform/clock.ts';
import type { DictChanges } from '../../test/support/dict-process.ts';
import { median, type Watched, watch } from '../../test/support/scale-watch.ts';
import { openScaleWorld, type ScaleWorld } from '../../test/support/scale-world.ts';
import type { Bench } from '../bench.ts';
import { benchDatabase, freshDatabase } from '../fixtures/database.ts';

const keyType = 'EMAIL';
const others = ['CPF', 'CNPJ', 'PHONE', 'EVP'] as const;
/** An orphan may be one key in a hundred, else the file is refused. */
const keysForEach = 7;
const fullSize = 30_000;
const minuteMs = 60_000;
/** Of the clock: what DICT shows is older than what happened by as much. */
const settledMs = 6 * minuteMs;
const heapGrowthMaxBytes = 8 * 1_048_576;

/** DICT's by-CID bucket (API 2.6.1), smaller by as much as there are fewer divergences. */
function ratesFor(divergences: number): BucketRates {
  const share = divergences / fullSize;
  return {
    capacity: Math.round(36_000 * share),
    refillTokens: Math.max(1, Math.round(1_200 * share)),
    refillPeriodMs: minuteMs,
  };
}

/** As fast as leaves a read 2.5 ms, and at most 120 times. */
function factorFor(divergences: number): number {
  return Math.min(120, (20 * fullSize) / divergences);
}

function changesOf(items: number): DictChanges {
  const [unresolved, outdated, orphaned] = [0.03, 0.45, 0.05].map((share) => Math.round(items * share));
  assert(unresolved !== undefined && outdated !== undefined && orphaned !== undefined, 'three shares');
  return { keyType, missing: items - unresolved - outdated - orphaned, unresolved, outdated, orphaned };
}

/** Made before: what is timed begins where the divergences are there. */
let world: ScaleWorld | null = null;

async function openDiverged(serverUrl: string, items: number): Promise<void> {
  const database = await freshDatabase(serverUrl);
  const few = Object.fromEntries(others.map((other) => [other, 200]));
  const keys = { ...few, [keyType]: items * keysForEach };
  world = await openScaleWorld(database, { keys, factor: factorFor(items), byCid: ratesFor(items) });
  await world.load();
  assert((await world.verify(keyType)).kind === 'in-sync', 'what was loaded is what DICT has');
  await world.diverge(changesOf(items));
  await world.clock.sleep(settledMs);
}

async function repair(items: number): Promise<number> {
  assert(world !== null, 'the world is made before');
  const over = new AbortController();
  const [watching, approving] = [watch(world, others, over.signal), world.approve(over.signal)];
  const ended = await world.synchronise(keyType, randomUUID()).finally(() => over.abort());
  assert(ended.kind === 'ended' && ended.outcome === 'completed', JSON.stringify(ended));
  const [seen, approved, dict] = [await watching, await approving, await world.look()];
  const repaired = Object.values(await world.repairs()).reduce((sum, count) => sum + count, 0);
  assert(repaired === items && approved[0] === items, `${repaired} of ${items} divergences are repaired`);
  assert((await world.vsync(keyType)).vsync === dict.vsyncs[keyType]?.vsync, 'both sides have the same VSync afterwards');
  assert(!Object.keys(dict.counts).some((count) => count.endsWith(' 429')), 'DICT refused nothing for want of tokens');
  assertUndisturbed(seen);
  return items;
}

function assertUndisturbed({ verificationsMs, personsMs, heapBytes }: Watched): void {
  assert(median(verificationsMs) < minuteMs / 2, `verifications took ${median(verificationsMs)} ms`);
  assert(median(personsMs) < minuteMs / 2, `look-ups took ${median(personsMs)} ms`);
  const grownBytes = Math.max(...heapBytes) - Math.min(...heapBytes);
  assert(heapBytes.length >= 3 && grownBytes < heapGrowthMaxBytes, `the heap grew by ${grownBytes} bytes`);
}

/** Two tokens for each, of a full bucket but for the fifth that is kept back for verifications and people. */
async function tokensAlone(items: number): Promise<number> {
  const rates = ratesFor(items);
  const clock = scaledClock(factorFor(items));
  const bucket = new TokenBucket(rates, rates.capacity, clock.now());
  const reserved = Math.floor(rates.capacity * RESERVED_SHARE.routine);
  for (let taken = 0; taken < 2 * items; ) {
    const now = clock.now();
    const there = Math.min(2 * items - taken, bucket.available(now) - reserved);
    for (let token = 0; token < there; token++) {
      bucket.begin();
      bucket.end(true, now);
    }
    taken += Math.max(0, there);
    if (taken < 2 * items) await clock.sleep(bucket.msToNextChange(clock.now()));
  }
  return items;
}

export const bench: Bench = {
  what: 'approved divergences repaired at the rate of DICT’s by-CID bucket, verifications meanwhile',
  items: { usual: fullSize, small: 600, unit: 'divergences' },
  timed: 'work',
  rounds: 1,
  sides: {
    ours: {
      before: ({ url, items }) => openDiverged(String(url), Number(items)),
      run: ({ items }) => repair(Number(items)),
    },
    'tokens alone': { run: ({ items }) => tokensAlone(Number(items)) },
  },
  // What is not waiting for tokens: verifying, waiting for the file and for the approval.
  wanted: { 'tokens alone': { atMost: 1.25, smallAtMost: 3 } },
  async prepare(items, directory) {
    const server = await benchDatabase(directory);
    return { fixture: { url: server.url, items }, release: () => server.close() };
  },
};
