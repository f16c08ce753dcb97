/** `diff` as a user meets it: its lines, its exit status, its messages, and what it refuses. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { type CommandOutcome, runLine } from '../../test/support/command-run.ts';

const hash = (seed: number) => createHash('sha256').update(String(seed)).digest('hex');
const cids = [1, 2, 3, 4].map(hash).sort();
const [first = '', second = '', third = '', fourth = ''] = cids;
const lines = (...list: readonly string[]) => list.map((cid) => `${cid}\n`).join('');

let cwd: string;
before(async () => {
  cwd = await mkdtemp(path.join(tmpdir(), 'dict-vsync-diff-'));
});
after(() => rm(cwd, { recursive: true }));

async function diff(a: string, b: string | Readable, ...options: readonly string[]): Promise<CommandOutcome> {
  await writeFile(path.join(cwd, 'a.txt'), a);
  if (typeof b !== 'string') return runLine(['diff', 'a.txt', '-', ...options], { cwd, stdin: b });
  await writeFile(path.join(cwd, 'b.txt'), b);
  return runLine(['diff', 'a.txt', 'b.txt', ...options], { cwd });
}

describe('dict-vsync diff', () => {
  it('prints nothing and ends with 0 where both have the same CIDs, in any order, case and line ends', async () => {
    const outcome = await diff(lines(...cids), cids.toReversed().join('\r\n').toUpperCase());
    assert.deepEqual(outcome, { stdout: '', stderr: '', exitCode: 0 });
  });

  it('prints what only one has, ascending, and ends with 1', async () => {
    const outcome = await diff(lines(third, first, second), lines(fourth, second));
    assert.deepEqual(outcome, { stdout: `< ${first}\n< ${third}\n> ${fourth}\n`, stderr: '', exitCode: 1 });
  });

  it('names a CID that one has more often, with its lines', async () => {
    const outcome = await diff(lines(first, second, first, first), lines(second, first));
    assert.equal(outcome.stderr, `${first} is there 3 times in a.txt (lines 1, 3, 4), once in b.txt (line 2)\n`);
    assert.deepEqual([outcome.stdout, outcome.exitCode], ['', 1]);
    const absent = await diff(lines(first, first), '');
    assert.deepEqual([absent.stdout, absent.exitCode], [`< ${first}\n`, 1]);
    assert.match(absent.stderr, /2 times in a\.txt \(lines 1, 2\), not in b\.txt/);
  });

  it('takes one of both from standard input', async () => {
    const outcome = await diff(lines(first), Readable.from([Buffer.from(first.slice(0, 10)), Buffer.from(first.slice(10))]));
    assert.deepEqual(outcome, { stdout: '', stderr: '', exitCode: 0 });
    assert.deepEqual((await readdir(cwd)).sort(), ['a.txt', 'b.txt']);
  });

  it('names lines that are no CIDs, compares the rest, and ends with 2', async () => {
    const wrong = Array.from({ length: 30 }, () => 'x\n').join('');
    const { stdout, stderr, exitCode } = await diff(`${lines(first)}${first}0\n${lines(second)}`, `${lines(first)}${wrong}`);
    assert.deepEqual([stdout, exitCode], [`< ${second}\n`, 2]);
    assert.match(stderr, /^a\.txt: line 2: "[0-9a-f]{64}0" is not a CID \(64 hex digits\)\nb\.txt: line 2: "x" is not a CID/);
    assert.equal(stderr.match(/^b\.txt: line/gm)?.length, 20);
    assert.match(stderr, /b\.txt: further bad lines are only counted/);
    assert.match(
      stderr,
      /dict-vsync: diff: 1 line of a\.txt is no CID, 30 lines of b\.txt are no CIDs; the rest was compared\n$/,
    );
  });

  it('gives the numbers as JSON, or nothing but the status', async () => {
    const json = await diff(lines(first, second, second), lines(first), '--json');
    assert.equal(json.exitCode, 1);
    assert.deepEqual(JSON.parse(json.stdout), {
      a: { file: 'a.txt', lines: 3, cids: 3, bad_lines: 0 },
      b: { file: 'b.txt', lines: 1, cids: 1, bad_lines: 0 },
      only_in_a: 1,
      only_in_b: 0,
      repeated: 1,
      equal: false,
    });
    assert.deepEqual(await diff(lines(first), lines(second), '--quiet'), { stdout: '', stderr: '', exitCode: 1 });
    assert.deepEqual(await diff(lines(first), lines(first), '-q'), { stdout: '', stderr: '', exitCode: 0 });
  });

  it('says the same in however little memory', async () => {
    const list = (from: number) => Array.from({ length: 2_000 }, (_unused, index) => hash(from + index));
    const [a, b] = [lines(...list(0)), lines(...list(1_000))];
    const usual = await diff(a, b);
    assert.equal(usual.stdout.split('\n').length, 2_001);
    assert.deepEqual(await diff(a, b, '--memory', '16MiB'), usual);
  });

  for (const [what, args, message] of [
    ['a file that is not there', ['nowhere', 'b.txt'], /^dict-vsync: nowhere cannot be read: ENOENT: there is no such file/],
    ['a directory', ['.', 'b.txt'], /^dict-vsync: \. cannot be read: EISDIR: it is a directory/],
    ['standard input twice', ['-', '-'], /only one of the two can be standard input/],
    ['too little memory', ['b.txt', 'b.txt', '--memory', '1MiB'], /It must be a size from 16MiB to 1024GiB, with its unit/],
    ['a size without a unit', ['b.txt', 'b.txt', '--memory', '1000000000'], /It must be a size/],
    ['one file', ['b.txt'], /missing required argument 'b'/],
    ['nowhere to spool to', ['b.txt', '-', '--tmp', 'nowhere'], /nowhere cannot hold a temporary file: ENOENT/],
  ] as const) {
    it(`ends with 2 over ${what}`, async () => {
      await writeFile(path.join(cwd, 'b.txt'), '');
      const { stdout, stderr, exitCode } = await runLine(['diff', ...args], { cwd });
      assert.match(stderr, message);
      assert.deepEqual([stdout, exitCode], ['', 2]);
    });
  }

  it('refuses UTF-16 by name', async () => {
    await writeFile(path.join(cwd, 'wide.txt'), Buffer.from(`\uFEFF${lines(first)}`, 'utf16le'));
    const { stderr, exitCode } = await runLine(['diff', 'b.txt', 'wide.txt'], { cwd });
    assert.match(stderr, /wide\.txt is UTF-16 text; .*iconv/);
    assert.equal(exitCode, 2);
  });

  it('ends when it is interrupted while it waits for standard input', async () => {
    const controller = new AbortController();
    const running = runLine(['diff', 'b.txt', '-'], {
      cwd,
      stdin: new Readable({ read: () => {} }),
      signal: controller.signal,
    });
    setImmediate(() => controller.abort());
    const { stderr, exitCode } = await running;
    assert.deepEqual([stderr, exitCode], ['dict-vsync: interrupted\n', 130]);
  });
});
