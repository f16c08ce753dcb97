/**
 * A whole base scanned: every row read and hashed, every CID read and folded, against buckets, VSync and each other, and what was
 * damaged found, each kind of it and nothing else. The peer hashes as many entries that it has in memory, and does nothing else.
 */

import { randomUUID } from 'node:crypto';
import { scanScopes } from '../../src/ingest/scan.ts';
import { readKeyFindings } from '../../src/ingest/scan-store.ts';
import { assert } from '../../src/platform/assert.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Bench } from '../bench.ts';
import { damageKeys, damageSums, type damages, hmacSide, IMPORTED_SCOPES } from '../fixtures/damaged-entries.ts';
import { sideDatabase } from '../fixtures/database.ts';
import { benchBaseOf } from '../fixtures/imported-entries.ts';

const kinds = ['attribute', 'cid', 'missing', 'surplus'] satisfies (keyof typeof damages)[];

async function scan(url: string, damaged: ReadonlySet<string>): Promise<number> {
  const database = Object.assign(await sideDatabase(url), { url });
  const scanId = randomUUID();
  let entries = 0;
  const found = new Set<string>();
  const sums: string[] = [];
  for await (const result of scanScopes({ database, clock: systemClock }, IMPORTED_SCOPES, scanId)) {
    entries += result.entries;
    sums.push(...result.scopeFindings.map(({ kind }) => `${result.scope.keyType} ${kind}`));
    for (const { key } of await readKeyFindings(database, scanId, result.scope, { after: 0, limit: 10_000 })) found.add(key);
  }
  assert(found.size === damaged.size && [...found].every((key) => damaged.has(key)), 'every damaged key is found, and no other');
  assert(sums.some((sum) => sum === 'EVP vsync') && sums.some((sum) => sum === 'CPF buckets'), 'damaged sums are found');
  await database.close();
  return entries;
}

export const bench: Bench = {
  what: 'a base scanned, 80 keys, one VSync and one bucket of it damaged',
  items: { usual: 10_000_000, small: 200_000, unit: 'entries' },
  timed: 'work',
  rounds: 3,
  sides: {
    ours: { run: ({ url, damaged }) => scan(String(url), new Set(String(damaged).split(' '))) },
    'createHmac, nothing read': hmacSide,
  },
  wanted: { 'createHmac, nothing read': { atMost: 1 / 15, smallAtMost: 1 } },
  async prepare(items, directory) {
    const database = await benchBaseOf(items, directory);
    const damaged = await damageKeys(database, kinds);
    await damageSums(database);
    await database.query('CHECKPOINT');
    return { fixture: { url: database.url, damaged: [...damaged].join(' ') }, release: () => database.close() };
  },
};
