/** Runs the real program in a process of its own, and tells how it ended, what it said, and how much memory it took. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** Tells the peak of resident memory, in kilobytes, through descriptor 3 when the process ends. */
const peakTelling = `data:text/javascript,${encodeURIComponent(
  `import { writeSync } from 'node:fs';
process.on('exit', () => writeSync(3, String(process.resourceUsage().maxRSS)));`,
)}`;

export interface ProgramGiven {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Absent: no input at all. */
  readonly stdin?: Readable | Buffer | string;
  /** Descriptor that standard output goes to instead of being kept. */
  readonly stdout?: number;
  /** User and group to run as, which needs root, and a copy of the program that this user can read. */
  readonly as?: { readonly uid: number; readonly copy: string };
  /** Called with the process as soon as it runs. */
  readonly onStart?: (child: ChildProcess) => void;
}

export interface ProgramOutcome {
  /** Null where a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly peakBytes: number;
}

/** A directory of the test's own, removed at its end. */
export function ownDirectory(t: TestContext): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'dict-vsync-program-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Runs `dict-vsync` with these arguments to its end. */
export async function runProgram(args: readonly string[], given: ProgramGiven): Promise<ProgramOutcome> {
  const { cwd, env = {}, stdin, stdout = 'pipe', as } = given;
  const [node, script] = as === undefined ? [process.execPath, main] : [`${as.copy}/node`, `${as.copy}/src/main.ts`];
  const child = spawn(node, ['--import', peakTelling, script, ...args], {
    cwd,
    env: {
      ...{ PATH: process.env['PATH'] ?? '', HOME: cwd, DICT_VSYNC_LOG_LEVEL: 'warn' },
      // Another user cannot write coverage. Undefined and not left out: Node hands it on to a child that merely lacks it.
      ...(as === undefined ? {} : { NODE_V8_COVERAGE: undefined }),
      ...env,
    },
    stdio: [stdin === undefined ? 'ignore' : 'pipe', stdout, 'pipe', 'pipe'],
    ...(as === undefined ? {} : { uid: as.uid, gid: as.uid }),
  });
  const texts = { stdout: '', stderr: '', peak: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    texts.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    texts.stderr += text;
  });
  // Descriptor 3 is a pipe that only the child writes to.
  const told = child.stdio[3] as Readable;
  told.setEncoding('utf8').on('data', (text: string) => {
    texts.peak += text;
  });
  given.onStart?.(child);
  const closed = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (child.stdin !== null) await feed(child.stdin, stdin ?? '');
  const exitCode = await closed;
  return { exitCode, stdout: texts.stdout, stderr: texts.stderr, peakBytes: Number(texts.peak) * 1_024 };
}

/** Who ends early takes no more input; that is theirs to decide. */
async function feed(into: NonNullable<ChildProcess['stdin']>, stdin: Readable | Buffer | string): Promise<void> {
  const source = typeof stdin === 'string' || Buffer.isBuffer(stdin) ? [stdin] : stdin;
  await pipeline(source, into).catch(() => {});
}
