/**
 * An existing base of entries imported into an empty one: validated, hashed, loaded, keys and indexes, VSync, count and buckets. The peers
 * copy the very same rows, computed and written down before, into the same tables, and do nothing else: with keys and indexes as they stand, and
 * with keys and indexes made afterwards.
 */

import { createReadStream, createWriteStream } from 'node:fs';
import * as path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database, Transaction } from '../../src/platform/postgres/database.ts';
import { migrationsDirectory } from '../../src/platform/postgres/database-access.ts';
import { migrate } from '../../src/platform/postgres/migrations.ts';
import type { Bench, Fixture, FunctionSide } from '../bench.ts';
import { benchDatabase, sideDatabase } from '../fixtures/database.ts';
import { importBase, writeBase } from '../fixtures/imported-entries.ts';

const tables = ['dict_entries', 'dict_cids'] as const;

async function copyFiles(tx: Transaction, fixture: Fixture): Promise<void> {
  for (const table of tables) {
    const into = tx.connection.query(copyFrom(`COPY ${table} FROM STDIN`));
    await pipeline(createReadStream(String(fixture[table]), { highWaterMark: 262_144 }), into);
  }
}

/** Takes keys and indexes off, and answers the statements that make them again. */
async function dropIndexes(tx: Transaction): Promise<string[]> {
  const { rows } = await tx.query<{ taken: string; made: string }>(
    `SELECT CASE WHEN k.oid IS NULL THEN format('DROP INDEX %I', c.relname)
         ELSE format('ALTER TABLE %s DROP CONSTRAINT %I', i.indrelid::regclass, k.conname) END AS taken,
       CASE WHEN k.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
         ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', i.indrelid::regclass, k.conname, pg_get_constraintdef(k.oid)) END AS made
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid
     WHERE i.indrelid = ANY ($1::regclass[])`,
    [[...tables]],
  );
  for (const { taken } of rows) await tx.query(taken);
  return rows.map(({ made }) => made);
}

/** Each run has a fresh copy of the empty base; the one before is dropped, and what it left is on disk. */
async function freshBase(fixture: Fixture): Promise<void> {
  const server = await sideDatabase(String(fixture['serverUrl']));
  await server.query('DROP DATABASE IF EXISTS bench_import WITH (FORCE)');
  await server.query('CREATE DATABASE bench_import TEMPLATE bench_template');
  await server.query('CHECKPOINT');
  await server.close();
}

function side(work: (database: Database, fixture: Fixture) => Promise<void>): FunctionSide {
  return {
    before: freshBase,
    run: async (fixture) => {
      const database = await sideDatabase(String(fixture['url']));
      await work(database, fixture);
      await database.close();
      return Number(fixture['items']);
    },
  };
}

export const bench: Bench = {
  what: 'an existing base imported into an empty one, against a raw COPY of the same rows',
  items: { usual: 10_000_000, small: 100_000, unit: 'entries' },
  timed: 'work',
  rounds: 3,
  sides: {
    ours: side(async (database, fixture) => {
      await importBase(database, String(fixture['file']), Number(fixture['items']));
    }),
    'COPY, keys and indexes there': side((database, fixture) => database.transaction((tx) => copyFiles(tx, fixture))),
    'COPY, keys and indexes after': side((database, fixture) =>
      database.transaction(async (tx) => {
        const made = await dropIndexes(tx);
        await copyFiles(tx, fixture);
        await tx.query(`SET LOCAL maintenance_work_mem = '512MB'`);
        for (const statement of made) await tx.query(statement);
      }),
    ),
  },
  wanted: {
    'COPY, keys and indexes there': { atMost: 2, smallAtMost: 4 },
    'COPY, keys and indexes after': { atMost: 2, smallAtMost: 6 },
  },
  async prepare(items, directory) {
    const server = await benchDatabase(directory);
    const urlOf = (name: string): string => Object.assign(new URL(server.url), { pathname: `/${name}` }).href;
    const files = Object.fromEntries(tables.map((table) => [table, path.join(directory, `${table}.copy`)]));
    const file = path.join(directory, 'base.ndjson');
    await writeBase(file, items);
    const fixture = { ...files, file, items, serverUrl: server.url, url: urlOf('bench_import') };
    await server.query('CREATE DATABASE bench_template');
    const template = await sideDatabase(urlOf('bench_template'));
    await migrate(template, { directory: migrationsDirectory, clock: systemClock });
    await template.close();
    await freshBase(fixture);
    const loaded = await sideDatabase(fixture.url);
    await importBase(loaded, file, items);
    await loaded.transaction(async (tx) => {
      for (const table of tables) {
        await pipeline(tx.connection.query(copyTo(`COPY ${table} TO STDOUT`)), createWriteStream(String(files[table])));
      }
    });
    await loaded.close();
    return { fixture, release: () => server.close() };
  },
};
