/**
 * Files that are not what they should be, before the commands that need no base, as real processes: a clear message that names the thing,
 * an exit status other than 0, no stack trace, and memory that does not grow with the file.
 */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { cid } from '../src/index.ts';
import { copyProgram } from './support/program-copy.ts';
import { ownDirectory, type ProgramOutcome, runProgram } from './support/program-run.ts';

const entry = {
  key: '+5511987654321',
  key_type: 'PHONE',
  ispb: '12345678',
  branch: '0001',
  account_number: '0007654321',
  account_type: 'CACC',
  account_opened_at: '2020-01-02T00:00:00Z',
  owner_type: 'NATURAL_PERSON',
  owner_tax_id: '11122233300',
  owner_name: 'João Silva',
  request_id: 'a946d533-7f22-42a5-9a9b-e87cd55c0f4d',
};
const entryLine = `${JSON.stringify(entry)}\n`;
const entryCid = cid(
  {
    key: entry.key,
    keyType: 'PHONE',
    account: { participant: entry.ispb, branch: '0001', accountNumber: entry.account_number, accountType: 'CACC' },
    owner: { taxIdNumber: entry.owner_tax_id, name: entry.owner_name, tradeName: null },
  },
  { requestId: entry.request_id },
);

const mebibyte = 1_048_576;
/** What the program takes with whatever it reads; the largest are its buckets. */
const peakBytesMax = 220 * mebibyte;

interface Case {
  readonly what: string;
  readonly content: string | Buffer;
  /** By command: exit status, and what is said. */
  readonly ends: Readonly<Record<'cid' | 'vsync' | 'diff', readonly [exitCode: number, says: RegExp]>>;
}

const silent = /^$/;
const cases: readonly Case[] = [
  { what: 'empty', content: '', ends: { cid: [0, silent], vsync: [0, silent], diff: [0, silent] } },
  {
    what: 'binary',
    content: Buffer.concat([Buffer.from([0xff, 0x00, 0x0a]), randomBytes(100_000), Buffer.from([0x0a])]),
    ends: {
      cid: [1, /line 1: is not UTF-8 text\n[\s\S]*lines gave no CID/],
      vsync: [1, /line 1: .*not a CID[\s\S]*further bad lines are only counted[\s\S]*lines are not CIDs; no VSync/],
      diff: [2, /input: line 1: .*not a CID[\s\S]*lines of input are no CIDs; the rest was compared/],
    },
  },
  {
    what: 'truncated',
    content: entryLine.slice(0, 50),
    ends: {
      cid: [1, /line 1: is not JSON/],
      vsync: [1, /line 1: .*is not a CID/],
      diff: [2, /input: line 1: .*is not a CID/],
    },
  },
  {
    what: 'Latin-1',
    content: Buffer.from(entryLine, 'latin1'),
    ends: {
      cid: [1, /line 1: is not UTF-8 text/],
      vsync: [1, /line 1: has 309 bytes and is not a CID/],
      diff: [2, /input: line 1: has 309 bytes and is not a CID/],
    },
  },
  ...(['utf16le', 'utf16be'] as const).map((encoding): Case => {
    const littleEndian = Buffer.from(`\uFEFF${entryLine}`, 'utf16le');
    const says = /^dict-vsync: input is UTF-16 text.*iconv -f UTF-16 -t UTF-8/;
    return {
      what: encoding,
      content: encoding === 'utf16le' ? littleEndian : littleEndian.swap16(),
      ends: { cid: [1, says], vsync: [1, says], diff: [2, says] },
    };
  }),
];

function assertNoTrace({ stderr }: ProgramOutcome): void {
  assert.doesNotMatch(stderr, /^\s+at .*:\d+|fault of the program/m, stderr);
}

/** The command over a file; `diff` compares it with an empty one. */
function argsOf(command: string, file: string): readonly string[] {
  return command === 'diff' ? ['diff', file, 'nothing'] : [command, file];
}

function directoryWith(t: Parameters<typeof ownDirectory>[0], content: string | Buffer): string {
  const cwd = ownDirectory(t);
  fs.writeFileSync(path.join(cwd, 'input'), content);
  fs.writeFileSync(path.join(cwd, 'nothing'), '');
  return cwd;
}

const nobody = 65_534;
const commands = ['cid', 'vsync', 'diff'] as const;
const posix = process.platform === 'win32' ? { skip: 'needs named pipes and permissions of POSIX' } : {};
const asRoot = process.getuid?.() === 0 ? {} : { skip: 'changes users: needs root' };
const onLinux = process.platform === 'linux' ? {} : { skip: 'needs /dev/full of Linux' };
const withMount = process.getuid?.() === 0 && canMount() ? {} : { skip: 'mounts a tmpfs: needs root and the right to mount' };

function interrupt(child: ChildProcess | null): void {
  child?.kill('SIGINT');
}

function canMount(): boolean {
  const at = fs.mkdtempSync('/tmp/dict-vsync-mount-');
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at], { stdio: 'ignore' });
    execFileSync('umount', [at], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    fs.rmdirSync(at);
  }
}

describe('commands over files, given a file that is', () => {
  for (const { what, content, ends } of cases) {
    it(what, async (t) => {
      const cwd = directoryWith(t, content);
      for (const command of commands) {
        const outcome = await runProgram(argsOf(command, 'input'), { cwd });
        const [exitCode, says] = ends[command];
        assert.match(outcome.stderr, says, command);
        assert.equal(outcome.exitCode, exitCode, command);
        assertNoTrace(outcome);
        assert.doesNotMatch(outcome.stderr, /João|11122233300/, 'no personal data');
      }
    });
  }

  it('one line of 1 GB, in constant memory', async (t) => {
    const cwd = directoryWith(t, '');
    // Zeros that take no disk, and after them a good line.
    fs.truncateSync(path.join(cwd, 'input'), 1_000_000_000);
    fs.appendFileSync(path.join(cwd, 'input'), `\n${entryCid}\n`);
    for (const command of commands) {
      const outcome = await runProgram(argsOf(command, 'input'), { cwd });
      assert.equal(outcome.exitCode, command === 'diff' ? 2 : 1);
      assert.match(outcome.stderr, /line 1: (is longer than 1048576 bytes|has 1000000000 bytes and is not a CID)/);
      assert.equal(outcome.stdout, command === 'diff' ? `< ${entryCid}\n` : '');
      assert.ok(outcome.peakBytes < peakBytesMax, `${command} took ${Math.round(outcome.peakBytes / mebibyte)} MiB`);
      assertNoTrace(outcome);
    }
  });

  it('one line of 1 GB from standard input, in constant memory', async (t) => {
    const cwd = directoryWith(t, '');
    const piece = Buffer.alloc(mebibyte, 'a');
    const line = function* (): Generator<Buffer> {
      for (let written = 0; written < 1_000; written++) yield piece;
      yield Buffer.from(`\n${entryLine}`);
    };
    const outcome = await runProgram(['cid'], { cwd, stdin: Readable.from(line()) });
    assert.equal(outcome.stdout, `${entryCid}\n`);
    assert.match(outcome.stderr, /^line 1: is longer than 1048576 bytes\ndict-vsync: 1 of 2 lines gave no CID\n$/);
    assert.ok(outcome.peakBytes < peakBytesMax, `${Math.round(outcome.peakBytes / mebibyte)} MiB`);
  });

  it('a pipe by its name: read to its end', posix, async (t) => {
    const cwd = directoryWith(t, '');
    execFileSync('mkfifo', [path.join(cwd, 'pipe')]);
    for (const [command, content, stdout] of [
      ['cid', entryLine, `${entryCid}\n`],
      ['vsync', `${entryCid}\n`, `${entryCid}\n`],
      ['diff', `${entryCid}\n`, `< ${entryCid}\n`],
    ] as const) {
      const running = runProgram(argsOf(command, 'pipe'), { cwd });
      const writer = await fs.promises.open(path.join(cwd, 'pipe'), 'w');
      await writer.writeFile(content);
      await writer.close();
      assert.equal((await running).stdout, stdout);
    }
  });

  it('a pipe that stays silent: waited for, and left when interrupted', posix, async (t) => {
    const cwd = directoryWith(t, '');
    execFileSync('mkfifo', [path.join(cwd, 'pipe')]);
    for (const command of commands) {
      let child: ChildProcess | null = null;
      const running = runProgram(argsOf(command, 'pipe'), {
        cwd,
        onStart: (started) => {
          child = started;
        },
      });
      // Opened for writing once the program has opened it for reading.
      const writer = await fs.promises.open(path.join(cwd, 'pipe'), 'w');
      interrupt(child);
      const outcome = await running;
      await writer.close();
      assert.equal(outcome.stderr, 'dict-vsync: interrupted\n');
      assert.equal(outcome.exitCode, 130);
    }
  });

  it('a directory, absent, or not to be read by this user', async (t) => {
    const cwd = directoryWith(t, entryLine);
    for (const command of commands) {
      for (const [file, says] of [
        ['.', /^dict-vsync: \. cannot be read: EISDIR: it is a directory\n$/],
        ['absent', /^dict-vsync: absent cannot be read: ENOENT: there is no such file or directory\n$/],
      ] as const) {
        const outcome = await runProgram(argsOf(command, file), { cwd });
        assert.match(outcome.stderr, says);
        assert.equal(outcome.exitCode, command === 'diff' ? 2 : 1);
      }
    }
  });

  it('changed while it is read', async (t) => {
    const cwd = directoryWith(t, '');
    const lines = `${entryLine}`.repeat(200_000);
    fs.writeFileSync(path.join(cwd, 'input'), lines);
    const outcome = await runProgram(['cid', 'input', '--output', 'cids'], {
      cwd,
      onStart: (child) => {
        const timer = setInterval(() => fs.appendFileSync(path.join(cwd, 'input'), entryLine), 20);
        child.once('exit', () => clearInterval(timer));
      },
    });
    assert.equal(
      outcome.stderr,
      'dict-vsync: input was changed while it was read: run the same command again when nobody writes to it\n',
    );
    assert.equal(outcome.exitCode, 1);
    assert.deepEqual(fs.readdirSync(cwd).sort(), ['input', 'nothing'], 'no output that is half done');
  });
});

describe('commands over files, where output goes that', () => {
  it('has no space: a message and a status that say so', onLinux, async (t) => {
    const cwd = directoryWith(t, entryLine);
    fs.writeFileSync(path.join(cwd, 'cids'), `${entryCid}\n`);
    const full = fs.openSync('/dev/full', 'w');
    t.after(() => fs.closeSync(full));
    for (const [args, exitCode] of [
      [['cid', 'input'], 1],
      [['vsync', 'cids'], 1],
      [['diff', 'cids', 'nothing'], 2],
      [['config'], 1],
      [['--help'], 1],
    ] as const) {
      const outcome = await runProgram(args, { cwd, stdout: full });
      assert.equal(
        outcome.stderr,
        'dict-vsync: standard output cannot be written: ENOSPC: no space is left on the device: free some, or name another place\n',
        args.join(' '),
      );
      assert.equal(outcome.exitCode, exitCode, args.join(' '));
    }
    const named = await runProgram(['cid', 'input', '-o', '/dev/full'], { cwd });
    assert.match(named.stderr, /^dict-vsync: \/dev\/full cannot be written: ENOSPC/);
    assert.equal(named.exitCode, 1);
  });

  it('is a file: there whole, or as it was before', async (t) => {
    const cwd = directoryWith(t, entryLine);
    fs.writeFileSync(path.join(cwd, 'cids'), 'before');
    const good = await runProgram(['cid', 'input', '-o', 'cids'], { cwd });
    assert.deepEqual([good.exitCode, good.stdout, fs.readFileSync(path.join(cwd, 'cids'), 'utf8')], [0, '', `${entryCid}\n`]);
    const bad = await runProgram(['cid', 'input', '-o', 'cids'], { cwd: directoryWith(t, 'no entry\n') });
    assert.equal(bad.exitCode, 1);
    const interrupted = await runProgram(['cid', '-', '-o', 'cids'], {
      cwd,
      stdin: new Readable({ read: () => {} }),
      onStart: (child) => {
        const timer = setInterval(() => {
          if (!fs.readdirSync(cwd).some((name) => name.endsWith('.part'))) return;
          clearInterval(timer);
          child.kill('SIGTERM');
        }, 50);
        child.once('exit', () => clearInterval(timer));
      },
    });
    assert.equal(interrupted.exitCode, 130);
    assert.equal(fs.readFileSync(path.join(cwd, 'cids'), 'utf8'), `${entryCid}\n`);
    assert.deepEqual(fs.readdirSync(cwd).sort(), ['cids', 'input', 'nothing']);
  });

  it('this user may not write to, nor read from', asRoot, async (t) => {
    const cwd = directoryWith(t, entryLine);
    fs.chmodSync(path.join(cwd, 'input'), 0o600);
    fs.chmodSync(cwd, 0o755);
    const copy = ownDirectory(t);
    fs.chmodSync(copy, 0o755);
    copyProgram(copy, ['src', 'wasm', 'package.json'], ['commander', 'cli-progress']);
    const as = { uid: nobody, copy };
    for (const command of commands) {
      const outcome = await runProgram(argsOf(command, 'input'), { cwd, as });
      assert.match(outcome.stderr, /^dict-vsync: input cannot be read: EACCES: permission is denied to this user\n$/);
      assert.equal(outcome.exitCode, command === 'diff' ? 2 : 1);
    }
    const unwritable = await runProgram(['vsync', 'nothing', '-o', 'vsync.txt'], { cwd, as });
    assert.match(unwritable.stderr, /^dict-vsync: vsync\.txt cannot be written: EACCES/);
    assert.equal(unwritable.exitCode, 1);
  });

  it('is a file system too small to spool standard input to', withMount, async (t) => {
    const cwd = directoryWith(t, '');
    const small = path.join(cwd, 'small');
    fs.mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small]);
    try {
      const stdin = `${entryCid}\n`.repeat(50_000);
      for (const args of [
        ['diff', 'nothing', '-', '--tmp', 'small'],
        ['vsync', '--spool', '--tmp', 'small'],
      ]) {
        const outcome = await runProgram(args, { cwd, stdin });
        assert.match(
          outcome.stderr,
          /small cannot hold a temporary file: ENOSPC: no space is left.*; --tmp names another directory\n$/,
        );
        assert.equal(outcome.exitCode, args[0] === 'diff' ? 2 : 1);
        assert.deepEqual(fs.readdirSync(small), []);
      }
      const target = await runProgram(['cid', '-', '-o', 'small/cids'], { cwd, stdin: entryLine.repeat(50_000) });
      assert.match(target.stderr, /^dict-vsync: small\/cids cannot be written: ENOSPC/);
      assert.deepEqual(fs.readdirSync(small), []);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});
