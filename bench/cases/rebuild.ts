/**
 * A whole base rebuilt: everything that a scan reads, then wrong CIDs of rows, a VSync and a bucket set right. The peer hashes as many
 * entries that it has in memory, and does nothing else.
 */

import { randomUUID } from 'node:crypto';
import { rebuildScopes } from '../../src/ingest/rebuild.ts';
import { assert } from '../../src/platform/assert.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { readBuckets } from '../../src/vsync/bucket-store.ts';
import type { Bench } from '../bench.ts';
import { damagedEach, damageKeys, damageSums, hmacSide, IMPORTED_SCOPES } from '../fixtures/damaged-entries.ts';
import { sideDatabase } from '../fixtures/database.ts';
import { benchBaseOf } from '../fixtures/imported-entries.ts';

async function damage(url: string): Promise<void> {
  const database = await sideDatabase(url);
  await damageKeys(database, ['cid']);
  await damageSums(database);
  await database.query('CHECKPOINT');
  await database.close();
}

async function rebuild(url: string): Promise<number> {
  const database = Object.assign(await sideDatabase(url), { url });
  const total = { entries: 0, restored: 0, left: 0, sumsCorrected: 0 };
  const request = { id: randomUUID(), acceptAltered: false };
  for await (const result of rebuildScopes({ database, clock: systemClock }, IMPORTED_SCOPES, request)) {
    total.entries += result.entries;
    total.restored += result.restored;
    total.left += result.left;
    total.sumsCorrected += Number(result.sumsCorrected);
  }
  assert(total.restored === damagedEach && total.left === 0 && total.sumsCorrected === 1, `what was damaged is set right`);
  for (const scope of IMPORTED_SCOPES) await readBuckets(database, scope);
  await database.close();
  return total.entries;
}

export const bench: Bench = {
  what: 'a base rebuilt, 20 keys, one VSync and one bucket of it damaged',
  items: { usual: 10_000_000, small: 200_000, unit: 'entries' },
  timed: 'work',
  rounds: 3,
  sides: {
    ours: { before: ({ url }) => damage(String(url)), run: ({ url }) => rebuild(String(url)) },
    'createHmac, nothing read': hmacSide,
  },
  wanted: { 'createHmac, nothing read': { atMost: 1 / 15, smallAtMost: 1 } },
  async prepare(items, directory) {
    const database = await benchBaseOf(items, directory);
    return { fixture: { url: database.url }, release: () => database.close() };
  },
};
