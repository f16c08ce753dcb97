/** The rehearsal of the Central Bank's synchronisation test through its command line: passed, interrupted, and asked for wrongly. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { runLine } from './support/command-run.ts';

/** Of this process alone: others may come and go at the same time. */
const temporary = mkdtempSync(path.join(tmpdir(), 'dict-vsync-homologation-test-'));
process.env['TMPDIR'] = temporary;
after(() => rmSync(temporary, { recursive: true }));

const printed = z.object({
  passed: z.boolean(),
  checks: z.array(z.object({ name: z.string(), passed: z.boolean(), seen: z.string() })),
  divergences: z.array(
    z.object({ key: z.string(), kind: z.string(), foundAs: z.string(), foundBy: z.string(), repaired: z.boolean() }),
  ),
  beganAt: z.iso.datetime().transform((text) => new Date(text)),
  endedAt: z.iso.datetime().transform((text) => new Date(text)),
  calls: z.array(z.object({ at: z.string(), operation: z.string(), correlationId: z.string(), says: z.string() })),
  log: z.array(z.object({ at: z.iso.datetime(), text: z.string() })),
});

describe('dict-vsync homologation', () => {
  it('reaches OK with 1,000 keys of one type, and shows the evidence', async () => {
    const { stdout, stderr, exitCode } = await runLine(['homologation', '--json']);
    assert.equal(exitCode, 0, stdout + stderr);
    const { passed, checks, divergences, beganAt, endedAt, calls, log } = printed.parse(JSON.parse(stdout));
    assert.equal(passed, true);
    const names = ['equal before', 'divergences', 'OK', 'no writes', 'rate limits', 'time', 'equal after'];
    assert.deepEqual(
      checks.map(({ name }) => name),
      names,
    );
    const kinds = divergences.map(({ kind, foundAs, foundBy, repaired }) => `${kind} ${foundAs} ${foundBy} ${repaired}`);
    assert.equal(kinds.filter((kind) => kind === 'outdated_local outdated_local file true').length, 5, kinds.join('\n'));
    assert.equal(kinds.filter((kind) => kind === 'missing_local missing_local file true').length, 5, kinds.join('\n'));
    assert.ok(divergences.every(({ key }) => key.includes('*')));
    assert.ok(endedAt.getTime() - beganAt.getTime() <= 900_000);
    const questions = calls.filter(({ operation }) => operation === 'createSyncVerification');
    assert.match(questions[0]?.says ?? '', /^VSync [0-9a-f]{64} of PHONE: OK \(verification [0-9]+\)$/);
    assert.ok(questions.some(({ says }) => says.includes(': NOK ')));
    assert.match(questions.at(-1)?.says ?? '', /: OK /);
    assert.ok(calls.every(({ correlationId }) => /^[0-9a-f]{32}$/.test(correlationId)));
    assert.ok(log.some(({ text }) => /^getCidSetFile {2}file [0-9]+: AVAILABLE, [0-9]+ bytes, SHA-256 [0-9a-f]{64}/.test(text)));
    assert.deepEqual(readdirSync(temporary), []);
  });

  it('reaches OK from the log alone where the log shows what was changed, and says so in plain lines', async () => {
    const line = ['homologation', '--keys', '120', '--key-type', 'CPF', '--seed', '7', '--in-log'];
    const { stdout, stderr, exitCode } = await runLine(line);
    assert.equal(exitCode, 0, stdout + stderr);
    assert.match(stdout, /^\[2\/6\] 120 CPF keys of participant 99999004 are registered/m);
    assert.match(stdout, /^ {6}[0-9]{2}:[0-9]{2}:[0-9]{2} {2}createSyncVerification {2}VSync [0-9a-f]{64} of CPF: NOK/m);
    assert.equal(stdout.match(/outdated_local +outdated_local +log +yes$/gm)?.length, 5, stdout);
    assert.equal(stdout.match(/missing_local +missing_local +log +yes$/gm)?.length, 5, stdout);
    assert.equal(stdout.includes('createCidSetFile'), false);
    assert.match(stdout, /^no writes +ok +the simulator counted 0 writes to entries and [1-9][0-9]* to claims/m);
    assert.match(stdout, /^OK: /m);
    assert.equal(stdout.includes('\u001b'), false, 'plain lines where there is no terminal');
  });

  it('leaves nothing running and nothing on the disk when interrupted', async () => {
    const interruption = new AbortController();
    const running = runLine(['homologation', '--keys', '100'], { signal: interruption.signal });
    await wait(6_000);
    interruption.abort(new Error('interrupted by the test'));
    const { exitCode } = await running;
    assert.equal(exitCode, 130);
    assert.deepEqual(readdirSync(temporary), []);
  });

  for (const [args, complaint] of [
    [['--key-type', 'EVP'], /--key-type.*Allowed choices are CPF, CNPJ, PHONE, EMAIL/],
    [['--keys', '99'], /--keys.*whole number from 100 to 10000/],
    [['--seed', 'x'], /--seed.*whole number/],
    [['now'], /too many arguments/],
  ] as const) {
    it(`refuses ${args.join(' ')}`, async () => {
      const { exitCode, stderr, stdout } = await runLine(['homologation', ...args]);
      assert.equal(exitCode, 2);
      assert.match(stderr, complaint);
      assert.equal(stdout, '');
    });
  }
});
