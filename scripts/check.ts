/**
 * `npm run check`: every check of the project, each named with its result, all of them run even when an early one fails. The
 * last line is `N passed, N failed, N skipped` for machines: tests, and each other part as one. `npm run check -- NAME ...` runs
 * only those parts.
 */

import { spawn } from 'node:child_process';
import { delimiter, dirname, resolve as resolvePath } from 'node:path';

interface Part {
  readonly name: string;
  readonly what: string;
  /** Program of node_modules/.bin or node, and its arguments. */
  readonly command: readonly [string, ...string[]];
}

/** Lines, statements, functions and branches of src/ that the tests must run; the requirement is more than 80 %. */
const coverageMin = '80.01';

const coverage = [
  'c8',
  '--all',
  '--src=src',
  '--include=src/**/*.ts',
  '--exclude=src/**/*.test.ts',
  // Made by a pinned generator from proto/, which tests its own output.
  '--exclude=src/bridge/grpc/generated/**',
  '--merge-async',
  '--reporter=text',
  '--skip-full',
  '--check-coverage',
  `--lines=${coverageMin}`,
  `--statements=${coverageMin}`,
  `--functions=${coverageMin}`,
  `--branches=${coverageMin}`,
] as const;

const parts: readonly Part[] = [
  { name: 'lint', what: 'format and lint rules (biome.json)', command: ['biome', 'ci', '--error-on-warnings', '.'] },
  { name: 'types', what: 'strict types (tsconfig.json)', command: ['tsc', '-p', 'tsconfig.json'] },
  {
    name: 'architecture',
    what: 'who imports whom (.dependency-cruiser.mjs)',
    command: ['depcruise', 'src', 'test', 'scripts', 'bench', '--config', '.dependency-cruiser.mjs'],
  },
  { name: 'unused', what: 'unused files, exports and packages (knip.json)', command: ['knip'] },
  { name: 'style', what: 'measurable rules of style (scripts/style/)', command: ['node', 'scripts/check-style.ts'] },
  { name: 'wasm', what: 'WebAssembly kernels are what their sources make', command: ['node', 'scripts/wasm.ts', 'check'] },
  {
    name: 'proto',
    what: 'the gRPC interface: rules, nothing broken, generated code fresh',
    command: ['node', 'scripts/proto.ts', 'check'],
  },
  {
    name: 'bench',
    what: 'ratios of a small bench against bounds far above the usual',
    command: ['node', 'bench/main.ts', '--small'],
  },
  { name: 'docs', what: 'tests and files named in documents', command: ['node', 'scripts/check-docs.ts'] },
  { name: 'tests', what: 'all tests, coverage of src/ above 80 %', command: [...coverage, 'node', 'scripts/test.ts'] },
];

interface Result {
  readonly part: Part;
  readonly passed: boolean;
  readonly seconds: number;
  readonly output: string;
}

/** This Node and the tools of node_modules/.bin before all others, however the check was started. */
const path = [dirname(process.execPath), resolvePath('node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter);

/** Runs a part with its output shown as it comes. */
function runPart(part: Part): Promise<Result> {
  console.log(`\n== ${part.name}: ${part.what}`);
  const startMs = Date.now();
  const [program, ...args] = part.command;
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    shell: process.platform === 'win32',
    env: { ...process.env, PATH: path },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      resolve({ part, passed: status === 0, seconds: (Date.now() - startMs) / 1000, output });
    });
  });
}

/** Tests passed, failed and skipped; a test run without its last line failed as a whole. */
function countsOf(result: Result): readonly [number, number, number] {
  const [, passed, failed, skipped] = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(result.output) ?? [];
  if (passed === undefined) return result.passed ? [1, 0, 0] : [0, 1, 0];
  const failedCount = Number(failed);
  // Coverage below its gate, or a skip in CI, fails the part although no test failed.
  return [Number(passed), result.passed ? failedCount : Math.max(1, failedCount), Number(skipped)];
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !parts.some((part) => part.name === name));
if (unknown.length > 0) {
  console.error(`check: no part is called ${unknown.join(', ')}; there are ${parts.map((part) => part.name).join(', ')}`);
  process.exit(2);
}

const results: Result[] = [];
for (const part of parts) {
  if (wanted.length === 0 || wanted.includes(part.name)) results.push(await runPart(part));
}

console.log('');
for (const { part, passed, seconds } of results) {
  console.log(`${passed ? 'passed' : 'FAILED'}  ${part.name.padEnd(13)} ${`${seconds.toFixed(1)} s`.padStart(8)}  ${part.what}`);
}
const counts = results.map(countsOf);
const sum = (index: 0 | 1 | 2): number => counts.reduce((total, count) => total + count[index], 0);
if (results.some((result) => !result.passed)) process.exitCode = 1;
console.log(`${sum(0)} passed, ${sum(1)} failed, ${sum(2)} skipped`);
