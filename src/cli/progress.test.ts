/** What a terminal shows of a long command, what a pipe gets, and that lines and bar keep apart. */

import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import type { Io } from './io.ts';
import { progressLine, withProgress } from './progress.ts';

const escapeCode = '\u001b';

interface Terminal {
  readonly io: Io;
  /** What was written to either stream, in order. */
  text(): string;
}

function terminal({ isTTY, term = 'xterm' }: { isTTY: boolean; term?: string }): Terminal {
  let text = '';
  const stream = (): Io['stdout'] =>
    Object.assign(
      new Writable({
        write(chunk, _encoding, done) {
          text += String(chunk);
          done();
        },
      }),
      { isTTY, columns: 120 },
    );
  const signal = new AbortController().signal;
  return {
    io: { stdin: Readable.from([]), stdout: stream(), stderr: stream(), env: { TERM: term }, cwd: '/', signal },
    text: () => text,
  };
}

function mockedTime(t: TestContext): (ms: number) => void {
  t.mock.timers.enable({ apis: ['Date', 'setTimeout'] });
  return (ms) => t.mock.timers.tick(ms);
}

const title = { title: 'import', unit: 'rows' };

describe('the progress of a command', () => {
  it('is shown on a terminal after a second: count, rate and time left', async (t) => {
    const pass = mockedTime(t);
    const { io, text } = terminal({ isTTY: true });
    await withProgress(io, title, async (_io, progress) => {
      progress.at({ done: 0, total: 10_000 });
      pass(900);
      progress.at({ done: 900, total: 10_000 });
      assert.equal(text(), '');
      pass(1_100);
      progress.at({ done: 2_000, total: 10_000 });
      pass(200);
      assert.match(text(), /import {2}\[━+ +\] {2}20% {2}2,000 of 10,000 rows {2}9\d\d\/s {2}0:0\d left/);
    });
    assert.ok(text().endsWith(`${escapeCode}[2K`), 'nothing of it stays');
  });

  it('is nothing in a pipe, nor on a dumb terminal', async (t) => {
    const pass = mockedTime(t);
    for (const { io, text } of [terminal({ isTTY: false }), terminal({ isTTY: true, term: 'dumb' })]) {
      const result = await withProgress(io, title, async (same, progress) => {
        progress.at({ done: 1, total: null });
        pass(5_000);
        assert.equal(same, io);
        return 'result';
      });
      assert.deepEqual([text(), result], ['', 'result']);
    }
  });

  it('gives way to each line that is written, and comes back below it', async (t) => {
    const pass = mockedTime(t);
    const { io, text } = terminal({ isTTY: true });
    await withProgress(io, title, async (apart, progress) => {
      progress.at({ done: 1, total: 2 });
      pass(1_100);
      apart.stdout.write('one\n');
      apart.stderr.write('two\n');
      pass(200);
      progress.at({ done: 2, total: 2 });
    });
    // What stands on the screen in the end: the last thing written after each clearing of a line.
    const movements = new RegExp(`${escapeCode}[78]|${escapeCode}\\[[0-9]*[A-Z]`, 'g');
    const screen = text()
      .split('\n')
      .map((line) => line.split(`${escapeCode}[2K`).at(-1)?.replaceAll(movements, ''));
    assert.deepEqual(screen, ['one', 'two', '']);
    assert.match(text(), /one[\s\S]*two[\s\S]*2 of 2 rows/);
  });

  it('is taken away when the command fails', async (t) => {
    const pass = mockedTime(t);
    const { io, text } = terminal({ isTTY: true });
    const failing = withProgress(io, title, async (_io, progress) => {
      progress.at({ done: 1, total: 2 });
      pass(2_000);
      throw new Error('failed');
    });
    await assert.rejects(failing, /failed/);
    assert.ok(text().endsWith(`${escapeCode}[2K`));
  });
});

describe('a line of progress', () => {
  const at = { nowMs: 61_000, startMs: 0 };
  for (const [what, state, since, expected] of [
    ['without a total: count, rate, time so far', { done: 5_000, total: null }, { done: 0 }, 'import  5,000 rows  5,000/s  1:01'],
    [
      'by the share of a file that is read',
      { done: 5_000, total: null, share: 0.5 },
      { done: 0 },
      'import  [━━━━━━━━━━━━            ]  50%  5,000 rows  5,000/s  0:01 left',
    ],
    ['with what is being done', { done: 0, total: null, phase: 'asking' }, { done: 0 }, 'import: asking  1:01'],
    [
      'of the last thing, too',
      { done: 10, total: 10 },
      { done: 0 },
      'import  [━━━━━━━━━━━━━━━━━━━━━━━━] 100%  10 of 10 rows  10/s  0:00 left',
    ],
  ] as const) {
    it(what, () => {
      const sample = { atMs: 60_000, done: since.done, share: 'share' in state || state.total !== null ? 0 : null };
      assert.equal(progressLine(title, state, sample, at), expected);
    });
  }
});
