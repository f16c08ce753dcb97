/** The demo through its command line: a short story to its good end, its interruption, and arguments that make no story. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
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
    assert.equal(stdout.includes('\u001b'), false, 'plain lines where there is no terminal');
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
