/**
 * `dict-vsync diff A B`: two files of CIDs in any order, compared as sets in bounded memory, without any base. Says what differs the
 * way diff does, and by its exit status.
 */

import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import type { CidFile } from '../cid-set/cid-file.ts';
import { type Comparison, compareFiles, type FilePair, foldBoth, sameCids } from '../cid-set/comparison.ts';
import type { DifferenceSink, Occurrences, Side } from '../cid-set/differences.ts';
import type { ReadingListener } from '../cid-set/reading.ts';
import type { Phase } from '../cid-set/second-pass.ts';
import { NotAllowed, size } from '../config/option-kind.ts';
import { asFileTrouble, BadLineReport, openFileOfCids, spoolsIn, tmpOption } from './cid-files.ts';
import { CommandFailed, type Io } from './io.ts';
import { writeOut } from './output-pipe.ts';
import { type Progress, withProgress } from './progress.ts';

interface DiffOptions {
  readonly memory: number;
  readonly tmp: string;
  readonly quiet?: true;
  readonly json?: true;
}

const mebibyte = 1_048_576;
const memoryKind = size(16 * mebibyte, 1_048_576 * mebibyte);
const memoryDefault = 256 * mebibyte;
/** Beside the CIDs: buckets and sums of two files, chunks, and what the engine takes on the way. */
const overheadBytes = 64 * mebibyte;
/** However little is given, the CIDs get so much. */
const recordsBytesMin = 8 * mebibyte;

const differentExitCode = 1;
const troubleExitCode = 2;

/** `diff`: exit status 0 equal, 1 different, 2 trouble. */
export function diffCommand(io: Io): Command {
  return new Command('diff')
    .description('Compare two files of CIDs, in any order; exit status 0: equal, 1: different, 2: trouble')
    .addArgument(new Argument('<a>', 'CIDs, one a line (64 hex digits); - is standard input'))
    .addArgument(new Argument('<b>', 'the other file'))
    .addOption(
      new Option('--memory <size>', 'how much memory the whole program may take')
        .argParser(memoryOf)
        .default(memoryDefault, '256MiB'),
    )
    .addOption(tmpOption())
    .option('-q, --quiet', 'print nothing; the exit status says it')
    .addOption(new Option('--json', 'print the numbers as JSON instead of the CIDs').conflicts('quiet'))
    .allowExcessArguments(false)
    .addHelpText(
      'after',
      `
"< CID": only A has it; "> CID": only B has it; ascending by CID. Upper and lower case are the same, as are line ends of
Windows; blank lines count for nothing. A CID that one file has more often than the other is a difference too, named on
standard error with its lines. A line that is no CID is named there and left out, and the exit status is 2. Standard input
and pipes are spooled to --tmp. The program itself takes about 100 MiB; --memory below that only slows it down.

Example:
  dict-vsync diff ours.txt theirs.txt | grep -c '^<'`,
    )
    .action((a: string, b: string, options: DiffOptions) => diff(io, a, b, options));
}

function memoryOf(text: string): number {
  try {
    return memoryKind.read(text);
  } catch (cause) {
    if (cause instanceof NotAllowed) throw new InvalidArgumentError(`It must be ${memoryKind.allowed}.`);
    throw cause;
  }
}

async function diff(io: Io, a: string, b: string, options: DiffOptions): Promise<void> {
  if (a === '-' && b === '-') throw new CommandFailed('diff: only one of the two can be standard input', troubleExitCode);
  await withProgress(io, { title: 'diff', unit: 'lines' }, async (apart, progress) => {
    const makeSpool = spoolsIn(io, options.tmp);
    const opened: CidFile[] = [];
    const open = async (name: string): Promise<CidFile> => {
      const file = await openFileOfCids(apart, name, makeSpool);
      opened.push(file);
      return file;
    };
    try {
      await compare(apart, [await open(a), await open(b)], { options, makeSpool }, progress);
    } catch (cause) {
      throw asFileTrouble(cause, troubleExitCode, io.signal);
    } finally {
      for (const file of opened) await file.close();
    }
  });
}

async function compare(
  io: Io,
  files: FilePair,
  { options, makeSpool }: { readonly options: DiffOptions; readonly makeSpool: ReturnType<typeof spoolsIn> },
  progress: Progress,
): Promise<void> {
  const bad = new BadLineReport(io, true);
  const printed = new PrintedDifferences(io, files, options.json !== true);
  let phase = '';
  const listener: ReadingListener = {
    signal: io.signal,
    onBad: (line) => bad.add(line),
    onRead({ name, sizeBytes }, bytes, lines) {
      progress.at({
        done: lines,
        total: null,
        share: sizeBytes === null ? null : bytes / sizeBytes,
        phase: `${phase} ${name}`,
      });
    },
  };
  let different: boolean;
  if (options.quiet === true) {
    phase = 'reading';
    different = !sameCids(await foldBoth(files, listener));
  } else {
    const deps = { ...listener, openSpool: makeSpool, memoryBytes: recordsBytesOf(options.memory), onPhase };
    const comparison = await compareFiles(files, deps, printed);
    different = printed.onlyInA + printed.onlyInB + printed.repeatedCids > 0;
    if (options.json === true) await writeOut(io.stdout, `${JSON.stringify(jsonOf(files, comparison, printed))}\n`);
  }
  const problems = bad.summary();
  if (problems !== null) throw new CommandFailed(`diff: ${problems}; the rest was compared`, troubleExitCode);
  if (different) throw new CommandFailed(null, differentExitCode);

  function onPhase(next: Phase): void {
    phase = next === 'folding' ? 'reading' : 'collecting differences of';
    if (next === 'merging') progress.at({ done: 0, total: null, phase: 'merging' });
  }
}

/** What is left of the memory for CIDs, beside the program as it stands. */
function recordsBytesOf(memoryBytes: number): number {
  return Math.max(memoryBytes - process.memoryUsage.rss() - overheadBytes, recordsBytesMin);
}

function jsonOf(files: FilePair, { files: folded }: Comparison, printed: PrintedDifferences): object {
  const side = (at: Side): object => {
    const { lines, cids, badLines } = folded[at];
    return { file: files[at].name, lines, cids, bad_lines: badLines };
  };
  const { onlyInA, onlyInB, repeatedCids } = printed;
  const equal = onlyInA + onlyInB + repeatedCids === 0;
  return { a: side(0), b: side(1), only_in_a: onlyInA, only_in_b: onlyInB, repeated: repeatedCids, equal };
}

/** Of a CID that a file has more than once, so many lines are named. */
const linesNamed = 10;

const lineBytes = 67;
const bufferedLines = 1_000;
const [space, lineFeed] = [0x20, 0x0a];
const signs = [0x3c, 0x3e] as const;
const hexDigits = Buffer.from('0123456789abcdef');

/** Prints as diff does, many lines at a time. */
class PrintedDifferences implements DifferenceSink {
  onlyInA = 0;
  onlyInB = 0;
  repeatedCids = 0;
  readonly #io: Io;
  readonly #names: readonly [string, string];
  readonly #prints: boolean;
  #buffer = Buffer.alloc(bufferedLines * lineBytes);
  #filled = 0;

  constructor(io: Io, [a, b]: FilePair, prints: boolean) {
    this.#io = io;
    this.#names = [a.name, b.name];
    this.#prints = prints;
  }

  onlyIn(side: Side, bytes: Uint8Array, at: number): void {
    if (side === 0) this.onlyInA += 1;
    else this.onlyInB += 1;
    if (!this.#prints) return;
    if (this.#filled === this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer], 2 * this.#buffer.length);
    const buffer = this.#buffer;
    buffer[this.#filled++] = signs[side];
    buffer[this.#filled++] = space;
    for (let index = at; index < at + 32; index++) {
      const byte = bytes[index] ?? 0;
      buffer[this.#filled++] = hexDigits[byte >> 4] ?? 0;
      buffer[this.#filled++] = hexDigits[byte & 15] ?? 0;
    }
    buffer[this.#filled++] = lineFeed;
  }

  repeated(cid: string, [a, b]: readonly [Occurrences, Occurrences]): void {
    this.repeatedCids += 1;
    const [nameA, nameB] = this.#names;
    this.#io.stderr.write(`${cid} is there ${timesIn(nameA, a)}, ${timesIn(nameB, b)}\n`);
  }

  async flush(): Promise<boolean> {
    if (this.#filled === 0) return true;
    const ready = this.#buffer.subarray(0, this.#filled);
    // The stream may still hold these bytes when the next ones come.
    this.#buffer = Buffer.alloc(this.#buffer.length);
    this.#filled = 0;
    return await writeOut(this.#io.stdout, ready);
  }
}

function timesIn(name: string, { times, lines }: Occurrences): string {
  if (times === 0) return `not in ${name}`;
  const named = lines.slice(0, linesNamed);
  const which = `line${named.length === 1 ? '' : 's'} ${named.join(', ')}${times > named.length ? ', …' : ''}`;
  return `${times === 1 ? 'once' : `${times} times`} in ${name} (${which})`;
}
