/** The demo through its command line: a short story to its good end, its interruption, and arguments that make no story. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { after, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { loadConfig } from '../src/config.ts';
import { OURS } from '../src/demo/settings.ts';
import { openWorld } from '../src/demo/world.ts';
import { DictError } from '../src/dict/errors.ts';
import { openDict } from '../src/wire-dict.ts';
import { runLine } from './support/command-run.ts';

/** Of this process alone: other demos may come and go at the same time. */
const temporary = mkdtempSync(path.join(tmpdir(), 'dict-vsync-demo-test-'));
process.env['TMPDIR'] = temporary;
after(() => rmSync(temporary, { recursive: true }));

describe('dict-vsync demo', () => {
  it('finds each thing that goes wrong by the rung made for it, repairs it, and ends equal', async () => {
    const { stdout, stderr, exitCode } = await runLine(['demo', '--keys', '300', '--divergences', '26', '--seed', '7']);
    assert.equal(exitCode, 0, stdout + stderr);
    assert.match(stdout, /^ +all +26 +26 +9 +1 +12 +4 +26$/m);
    assert.match(stdout, /No other key was touched/);
    assert.match(stdout, /^ +DICT +https:\/\/127\.0\.0\.1:\d+\/api\/v2\/ /m);
    assert.match(stdout, /^ +Path +signed XML both ways over mutual TLS, token buckets on both sides, as in production$/m);
    assert.doesNotMatch(stdout, /DICT refused calls for their number/);
    assert.equal(stdout.includes('\u001b'), false, 'plain lines where there is no terminal');
    assert.deepEqual(readdirSync(temporary), []);
  });

  it('runs where nothing is understood that is not signed, and nobody heard who has no certificate', async () => {
    const { signal } = new AbortController();
    const io = { stdin: Readable.from([]), stdout: new PassThrough(), stderr: new PassThrough(), env: {}, cwd: '/', signal };
    const world = await openWorld(io, { keys: 300, divergences: 14, seed: 1, keep: null });
    const question = { participant: OURS, keyType: 'CPF', participantSyncVerifier: '0'.repeat(64) } as const;
    const { DICT_VSYNC_DICT_TLS_CERTIFICATE: certificate, DICT_VSYNC_DICT_TLS_KEY: key, ...uncertified } = world.env;
    const { DICT_VSYNC_DICT_SIGNING_KEY: _key, DICT_VSYNC_DICT_SIGNING_CERTIFICATE: _certificate, ...unsigned } = world.env;
    const clients = await Promise.all(
      [uncertified, unsigned].map((env) => openDict({ config: loadConfig({ env, cwd: world.directory }), clock: world.clock })),
    );
    try {
      assert.ok(certificate && key);
      assert.equal((await world.dict.createSyncVerification(question)).result, 'OK');
      const kinds = clients.map((client) =>
        client
          .createSyncVerification(question)
          .then(String, (error) => (error instanceof DictError ? error.kind : String(error))),
      );
      assert.deepEqual(await Promise.all(kinds), ['ClientCertificateRefused', 'RequestSignatureInvalid']);
      const policies = await world.dict.listPolicies({ participant: OURS });
      const verifications = policies.find(({ name }) => name === 'SYNC_VERIFICATIONS_WRITE');
      assert.deepEqual([verifications?.capacity, verifications?.refillTokens], [50, 10]);
    } finally {
      await Promise.all(clients.map((client) => client.close()));
      await world.close();
    }
    assert.deepEqual(readdirSync(temporary), []);
  });

  it('leaves nothing running and nothing on the disk when interrupted', async () => {
    const interruption = new AbortController();
    const running = runLine(['demo', '--keys', '300'], { signal: interruption.signal });
    await wait(4_000);
    interruption.abort(new Error('interrupted by the test'));
    const { exitCode } = await running;
    assert.equal(exitCode, 130);
    assert.deepEqual(readdirSync(temporary), []);
  });

  it('refuses to mix its base with what a directory has', async (t) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'dict-vsync-kept-'));
    t.after(() => rmSync(directory, { recursive: true }));
    writeFileSync(path.join(directory, 'something'), '');
    const { exitCode, stderr } = await runLine(['demo', '--keep', directory]);
    assert.equal(exitCode, 1);
    assert.match(stderr, /is not empty; name a new directory/);
    assert.deepEqual(readdirSync(directory), ['something']);
  });

  for (const [args, complaint] of [
    [['--keys', 'many'], /--keys.*whole number from 300 to 1000000/],
    [['--keys', '299'], /--keys.*whole number from 300/],
    [['--divergences', '13'], /--divergences.*whole number from 14 to 100/],
    [['--divergences', '101'], /--divergences.*whole number from 14 to 100/],
    [['--seed', '-1'], /--seed/],
    [['--keep'], /--keep.*argument missing/],
    [['now'], /too many arguments/],
  ] as const) {
    it(`refuses ${args.join(' ')}`, async () => {
      const { exitCode, stderr, stdout } = await runLine(['demo', ...args]);
      assert.equal(exitCode, 2);
      assert.match(stderr, complaint);
      assert.equal(stdout, '');
    });
  }
});
