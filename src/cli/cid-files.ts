/** What the commands over files of CIDs have in common: where a file comes from, its bad lines, and the failures a user can mend. */

import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { Option } from 'commander';
import { type CidFile, openCidFile } from '../cid-set/cid-file.ts';

import { EncodingRefused } from '../cid-set/line-judge.ts';
import type { BadLine } from '../cid-set/reading.ts';
import { MemoryTooSmall } from '../cid-set/second-pass.ts';
import { FileChanged, InputFailed } from '../platform/input-file.ts';
import { openSpool, SpoolFailed, type SpoolFile } from '../platform/spool-file.ts';
import { CommandFailed, type Io } from './io.ts';
import { OutputFailed } from './output-pipe.ts';

/** More bad lines of one file than these are only counted. */
const badLinesNamed = 20;

/** `--tmp`: where streams and what memory does not hold are put meanwhile. */
export function tmpOption(): Option {
  return new Option('--tmp <directory>', 'where to put what is read from a stream, and what memory does not hold').default(
    tmpdir(),
    'the system’s',
  );
}

/** How temporary files are made in that directory. */
export function spoolsIn(io: Io, directory: string): () => Promise<SpoolFile> {
  return () => openSpool(path.resolve(io.cwd, directory), randomUUID());
}

/** The file, or standard input for `-`. A stream can be read again only where a spool is given for it. */
export function openFileOfCids(io: Io, file: string, makeSpool: (() => Promise<SpoolFile>) | null): Promise<CidFile> {
  if (file === '-') return openCidFile({ from: io.stdin, name: 'standard input', openSpool: makeSpool });
  return openCidFile({ from: path.resolve(io.cwd, file), name: file, openSpool: makeSpool });
}

/** Bad lines as they are told on standard error: the first of each file by number and reason, the rest counted. */
export class BadLineReport {
  readonly #io: Io;
  readonly #ofSeveral: boolean;
  readonly #counts = new Map<string, number>();

  /** `ofSeveral`: each line is told with its file. */
  constructor(io: Io, ofSeveral: boolean) {
    this.#io = io;
    this.#ofSeveral = ofSeveral;
  }

  add({ file, line, reason }: BadLine): void {
    const count = (this.#counts.get(file) ?? 0) + 1;
    this.#counts.set(file, count);
    const where = this.#ofSeveral ? `${file}: ` : '';
    if (count <= badLinesNamed) this.#io.stderr.write(`${where}line ${line}: ${reason}\n`);
    else if (count === badLinesNamed + 1) this.#io.stderr.write(`${where}further bad lines are only counted\n`);
  }

  /** One clause for each file with bad lines, such as "3 lines of a.txt are no CIDs"; null for none. */
  summary(): string | null {
    const parts = [...this.#counts].map(([file, count]) =>
      count === 1 ? `1 line of ${file} is no CID` : `${count} lines of ${file} are no CIDs`,
    );
    return parts.length === 0 ? null : parts.join(', ');
  }
}

/** The failure as the command's end with that status, where it is one of the files' and not of the program. */
export function asFileTrouble(cause: unknown, exitCode: number, signal: AbortSignal): unknown {
  // `reason` is whatever the process gave: an output that cannot be written, or the end by a signal.
  const reason: unknown = signal.reason;
  if (reason instanceof OutputFailed) return new CommandFailed(reason.message, exitCode, cause);
  if (signal.aborted) return new CommandFailed('interrupted', 130, cause);
  const known =
    cause instanceof InputFailed ||
    cause instanceof OutputFailed ||
    cause instanceof FileChanged ||
    cause instanceof SpoolFailed ||
    cause instanceof MemoryTooSmall ||
    cause instanceof EncodingRefused;
  return known ? new CommandFailed(cause.message, exitCode, cause) : cause;
}
