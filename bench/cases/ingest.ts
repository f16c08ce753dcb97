/**
 * Events taken in on a base of many keys, against the honest simple way: one transaction for each event. All that is promised is in
 * both: durable (fsync), inbox, entry, CID history, VSync and the journal of the buckets. `--n` is the rows of the base; how many events
 * a run takes is up to its side, since one is so much slower.
 */

import { ingestBatch } from '../../src/ingest/ingest-batch.ts';
import { assert } from '../../src/platform/assert.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Bench } from '../bench.ts';
import { benchDatabase, sideDatabase } from '../fixtures/database.ts';
import { ingestNextFile, nextLines, writeRounds } from '../fixtures/event-rounds.ts';
import { generateEntries } from '../fixtures/generated-entries.ts';
import { ingestOneByOne } from '../fixtures/single-transactions.ts';

const rounds = 5;
const sides = 3;
const events = 60_000;
const eventsOneByOne = 1_500;

async function singleBatches(url: string, directory: string): Promise<number> {
  const database = await sideDatabase(url);
  const lines = await nextLines(database, directory, eventsOneByOne);
  for (const line of lines) {
    const { dead } = await ingestBatch({ database, clock: systemClock }, [{ bytes: Buffer.from(line), origin: 'bench' }]);
    assert(dead === 0, 'every event is valid');
  }
  await database.close();
  return lines.length;
}

async function singleTransactions(url: string, directory: string): Promise<number> {
  const database = await sideDatabase(url);
  const lines = await nextLines(database, directory, eventsOneByOne);
  await database.close();
  return await ingestOneByOne(url, lines);
}

async function batches(url: string, directory: string): Promise<number> {
  const database = await sideDatabase(url);
  const done = await ingestNextFile(database, directory);
  await database.close();
  return done;
}

export const bench: Bench = {
  what: 'events taken in on a base of that many keys, buckets included, durable',
  items: { usual: 10_000_000, small: 100_000, unit: 'keys in the base' },
  timed: 'work',
  rounds,
  sides: {
    ours: { run: async ({ url, directory }) => batches(String(url), String(directory)) },
    'one transaction per event': { run: async ({ url, directory }) => singleTransactions(String(url), String(directory)) },
    'our batch of one event': { run: async ({ url, directory }) => singleBatches(String(url), String(directory)) },
  },
  wanted: { 'one transaction per event': { atMost: 1 / 60, smallAtMost: 1 / 8 } },
  async prepare(items, directory) {
    const database = await benchDatabase(directory);
    await generateEntries(database, items);
    await writeRounds(database, directory, { baseRows: items, rounds: rounds * sides, events });
    await database.query('CHECKPOINT');
    return { fixture: { url: database.url, directory }, release: () => database.close() };
  },
};
