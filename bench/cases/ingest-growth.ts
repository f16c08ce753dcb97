/** What an event costs on a base of many keys against what it costs on an empty one: the same stream, the same settings, in turn. */

import * as path from 'node:path';
import { systemClock } from '../../src/platform/clock.ts';
import { migrationsDirectory } from '../../src/platform/postgres/database-access.ts';
import { migrate } from '../../src/platform/postgres/migrations.ts';
import type { Bench } from '../bench.ts';
import { benchDatabase, sideDatabase } from '../fixtures/database.ts';
import { ingestFile, ingestNextFile, writeEvents, writeRounds } from '../fixtures/event-rounds.ts';
import { generateEntries } from '../fixtures/generated-entries.ts';

const rounds = 5;
const events = 60_000;

const emptyName = (round: number): string => `empty_${round}`;

function urlOf(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

async function makeEmptyBase(url: string): Promise<void> {
  const database = await sideDatabase(url);
  await migrate(database, { directory: migrationsDirectory, clock: systemClock });
  await database.close();
}

/** Each run has an empty base of its own: the first has filled the one before. */
async function onEmptyBase(url: string, directory: string): Promise<number> {
  const counting = await sideDatabase(url);
  const { rows } = await counting.query<{ round: number }>(`SELECT nextval('bench_empty_bases') AS round`);
  await counting.close();
  const database = await sideDatabase(urlOf(url, emptyName(rows[0]?.round ?? 0)));
  const done = await ingestFile(database, path.join(directory, 'events-empty'));
  await database.close();
  return done;
}

async function onFullBase(url: string, directory: string): Promise<number> {
  const database = await sideDatabase(url);
  const done = await ingestNextFile(database, directory);
  await database.close();
  return done;
}

export const bench: Bench = {
  what: 'the cost of an event on a base of that many keys against its cost on an empty one',
  items: { usual: 10_000_000, small: 100_000, unit: 'keys in the base' },
  timed: 'work',
  rounds,
  sides: {
    ours: { run: async ({ url, directory }) => onFullBase(String(url), String(directory)) },
    'on an empty base': { run: async ({ url, directory }) => onEmptyBase(String(url), String(directory)) },
  },
  wanted: { 'on an empty base': { atMost: 1.2, smallAtMost: 4 } },
  async prepare(items, directory) {
    const database = await benchDatabase(directory);
    await database.query('CREATE SEQUENCE bench_empty_bases MINVALUE 0');
    for (let round = 0; round < rounds; round++) {
      await database.query(`CREATE DATABASE ${emptyName(round)}`);
      await makeEmptyBase(urlOf(database.url, emptyName(round)));
    }
    await generateEntries(database, items);
    await writeRounds(database, directory, { baseRows: items, rounds, events });
    await writeEvents(path.join(directory, 'events-empty'), { baseRows: 0, events, round: 0 });
    await database.query('CHECKPOINT');
    return { fixture: { url: database.url, directory }, release: () => database.close() };
  },
};
