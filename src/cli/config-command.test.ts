/** `dict-vsync config` as a specification: what it prints, what it never prints, what it refuses. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runCommand } from '../../test/support/command-run.ts';
import { envExample } from '../config/env-example.ts';
import { namedOptions } from '../config/option-table.ts';
import { configCommand } from './config-command.ts';

const cwd = '/nonexistent';
const env = { DATABASE_URL: 'postgres://u:hunter2@h/db', DICT_VSYNC_INGEST_BATCH_EVENTS: '7' };

describe('dict-vsync config', () => {
  it('shows every option with its value, source, default, meaning and what is allowed', async () => {
    const { stdout, exitCode } = await runCommand(configCommand, { env, cwd });
    assert.equal(exitCode, 0);
    for (const { env: name, name: inFile } of namedOptions) {
      assert.match(stdout, new RegExp(`^${name}=`, 'm'));
      assert.ok(stdout.replaceAll(/\n +/g, ' ').includes(`In a file: ${inFile}.`), inFile);
    }
    assert.match(stdout, /^DICT_VSYNC_INGEST_BATCH_EVENTS=7 {2}\(from environment; default 4000\)$/m);
    assert.match(stdout, /^DATABASE_URL=\(secret\) /m);
  });

  it('prints the same as JSON for machines', async () => {
    const { stdout } = await runCommand(configCommand, { args: ['--json'], env, cwd });
    const rows: unknown = JSON.parse(stdout);
    assert.ok(Array.isArray(rows));
    assert.equal(rows.length, namedOptions.length);
    assert.deepEqual(rows.find(({ env: name }) => name === 'DATABASE_URL').value, '(secret)');
  });

  it('never prints a secret', async () => {
    for (const args of [[], ['--json'], ['--env-example']]) {
      const { stdout, stderr } = await runCommand(configCommand, { args, env, cwd });
      assert.doesNotMatch(stdout + stderr, /hunter2/);
    }
  });

  it('prints .env.example', async () => {
    assert.equal((await runCommand(configCommand, { args: ['--env-example'], cwd })).stdout, envExample());
  });

  const wrong: readonly (readonly [string, readonly string[], Record<string, string>, RegExp])[] = [
    ['an argument', ['now'], {}, /too many arguments/],
    ['an unknown option', ['--jsn'], {}, /unknown option '--jsn'/],
    ['two formats', ['--json', '--env-example'], {}, /--json and --env-example exclude each other/],
    ['a wrong value', [], { DICT_VSYNC_LOG_LEVEL: 'loud' }, /DICT_VSYNC_LOG_LEVEL .*"loud" is not allowed/],
  ];
  for (const [name, args, given, says] of wrong) {
    it(`refuses ${name}`, async () => {
      const { stdout, stderr, exitCode } = await runCommand(configCommand, { args, env: given, cwd });
      assert.notEqual(exitCode, 0);
      assert.match(stderr, says);
      assert.equal(stdout, '');
    });
  }
});
