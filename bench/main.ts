/**
 * `npm run bench`: each promise about speed or memory as a ratio against a peer, in one run. `--only a,b`, `--n ITEMS`, `--rounds`,
 * `--json`; `--small` is what the check runs: few items, one round, bounds far above the usual ratio.
 */

import { readdirSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import * as path from 'node:path';
import { parseArgs } from 'node:util';
import type { Bench } from './bench.ts';
import { type BenchResult, holds, runBench, type SideResult } from './runner.ts';

const { values: options } = parseArgs({
  options: {
    n: { type: 'string' },
    rounds: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    small: { type: 'boolean', default: false },
  },
});

function wholeNumber(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text.replaceAll(/[_,]/g, ''));
  if (!Number.isSafeInteger(value) || value < 1) {
    console.error(`bench: --${name}: "${text}" is not a whole number from 1 on`);
    process.exit(2);
  }
  return value;
}

const names = readdirSync(path.join(import.meta.dirname, 'cases'))
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3))
  .sort();
const wanted = options.only?.split(',') ?? names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`bench: --only: no bench is called ${unknown.join(', ')}; there are ${names.join(', ')}`);
  process.exit(2);
}
const items = wholeNumber('n', options.n);
const rounds = wholeNumber('rounds', options.rounds);

function bytesText(bytes: number | null): string {
  return bytes === null ? '-' : `${(bytes / 1_048_576).toFixed(0)} MB`;
}

function verdictOf(side: SideResult): string {
  const bounds = [
    ...(side.ratio === null || side.atMost === null ? [] : [`at most ${side.atMost}`]),
    ...(side.secondsMax === null ? [] : [`at most ${side.secondsMax} s`]),
    ...(side.peakBytesMax === null ? [] : [`at most ${bytesText(side.peakBytesMax)}`]),
  ];
  return bounds.length === 0 ? '' : `${holds(side) ? 'holds' : 'DOES NOT HOLD'}: ${bounds.join(', ')}`;
}

function textOf(result: BenchResult): string {
  const head = `${result.name}: ${result.what}; ${result.items.toLocaleString('en')} ${result.unit}, median of ${result.rounds}`;
  const rows = result.sides.map((side) => {
    const rate = `${Math.round(side.items / side.medianSeconds).toLocaleString('en')}/s`;
    const ratio = side.ratio === null ? '' : `ours / this ${side.ratio.toPrecision(3)}`;
    const range = `${side.minSeconds.toFixed(2)} to ${side.maxSeconds.toFixed(2)}`;
    const columns = [
      side.side.padEnd(28),
      `${side.medianSeconds.toFixed(3)} s`.padStart(11),
      range.padStart(18),
      rate.padStart(15),
    ];
    return `  ${[...columns, bytesText(side.peakBytes).padStart(9), ratio.padEnd(22), verdictOf(side)].join('  ').trimEnd()}`;
  });
  return [head, ...rows, ''].join('\n');
}

if (!options.json) {
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB`;
  console.log(
    `Node ${process.version}, ${process.platform} ${process.arch}, ${machine}; ratios are time over time, smaller is better\n`,
  );
}
let broken = 0;
const results: BenchResult[] = [];
for (const name of wanted) {
  const { bench }: { readonly bench: Bench } = await import(`./cases/${name}.ts`);
  const run = (times: number): Promise<BenchResult> =>
    runBench(
      name,
      { ...bench, rounds: times },
      { items: items ?? (options.small ? bench.items.small : bench.items.usual), small: options.small },
    );
  let result = await run(rounds ?? (options.small ? 1 : bench.rounds));
  // Once is enough for what holds by far; what does not is not believed of a single run.
  if (options.small && rounds === null && !result.sides.every(holds)) result = await run(bench.rounds);
  results.push(result);
  broken += result.sides.filter((side) => !holds(side)).length;
  if (!options.json) console.log(textOf(result));
}
if (options.json) console.log(JSON.stringify(results, null, 2));
if (broken > 0) {
  console.error(`bench: ${broken} sides are above a bound`);
  process.exitCode = 1;
}
