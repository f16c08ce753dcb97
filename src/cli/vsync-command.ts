/**
 * `dict-vsync vsync`: CIDs in, their VSync out, without any base. A VSync that leaves out a line is a wrong one, so none is
 * printed unless every line was a CID.
 */

import { Argument, Command } from 'commander';
import type { CidFile } from '../cid-set/cid-file.ts';
import { tellDuplicates } from '../cid-set/duplicates.ts';
import { type FoldedFile, foldFile, foldFileWatching, type ReadingListener } from '../cid-set/reading.ts';
import { vsyncOfBuckets } from '../vsync/buckets.ts';
import { vsyncToHex } from '../vsync/vsync.ts';
import { asFileTrouble, BadLineReport, openFileOfCids, spoolsIn, tmpOption } from './cid-files.ts';
import { CommandFailed, type Io } from './io.ts';
import { outputOption, withOutput } from './output-file.ts';
import { writeOut } from './output-pipe.ts';
import { type Progress, withProgress } from './progress.ts';
import { SEEN_CIDS_MAX, seenCids } from './seen-cids.ts';

interface VSyncOptions {
  readonly output?: string;
  readonly spool?: true;
  readonly tmp: string;
}

/** More duplicates than these are only counted. */
const duplicatesNamed = 20;
/** For finding duplicates of a file: 16 million CIDs at once. */
const duplicatesMemoryBytes = 64 * 1_048_576;
const failedExitCode = 1;

/** The command, to be added to the program. */
export function vsyncCommand(io: Io): Command {
  return new Command('vsync')
    .description('Compute the VSync of CIDs: 64 hex digits a line in, one line out (64 zeros for none)')
    .addArgument(new Argument('[file]', 'CIDs, one a line, such as a CID set file; - is standard input').default('-'))
    .addOption(outputOption())
    .option('--spool', 'put standard input or a pipe on disk, so that every duplicate is found')
    .addOption(tmpOption())
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
A CID that comes twice cancels itself out: it is warned of on standard error and counted as given. All duplicates of a
file are found, by reading it once more; of standard input, those among its first ${SEEN_CIDS_MAX.toLocaleString('en')} CIDs, or all with --spool.
A line that is no CID is named on standard error; no VSync is printed then, and the exit status is 1.

Example:
  dict-vsync cid entries.ndjson | dict-vsync vsync`,
    )
    .action((file: string, options: VSyncOptions) =>
      withProgress(io, { title: 'vsync', unit: 'lines' }, (apart, progress) =>
        withOutput(apart, options.output, async (output) => {
          await output.write(`${await vsyncOfFile(apart, file, options, progress)}\n`);
        }),
      ),
    );
}

async function vsyncOfFile(io: Io, name: string, options: VSyncOptions, progress: Progress): Promise<string> {
  const makeSpool = spoolsIn(io, options.tmp);
  let file: CidFile | null = null;
  try {
    file = await openFileOfCids(io, name, options.spool === true ? makeSpool : null);
    const duplicates = new DuplicateReport(io);
    const folded = await foldedFile(io, file, { duplicates, progress });
    if (file.rereadable) {
      const onPhase = (): void => {};
      const deps = { ...readingOf(io, progress, 'looking for duplicates'), openSpool: makeSpool, onPhase };
      await tellDuplicates({ file, folded }, { ...deps, memoryBytes: duplicatesMemoryBytes }, ({ times, lines }) =>
        duplicates.add(times - 1, lines.slice(1)),
      );
    }
    await duplicates.print();
    return vsyncToHex(vsyncOfBuckets(folded.buckets));
  } catch (cause) {
    throw asFileTrouble(cause, failedExitCode, io.signal);
  } finally {
    await file?.close();
  }
}

function readingOf(io: Io, progress: Progress, phase?: string): Omit<ReadingListener, 'onBad'> {
  return {
    signal: io.signal,
    onRead: ({ sizeBytes }, bytes, lines) =>
      progress.at({
        done: lines,
        total: null,
        share: sizeBytes === null ? null : bytes / sizeBytes,
        ...(phase === undefined ? {} : { phase }),
      }),
  };
}

async function foldedFile(
  io: Io,
  file: CidFile,
  { duplicates, progress }: { readonly duplicates: DuplicateReport; readonly progress: Progress },
): Promise<FoldedFile> {
  const bad = new BadLineReport(io, false);
  const listener = { ...readingOf(io, progress), onBad: bad.add.bind(bad) };
  const seen = seenCids();
  const folded = file.rereadable
    ? await foldFile(file, listener)
    : await foldFileWatching(file, listener, (cid, line) => {
        if (seen.seenBefore(cid)) duplicates.add(1, [line]);
      });
  if (folded.badLines > 0) {
    const all = folded.cids + folded.badLines;
    throw new CommandFailed(`${folded.badLines} of ${all} lines are not CIDs; no VSync is made of the rest`);
  }
  if (seen.isFull) duplicates.watched = SEEN_CIDS_MAX;
  return folded;
}

/** Lines that repeat an earlier CID: the first ones named, all counted. */
class DuplicateReport {
  /** How many CIDs were watched, where that is not all of them. */
  watched: number | null = null;
  readonly #io: Io;
  #count = 0;
  /** Ascending. */
  #lines: number[] = [];

  constructor(io: Io) {
    this.#io = io;
  }

  add(count: number, lines: readonly number[]): void {
    this.#count += count;
    const last = this.#lines.at(-1);
    if (this.#lines.length === duplicatesNamed && lines.every((line) => line > (last ?? 0))) return;
    this.#lines = [...this.#lines, ...lines].sort((a, b) => a - b).slice(0, duplicatesNamed);
  }

  async print(): Promise<void> {
    let text = this.#lines.map((line) => `warning: line ${line}: this CID came before; pairs cancel out\n`).join('');
    if (this.#count > duplicatesNamed) {
      text += `warning: ${this.#count} lines repeat an earlier CID; the first ${duplicatesNamed} are named above\n`;
    }
    if (this.watched !== null) {
      text += `warning: only the first ${this.watched} CIDs were watched for being repeated; with --spool, or from a file, all are\n`;
    }
    if (text !== '') await writeOut(this.#io.stderr, text);
  }
}
