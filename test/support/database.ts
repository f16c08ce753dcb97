/**
 * A fresh, migrated database for each test: a clone of a template on an embedded server that all test processes share. Speed comes
 * before durability here, everything else is as in production.
 */

import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import type { TestContext } from 'node:test';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/postgres/database.ts';
import { openDatabase } from '../../src/platform/postgres/database.ts';
import type { EmbeddedServer } from '../../src/platform/postgres/embedded-server.ts';
import { startEmbeddedServer } from '../../src/platform/postgres/embedded-server.ts';
import { migrate } from '../../src/platform/postgres/migrations.ts';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const migrationsDirectory = path.join(root, 'migrations');
const abandonedAfterMs = 3_600_000;
const templateLock = 0x74657374;

interface TestServer {
  readonly server: EmbeddedServer;
  readonly template: string;
}

let shared: Promise<TestServer> | undefined;

after(async () => {
  // A server that did not start has failed the tests that asked for it; there is nothing to leave.
  const started = await shared?.catch(() => undefined);
  await started?.server.leave();
});

/** A fresh database with the current schema; closed and dropped when the test ends. `url` is for other processes. */
export async function testDatabase(t: TestContext): Promise<Database & { readonly url: string }> {
  shared ??= startTestServer();
  const { server, template } = await shared;
  const name = `test_${Date.now()}_${randomBytes(4).toString('hex')}`;
  await administer(server, (client) => client.query(`CREATE DATABASE ${name} TEMPLATE ${template}`));
  const url = urlOf(server, name);
  const database = await open(url);
  t.after(async () => {
    await database.close();
    await administer(server, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
  });
  return { ...database, url };
}

/** An empty database without any schema, for tests of migrations. */
export async function emptyDatabase(t: TestContext): Promise<Database & { readonly url: string }> {
  shared ??= startTestServer();
  const { server } = await shared;
  const name = `test_${Date.now()}_${randomBytes(4).toString('hex')}`;
  await administer(server, (client) => client.query(`CREATE DATABASE ${name}`));
  const url = urlOf(server, name);
  const database = await open(url);
  t.after(async () => {
    await database.close();
    await administer(server, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`));
  });
  return { ...database, url };
}

async function startTestServer(): Promise<TestServer> {
  const server = await startEmbeddedServer({
    dataDirectory: path.join(root, '.cache/test-postgres'),
    durable: false,
    startTimeoutMs: 60_000,
    stopTimeoutMs: 30_000,
  });
  try {
    return { server, template: await ensureTemplate(server) };
  } catch (cause) {
    await server.leave();
    throw cause;
  }
}

function open(url: string): Promise<Database> {
  return openDatabase({
    url,
    poolMin: 0,
    poolMax: 10,
    statementTimeoutMs: 60_000,
    connectTimeoutMs: 10_000,
    applicationName: 'dict-vsync test',
  });
}

function urlOf(server: EmbeddedServer, database: string): string {
  const url = new URL(server.url);
  url.pathname = `/${database}`;
  return url.href;
}

async function administer<Result>(server: EmbeddedServer, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: urlOf(server, 'postgres') });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Named for the migrations' content: a changed migration makes a new template, the old one is dropped. */
async function ensureTemplate(server: EmbeddedServer): Promise<string> {
  const hash = createHash('sha256');
  for (const name of readdirSync(migrationsDirectory).toSorted()) {
    hash.update(name).update(readFileSync(path.join(migrationsDirectory, name)));
  }
  const template = `template_${hash.digest('hex').slice(0, 16)}`;
  await administer(server, async (client) => {
    await client.query('SELECT pg_advisory_lock($1)', [templateLock]);
    const { rows } = await client.query<{ datname: string }>(
      `SELECT datname FROM pg_database WHERE datname ~ '^(template|test)_'`,
    );
    for (const { datname } of rows)
      if (isAbandoned(datname, template)) await client.query(`DROP DATABASE ${datname} WITH (FORCE)`);
    if (rows.some(({ datname }) => datname === template)) return;
    const making = `making_${template}`;
    await client.query(`DROP DATABASE IF EXISTS ${making} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${making}`);
    const database = await open(urlOf(server, making));
    try {
      await migrate(database, { directory: migrationsDirectory, clock: systemClock });
    } finally {
      await database.close();
    }
    await client.query(`ALTER DATABASE ${making} RENAME TO ${template}`);
  });
  return template;
}

/** Left behind by a killed test process. Other templates may be in use by a checkout with other migrations: they stay. */
function isAbandoned(name: string, template: string): boolean {
  const found = /^test_([0-9]+)_/.exec(name);
  return name !== template && found !== null && Date.now() - Number(found[1]) > abandonedAfterMs;
}
