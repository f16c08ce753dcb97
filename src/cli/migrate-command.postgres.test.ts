/** `dict-vsync migrate` as a specification, on the embedded server and on one given by its address. */

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { describe, it } from 'node:test';
import { runCommand } from '../../test/support/command-run.ts';
import { emptyDatabase, testDatabase } from '../../test/support/database.ts';
import { temporaryDirectory } from '../../test/support/embedded-server-programs.ts';
import { migrateCommand } from './migrate-command.ts';

const files = fs.readdirSync(path.join(import.meta.dirname, '../../migrations')).filter((name) => name.endsWith('.sql'));

describe('dict-vsync migrate', () => {
  it('applies what is missing, says so, and shows how far the database is', async (t) => {
    const { url } = await emptyDatabase(t);
    const given = { env: { DATABASE_URL: url }, cwd: '/nonexistent' };
    const before = await runCommand(migrateCommand, { ...given, args: ['--status'] });
    assert.equal(before.exitCode, 1);
    assert.match(before.stderr, new RegExp(`${files.length} of ${files.length} migrations are missing`));
    const first = await runCommand(migrateCommand, given);
    assert.deepEqual([first.exitCode, first.stdout], [0, `Applied: ${files.join(', ')}\n`]);
    const second = await runCommand(migrateCommand, given);
    assert.deepEqual([second.exitCode, second.stdout], [0, 'The schema is up to date.\n']);
    const after = await runCommand(migrateCommand, { ...given, args: ['--status'] });
    assert.equal(after.exitCode, 0);
    for (const name of files) assert.match(after.stdout, new RegExp(`^[0-9T:.Z-]{24} {2}${name}$`, 'm'));
  });

  it('works on the embedded server where no address is given, and leaves it stopped', async (t) => {
    const cwd = temporaryDirectory(t);
    const { stdout, stderr, exitCode } = await runCommand(migrateCommand, { cwd });
    assert.deepEqual([stderr, exitCode], ['', 0]);
    assert.match(stdout, /^Applied: /);
    assert.ok(!fs.existsSync(path.join(cwd, '.data/postgres/cluster/postmaster.pid')));
  });

  it('refuses a database that is newer than the program', async (t) => {
    const database = await testDatabase(t);
    await database.query(
      `INSERT INTO schema_migrations (number, name, checksum, applied_at) VALUES (999999, '999999_future.sql', '', $1)`,
      [new Date()],
    );
    for (const args of [[], ['--status']]) {
      const { stderr, exitCode } = await runCommand(migrateCommand, { args, env: { DATABASE_URL: database.url } });
      assert.equal(exitCode, 1);
      assert.match(stderr, /newer than this program: it has migration 999999_future\.sql/);
    }
  });

  const wrong: readonly (readonly [string, readonly string[], Record<string, string>, RegExp])[] = [
    ['an argument', ['up'], {}, /too many arguments/],
    ['an unknown option', ['--stats'], {}, /unknown option '--stats'/],
    ['a wrong configuration', [], { DATABASE_URL: 'mysql://h/db' }, /DATABASE_URL .*not allowed/],
    [
      'a server that does not answer',
      [],
      { DATABASE_URL: 'postgres://u@127.0.0.1:1/db' },
      /the database cannot be reached: .*ECONNREFUSED/,
    ],
    ['a data directory that cannot be', [], { DATA_DIR: '/dev/null' }, /the data directory \/dev\/null\/postgres cannot be used/],
  ];
  for (const [name, args, env, says] of wrong) {
    it(`refuses ${name}`, async () => {
      const { stdout, stderr, exitCode } = await runCommand(migrateCommand, { args, env, cwd: '/nonexistent' });
      assert.notEqual(exitCode, 0);
      assert.match(stderr, says);
      assert.equal(stdout, '');
    });
  }
});
