/** Runs one bench: fixture, rounds, medians, ratios. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import type { Bench, Fixture, Side } from './bench.ts';

interface Run {
  readonly seconds: number;
  /** What it did; null for a program, which does them all. */
  readonly items: number | null;
  /** Of the largest single process; null where the system does not tell. */
  readonly peakBytes: number | null;
}

export interface SideResult {
  readonly side: string;
  /** What a run of it did: not the same for all where a side is too slow for as many. Ratios are of the time per item. */
  readonly items: number;
  readonly medianSeconds: number;
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly peakBytes: number | null;
  /** Our median time by this side's; null for ours. */
  readonly ratio: number | null;
  /** What the ratio may be at the most; null where nothing is required. */
  readonly atMost: number | null;
  /** The same of the peak memory. */
  readonly peakBytesMax: number | null;
  /** The same of the time itself. */
  readonly secondsMax: number | null;
}

export interface BenchResult {
  readonly name: string;
  readonly what: string;
  readonly items: number;
  readonly unit: string;
  readonly rounds: number;
  readonly sides: readonly SideResult[];
}

const sideScript = path.join(import.meta.dirname, 'side.ts');
const sideTimeoutMs = 30 * 60_000;

/** Runs a bench over that many items. Rejects where a side fails: a wrong answer has no speed. */
export async function runBench(
  name: string,
  bench: Bench,
  how: { readonly items: number; readonly small: boolean },
): Promise<BenchResult> {
  const directory = await mkdtemp(path.join(tmpdir(), `dict-vsync-bench-${name}-`));
  try {
    const { fixture, release } = await bench.prepare(how.items, directory);
    try {
      const runs = await runRounds(name, bench, fixture, directory);
      return {
        name,
        what: bench.what,
        items: how.items,
        unit: bench.items.unit,
        rounds: bench.rounds,
        sides: resultsOf(bench, runs, how),
      };
    } finally {
      await release?.();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function runRounds(name: string, bench: Bench, fixture: Fixture, directory: string): Promise<Map<string, Run[]>> {
  const runs = new Map<string, Run[]>(Object.keys(bench.sides).map((side) => [side, []]));
  // Fills the cache of compiled modules, which is not what is measured.
  await timed([process.execPath, sideScript, name, 'ours'], [0], directory);
  for (let round = 0; round < bench.rounds; round++) {
    for (const [sideName, side] of Object.entries(bench.sides)) {
      runs.get(sideName)?.push(await runSide(name, bench, sideName, side, fixture, directory));
    }
  }
  return runs;
}

async function runSide(
  name: string,
  bench: Bench,
  sideName: string,
  side: Side,
  fixture: Fixture,
  directory: string,
): Promise<Run> {
  if ('program' in side) {
    const { seconds, peakBytes } = await timed(side.program(fixture), side.statuses ?? [0], directory);
    return { seconds, peakBytes, items: null };
  }
  const command = [process.execPath, ...(side.nodeArguments ?? []), sideScript, name, sideName, JSON.stringify(fixture)] as const;
  const { seconds, output } = await timed(command, [0], directory);
  // The last line is side.ts's own.
  const told: { items: number; seconds: number; peakBytes: number } = JSON.parse(output.trimEnd().split('\n').at(-1) ?? '');
  return { seconds: bench.timed === 'work' ? told.seconds : seconds, peakBytes: told.peakBytes, items: told.items };
}

interface Timed extends Omit<Run, 'items'> {
  readonly output: string;
}

/** Where it is not installed, peaks of programs are not told. */
const gnuTime = '/usr/bin/time';
const timePrefix = 'peak-kilobytes ';

/** Runs a program below GNU time where that is there: only the parent of a process is told its peak memory. */
async function timed(command: readonly [string, ...string[]], statuses: readonly number[], directory: string): Promise<Timed> {
  const [program, ...args] = existsSync(gnuTime) ? ([gnuTime, '-f', `${timePrefix}%M`, ...command] as const) : command;
  const startMs = performance.now();
  const child = spawn(program, args, {
    cwd: directory,
    // What is installed is compiled; here types are stripped at each start, once each with a cache.
    env: { ...process.env, LC_ALL: 'C', TMPDIR: directory, NODE_COMPILE_CACHE: path.join(directory, 'compile-cache') },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: sideTimeoutMs,
  });
  let output = '';
  let messages = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-65_536);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    messages = (messages + text).slice(-65_536);
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', (cause) => reject(new Error(`${program} cannot be started: ${cause.message}`, { cause })));
    child.on('close', resolve);
  });
  const seconds = (performance.now() - startMs) / 1_000;
  if (status === null || !statuses.includes(status)) {
    throw new Error(`${command.slice(0, 6).join(' ')} ended with status ${String(status)}: ${messages.slice(-2_000)}`);
  }
  const peak = new RegExp(`^${timePrefix}(\\d+)$`, 'm').exec(messages)?.[1];
  return { seconds, peakBytes: peak === undefined ? null : Number(peak) * 1_024, output };
}

function resultsOf(
  bench: Bench,
  runs: ReadonlyMap<string, readonly Run[]>,
  { items, small }: { readonly items: number; readonly small: boolean },
): SideResult[] {
  const perItem = (sideRuns: readonly Run[]): number =>
    medianOf(sideRuns.map((run) => run.seconds)) / medianOf(sideRuns.map((run) => run.items ?? items));
  const oursPerItem = perItem(runs.get('ours') ?? []);
  return [...runs].map(([side, sideRuns]): SideResult => {
    const seconds = sideRuns.map((run) => run.seconds);
    const peaks = sideRuns.flatMap((run) => run.peakBytes ?? []);
    const wanted = bench.wanted[side];
    return {
      side,
      items: medianOf(sideRuns.map((run) => run.items ?? items)),
      medianSeconds: medianOf(seconds),
      minSeconds: Math.min(...seconds),
      maxSeconds: Math.max(...seconds),
      peakBytes: peaks.length === 0 ? null : Math.max(...peaks),
      ratio: side === 'ours' ? null : oursPerItem / perItem(sideRuns),
      atMost: (small ? wanted?.smallAtMost : wanted?.atMost) ?? null,
      peakBytesMax: side === 'ours' ? (bench.oursPeakBytesMax ?? null) : null,
      secondsMax: side === 'ours' && items <= bench.items.usual ? (bench.oursSecondsMax ?? null) : null,
    };
  });
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Whether everything that is required of a side holds. */
export function holds({ ratio, atMost, peakBytes, peakBytesMax, medianSeconds, secondsMax }: SideResult): boolean {
  return (
    (secondsMax === null || medianSeconds <= secondsMax) &&
    (ratio === null || atMost === null || ratio <= atMost) &&
    (peakBytes === null || peakBytesMax === null || peakBytes <= peakBytesMax)
  );
}
