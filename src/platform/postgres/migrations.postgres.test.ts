/** Migrations as a specification: once, in order, all or nothing, under a lock, and what is refused. */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { emptyDatabase } from '../../../test/support/database.ts';
import { systemClock } from '../clock.ts';
import { openDatabase } from './database.ts';
import { migrate, migrationStatus } from './migrations.ts';

const clock = { ...systemClock, now: () => new Date('2026-03-01T03:00:00.000Z') };

function directoryOf(t: TestContext, files: Readonly<Record<string, string>>): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'dict-vsync-migrations-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(directory, name), text);
  return directory;
}

const two = {
  '000001_first.sql': 'CREATE TABLE first (id integer);\nCREATE INDEX first_by_id ON first (id);\n',
  '000002_second.sql': 'CREATE TABLE second (id integer);\n',
};

describe('migrations', () => {
  it('are applied once, in order, with the time of the injected clock', async (t) => {
    const database = await emptyDatabase(t);
    const directory = directoryOf(t, two);
    assert.deepEqual(
      (await migrationStatus(database, directory)).map(({ appliedAt }) => appliedAt),
      [null, null],
    );
    assert.deepEqual(await migrate(database, { directory, clock }), { applied: Object.keys(two) });
    assert.deepEqual(await migrate(database, { directory, clock }), { applied: [] });
    assert.deepEqual(await migrationStatus(database, directory), [
      { number: 1, name: '000001_first.sql', appliedAt: clock.now() },
      { number: 2, name: '000002_second.sql', appliedAt: clock.now() },
    ]);
  });

  it('are applied once when two programs migrate at the same time', async (t) => {
    const database = await emptyDatabase(t);
    const other = await openDatabase({
      url: database.url,
      poolMin: 0,
      poolMax: 2,
      statementTimeoutMs: 10_000,
      connectTimeoutMs: 10_000,
      applicationName: 'dict-vsync test',
    });
    t.after(() => other.close());
    const directory = directoryOf(t, { ...two, '000003_slow.sql': 'SELECT pg_sleep(0.2);' });
    const results = await Promise.all([migrate(database, { directory, clock }), migrate(other, { directory, clock })]);
    assert.deepEqual(results.map(({ applied }) => applied.length).toSorted(), [0, 3]);
  });

  it('are all or nothing: one that fails takes the ones before it back', async (t) => {
    const database = await emptyDatabase(t);
    const directory = directoryOf(t, { ...two, '000003_broken.sql': 'CREATE TABLE first (id integer);' });
    await assert.rejects(
      migrate(database, { directory, clock }),
      /migration 000003_broken\.sql failed: relation "first" already exists/,
    );
    fs.rmSync(path.join(directory, '000003_broken.sql'));
    assert.deepEqual(await migrate(database, { directory, clock }), { applied: Object.keys(two) });
  });

  it('do not mind Windows line endings', async (t) => {
    const database = await emptyDatabase(t);
    await migrate(database, { directory: directoryOf(t, two), clock });
    const checkedOut = Object.fromEntries(Object.entries(two).map(([name, text]) => [name, text.replaceAll('\n', '\r\n')]));
    assert.deepEqual(await migrate(database, { directory: directoryOf(t, checkedOut), clock }), { applied: [] });
  });

  it('refuse a database that is newer than the program', async (t) => {
    const database = await emptyDatabase(t);
    await migrate(database, { directory: directoryOf(t, two), clock });
    const older = directoryOf(t, { '000001_first.sql': two['000001_first.sql'] });
    const refusal = {
      name: 'MigrationRefused',
      message: /newer than this program: it has migration 000002_second\.sql.*newer program/,
    };
    await assert.rejects(migrate(database, { directory: older, clock }), refusal);
    await assert.rejects(migrationStatus(database, older), refusal);
  });

  const refused: readonly { readonly name: string; readonly files: Readonly<Record<string, string>>; readonly says: RegExp }[] = [
    {
      name: 'a migration that was changed after it was applied',
      files: { ...two, '000002_second.sql': 'CREATE TABLE second (id bigint);\n' },
      says: /migration 000002_second\.sql was changed after it was applied/,
    },
    {
      name: 'a migration numbered before one that is applied',
      files: {
        '000001_first.sql': two['000001_first.sql'],
        '000002_second.sql': two['000002_second.sql'],
        '000000_late.sql': 'SELECT 1;',
      },
      says: /migration 000000_late\.sql is numbered before 000002_second\.sql/,
    },
    {
      name: 'two migrations of one number',
      files: { ...two, '000002_other.sql': 'SELECT 1;' },
      says: /migrations 000002_other\.sql and 000002_second\.sql have the same number/,
    },
    {
      name: 'a file whose name is not one of a migration',
      files: { ...two, '3-third.sql': 'SELECT 1;' },
      says: /migration 3-third\.sql: the name must look like 000001_what_it_does\.sql/,
    },
    { name: 'a directory without any', files: { 'README.md': '' }, says: /the installation is incomplete/ },
  ];
  for (const { name, files, says } of refused) {
    it(`refuse ${name}`, async (t) => {
      const database = await emptyDatabase(t);
      await migrate(database, { directory: directoryOf(t, two), clock });
      await assert.rejects(migrate(database, { directory: directoryOf(t, files), clock }), {
        name: 'MigrationRefused',
        message: says,
      });
    });
  }
});
