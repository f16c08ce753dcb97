/**
 * CIDs of database rows on one core of ours: rows as the server sends them, parsed, hashed and held against their stored CIDs, in
 * one thread, beside one server process. The peer hashes entries that it has in memory.
 */

import { KEY_TYPES } from '../../src/dict/key-type.ts';
import { laneOver } from '../../src/ingest/row-filter/lane.ts';
import { blocksOf, rangeAt, readTableSize } from '../../src/ingest/row-filter/table-files.ts';
import { assert } from '../../src/platform/assert.ts';
import type { Bench } from '../bench.ts';
import { hmacSide } from '../fixtures/damaged-entries.ts';
import { sideDatabase } from '../fixtures/database.ts';
import { benchBaseOf, IMPORTED_PARTICIPANT } from '../fixtures/imported-entries.ts';

async function read(url: string): Promise<number> {
  const database = await sideDatabase(url);
  const setup = { participant: IMPORTED_PARTICIPANT, keyTypes: KEY_TYPES, algorithm: 'dict', seed: { low: 1, high: 2 } } as const;
  const lane = laneOver(database, setup);
  const { files } = await readTableSize(database, 'dict_entries');
  const range = rangeAt(files, 0, blocksOf(files));
  const { rows, candidates } = await lane.readEntries(range);
  assert(candidates.length === 0, 'every row is what it hashes to');
  await lane.close();
  await database.close();
  return rows.reduce((sum, count) => sum + count, 0);
}

export const bench: Bench = {
  what: 'CIDs of rows of the database, read by one thread',
  items: { usual: 2_000_000, small: 200_000, unit: 'rows' },
  timed: 'work',
  rounds: 5,
  sides: {
    ours: { run: ({ url }) => read(String(url)) },
    'createHmac, nothing read': hmacSide,
  },
  wanted: { 'createHmac, nothing read': { atMost: 1 / 15, smallAtMost: 1 } },
  async prepare(items, directory) {
    const database = await benchBaseOf(items, directory);
    await database.query('CHECKPOINT');
    return { fixture: { url: database.url }, release: () => database.close() };
  },
};
