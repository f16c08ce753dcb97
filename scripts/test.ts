/**
 * The test command: every `*.test.ts` under src/ and test/ in Node's own runner, then one line per skipped test with its
 * reason, and last a line `N passed, N failed, N skipped` for machines. Skipping is a failure when CI is set. File names or
 * folders as arguments narrow it. What the tests need (a database server, certificates) they set up themselves.
 */

import { globSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** Of one test file. The slowest ones kill and restart processes some fifty times. */
const fileTimeoutMs = 15 * 60 * 1000;

function testFiles(wanted: readonly string[]): string[] {
  const patterns = wanted.length === 0 ? ['src', 'test'] : wanted;
  return patterns
    .flatMap((path) => (isFolder(path) ? globSync(`${path}/**/*.test.ts`) : globSync(path)))
    .filter((file) => !file.includes('node_modules'))
    .sort();
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function isSubtestFailure(error: Error): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed';
}

/** Skipped and still-to-do tests, as `name: reason`. */
const skipped: string[] = [];
let passedCount = 0;
let failedCount = 0;

const files = testFiles(process.argv.slice(2));
if (files.length === 0) {
  console.error('no test files found');
  process.exitCode = 1;
}

const events = run({ files, concurrency: Math.min(4, Math.max(2, availableParallelism())), timeout: fileTimeoutMs });
events.on('test:pass', (test) => {
  const left = test.skip ?? test.todo;
  if (left !== undefined && left !== false) {
    skipped.push(`${test.file ?? ''} › ${test.name}: ${typeof left === 'string' && left !== '' ? left : 'no reason given'}`);
  } else if (test.details.type !== 'suite') passedCount += 1;
});
events.on('test:fail', (test) => {
  // A suite whose tests failed is no failure of its own; one whose hook failed is.
  if (!isSubtestFailure(test.details.error)) failedCount += 1;
});

for await (const text of events.compose(spec)) process.stdout.write(String(text));

for (const test of skipped) console.log(`skipped: ${test}`);
if (skipped.length > 0 && process.env['CI'] === 'true') {
  console.log('Nothing may be skipped in CI.');
  process.exitCode = 1;
}
if (failedCount > 0 || passedCount === 0) process.exitCode = 1;
console.log(`${passedCount} passed, ${failedCount} failed, ${skipped.length} skipped`);
