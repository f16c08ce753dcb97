/**
 * A synchronisation from beginning to end, simulator included: DICT filled in a process of its own, the base loaded and verified, 100
 * keys changed without events, then verified, located, read by CID, repaired and verified again. One clock for both runs 60 times
 * faster, since DICT makes its files wait; limits and buckets are DICT's. Below the usual number of keys the sides are the shares of it
 * that seed INT-003 gives a table of: 10,000, 50,000, 100,000 and 500,000, for which it expects 5, 15, 30 and 90 minutes.
 */

import { randomUUID } from 'node:crypto';
import { assert } from '../../src/platform/assert.ts';
import { openScaleWorld } from '../../test/support/scale-world.ts';
import type { Bench, FunctionSide } from '../bench.ts';
import { benchDatabase, freshDatabase } from '../fixtures/database.ts';

const keyType = 'EMAIL';
const changes = { keyType, missing: 40, unresolved: 10, outdated: 40, orphaned: 10 } as const;
const divergences = 100;
const factor = 60;
/** Of the clock: what DICT shows is older than what happened by as much. */
const settledMs = 6 * 60_000;

async function synchronise(serverUrl: string, keys: number): Promise<number> {
  const database = await freshDatabase(serverUrl);
  const world = await openScaleWorld(database, { keys: { [keyType]: keys }, factor });
  await world.load();
  assert((await world.verify(keyType)).kind === 'in-sync', 'what was loaded is what DICT has');
  await world.diverge(changes);
  await world.clock.sleep(settledMs);
  const over = new AbortController();
  const approving = world.approve(over.signal);
  const ended = await world.synchronise(keyType, randomUUID()).finally(() => over.abort());
  await approving;
  assert(ended.kind === 'ended' && ended.outcome === 'completed', JSON.stringify(ended));
  const repaired = Object.values(await world.repairs()).reduce((sum, count) => sum + count, 0);
  assert(repaired === divergences, `${repaired} of ${divergences} divergences are repaired`);
  assert((await world.verify(keyType)).kind === 'in-sync', 'it is in sync again');
  await world.close();
  await database.close();
  return keys;
}

function share(of: number): FunctionSide {
  return { run: ({ url, items }) => synchronise(String(url), Math.max(1_000, Math.round(Number(items) / of))) };
}

export const bench: Bench = {
  what: 'a synchronisation end to end, simulator included, 100 divergences',
  items: { usual: 500_000, small: 20_000, unit: 'keys' },
  timed: 'work',
  rounds: 3,
  oursSecondsMax: 60,
  sides: { ours: share(1), 'a fifth of the keys': share(5), 'a tenth': share(10), 'a fiftieth': share(50) },
  wanted: {},
  async prepare(items, directory) {
    const server = await benchDatabase(directory);
    return { fixture: { url: server.url, items }, release: () => server.close() };
  },
};
