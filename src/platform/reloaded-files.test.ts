/** Files that change while the program runs: when that is noticed, and what happens while they cannot be used. */

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { temporaryFiles } from '../../test/support/temporary-files.ts';
import type { LogFields } from './log.ts';
import { type FileValue, reloaded } from './reloaded-files.ts';

interface Line {
  readonly level: 'info' | 'warn';
  readonly fields: LogFields;
}

/** A value of files, on a clock that the test moves. */
function watched<Value>(value: FileValue<Value>) {
  let nowMs = 1_000_000;
  const lines: Line[] = [];
  const log = {
    info: (fields: LogFields) => void lines.push({ level: 'info', fields }),
    warn: (fields: LogFields) => void lines.push({ level: 'warn', fields }),
  };
  const current = reloaded({ clock: { now: () => new Date(nowMs) }, log }, value);
  return {
    current,
    lines,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

/** The texts of files, as long as each is `ok…`. */
function texts(...places: readonly string[]): FileValue<string> {
  const read = (): string => {
    const files = places.flatMap((place) =>
      statSync(place).isDirectory() ? readdirSync(place).map((name) => path.join(place, name)) : [place],
    );
    const text = files.map((file) => readFileSync(file, 'utf8')).join(' ');
    if (/broken/.test(text)) throw new Error('a broken file');
    return text;
  };
  return { places, read };
}

describe('reloaded', () => {
  it('reads a changed file again on the first use after three seconds, and says so', (t) => {
    const file = temporaryFiles(t).write('a', 'ok 1');
    const { current, lines, pass } = watched(texts(file));
    writeFileSync(file, 'ok 2');
    pass(2_999);
    assert.equal(current(), 'ok 1');
    pass(1);
    assert.equal(current(), 'ok 2');
    assert.deepEqual(lines, [{ level: 'info', fields: { files: [file] } }]);
  });

  it('makes nothing anew while nothing has changed: whoever uses it may compare by identity', (t) => {
    const file = temporaryFiles(t).write('a', 'ok');
    let reads = 0;
    const { current, pass } = watched({ places: [file], read: () => ({ reads: ++reads }) });
    const first = current();
    pass(60_000);
    assert.equal(current(), first);
    assert.equal(reads, 1);
  });

  const replacements: readonly (readonly [string, (file: string, t: TestContext) => void])[] = [
    ['written over with a text of the same length', (file) => writeFileSync(file, 'ok 2')],
    [
      'replaced by renaming',
      (file) => {
        writeFileSync(`${file}.new`, 'ok 2');
        renameSync(`${file}.new`, file);
      },
    ],
    [
      'replaced by a link to another, as container volumes do it',
      (file) => {
        writeFileSync(`${file}.new`, 'ok 2');
        rmSync(file);
        symlinkSync(`${file}.new`, file);
      },
    ],
  ];
  for (const [how, replace] of replacements) {
    it(`notices a file that was ${how}`, (t) => {
      const file = temporaryFiles(t).write('a', 'ok 1');
      const { current, pass } = watched(texts(file));
      replace(file, t);
      pass(3_000);
      assert.equal(current(), 'ok 2');
    });
  }

  it('notices files that come into a directory, change there, and go', (t) => {
    const files = temporaryFiles(t);
    const trust = path.join(files.directory, 'trust');
    files.write('trust/a', 'ok a');
    const { current, pass } = watched(texts(trust));
    const after = (change: () => void): string => {
      change();
      pass(3_000);
      return current();
    };
    assert.equal(
      after(() => files.write('trust/b', 'ok b')),
      'ok a ok b',
    );
    assert.equal(
      after(() => files.write('trust/b', 'ok c')),
      'ok a ok c',
    );
    assert.equal(
      after(() => rmSync(path.join(trust, 'a'))),
      'ok c',
    );
  });

  it('keeps what it has while a change cannot be used, says that once, and takes what can be used again', (t) => {
    const { write } = temporaryFiles(t);
    const [certificate, key] = [write('certificate', 'ok 1'), write('key', 'ok 1')];
    const { current, lines, pass } = watched(texts(certificate, key));
    writeFileSync(certificate, 'broken');
    for (let looks = 0; looks < 3; looks += 1) {
      pass(3_000);
      assert.equal(current(), 'ok 1 ok 1');
    }
    rmSync(key);
    pass(3_000);
    assert.equal(current(), 'ok 1 ok 1');
    assert.deepEqual(
      lines.map(({ level, fields }) => [level, fields['err'] instanceof Error]),
      [
        ['warn', true],
        ['warn', true],
      ],
    );
    writeFileSync(certificate, 'ok 2');
    writeFileSync(key, 'ok 2');
    pass(3_000);
    assert.equal(current(), 'ok 2 ok 2');
  });

  it('goes on looking where the clock was set back', (t) => {
    const file = temporaryFiles(t).write('a', 'ok 1');
    const { current, pass } = watched(texts(file));
    writeFileSync(file, 'ok 2');
    pass(-3_600_000);
    assert.equal(current(), 'ok 2');
  });

  it('fails at the start where the files cannot be used', (t) => {
    const { directory } = temporaryFiles(t);
    const missing = path.join(directory, 'missing');
    mkdirSync(path.join(directory, 'empty'));
    assert.throws(() => watched(texts(missing)), /ENOENT/);
    assert.throws(() => watched(texts(temporaryFiles(t).write('a', 'broken'))), /a broken file/);
  });
});
