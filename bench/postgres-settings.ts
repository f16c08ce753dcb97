/**
 * `node bench/postgres-settings.ts [KEYS]`: what each setting of PostgreSQL is worth to ingest, on one base, the server started anew for
 * each. Rounds go through all variants in turn. docs/postgres.md quotes it.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { systemClock } from '../src/platform/clock.ts';
import { openDatabase } from '../src/platform/postgres/database.ts';
import { migrationsDirectory } from '../src/platform/postgres/database-access.ts';
import { startEmbeddedServer } from '../src/platform/postgres/embedded-server.ts';
import { migrate } from '../src/platform/postgres/migrations.ts';
import { ingestNextFile, writeRounds } from './fixtures/event-rounds.ts';
import { generateEntries } from './fixtures/generated-entries.ts';

const keys = Number(process.argv[2] ?? 2_000_000);
const rounds = 3;
const events = 60_000;

const variants: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'as embedded': {},
  'shared_buffers 128 MB (stock)': { shared_buffers: '128MB' },
  'max_wal_size 1 GB (stock)': { max_wal_size: '1GB' },
  'wal_compression pglz': { wal_compression: 'pglz' },
  'wal_level replica (stock)': { wal_level: 'replica' },
  'synchronous_commit off': { synchronous_commit: 'off' },
};

const directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-settings-'));
const server = { dataDirectory: path.join(directory, 'postgres'), durable: true, startTimeoutMs: 60_000, stopTimeoutMs: 60_000 };
const pool = {
  poolMin: 0,
  poolMax: 4,
  connectTimeoutMs: 10_000,
  statementTimeoutMs: 0,
  applicationName: 'dict-vsync-bench',
} as const;

async function withServer<Result>(
  settings: Readonly<Record<string, string>>,
  work: (database: Awaited<ReturnType<typeof openDatabase>>) => Promise<Result>,
): Promise<Result> {
  const running = await startEmbeddedServer({ ...server, settings });
  const database = await openDatabase({ ...pool, url: running.url });
  try {
    return await work(database);
  } finally {
    await database.close();
    await running.leave();
  }
}

interface Round {
  readonly seconds: number;
  readonly walBytes: number;
}

async function measure(settings: Readonly<Record<string, string>>): Promise<Round> {
  return await withServer(settings, async (database) => {
    // Into the server's memory what fits, and every first change of a page logs the page: as after any checkpoint.
    await database.query('SELECT count(*) FROM dict_entries');
    await database.query('CHECKPOINT');
    const wal = async (): Promise<number> =>
      Number((await database.query<{ at: number }>(`SELECT pg_current_wal_lsn() - '0/0' AS at`)).rows[0]?.at);
    const [beforeBytes, startMs] = [await wal(), performance.now()];
    await ingestNextFile(database, directory);
    const seconds = (performance.now() - startMs) / 1_000;
    return { seconds, walBytes: (await wal()) - beforeBytes };
  });
}

try {
  await withServer({}, async (database) => {
    await migrate(database, { directory: migrationsDirectory, clock: systemClock });
    await generateEntries(database, keys);
    await writeRounds(database, directory, { baseRows: keys, rounds: rounds * Object.keys(variants).length, events });
    await database.query('VACUUM (ANALYZE)');
  });
  const measured = new Map<string, Round[]>(Object.keys(variants).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, settings] of Object.entries(variants)) measured.get(name)?.push(await measure(settings));
  }
  console.log(`${events.toLocaleString('en')} events into ${keys.toLocaleString('en')} keys, median of ${rounds}`);
  const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
  for (const [name, runs] of measured) {
    const seconds = median(runs.map((run) => run.seconds));
    const walBytes = median(runs.map((run) => run.walBytes));
    console.log(
      `${name.padEnd(32)} ${seconds.toFixed(2).padStart(7)} s ${(walBytes / events / 1_024).toFixed(1).padStart(7)} KB of log an event`,
    );
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
