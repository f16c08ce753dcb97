/**
 * Checks that the documents tell the truth about files: every test that they name exists (`path/x.test.ts`, or
 * `path/x.test.ts › name of the test`), and so does every relative link's target. The folder to check is the first argument, by
 * default the current one. Prints one line per fault; exit status 1 when there is any.
 */

import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = process.argv[2] ?? '.';
const documents = globSync('{*,docs/**/*}.md', { cwd: root }).sort();

/** `a/b.test.ts` and, after ›, a test's name up to the end of the code span, cell or line. */
const namedTest = /((?:src|test)\/[\w./-]+\.test\.ts)(?:`?\s*›\s*`?([^`|\n]+))?/g;
const link = /\]\(([^)\s]+)\)/g;

/** Whether a test of that name stands in the text; names join suite and test with ›, and may be templates in a table test. */
function hasTest(text: string, name: string): boolean {
  return name.split('›').every((part) => {
    const title = part.trim().replace(/[.,;:]$/, '');
    return text.includes(title) || text.includes(title.replaceAll("'", "\\'"));
  });
}

function testFaults(document: string, text: string): string[] {
  return [...text.matchAll(namedTest)].flatMap(([, path = '', name]) => {
    if (!existsSync(join(root, path))) return [`${document}: names ${path}, which does not exist`];
    if (name === undefined || hasTest(readFileSync(join(root, path), 'utf8'), name)) return [];
    return [`${document}: names the test "${name.trim()}", which ${path} does not have`];
  });
}

function linkFaults(document: string, text: string): string[] {
  return [...text.matchAll(link)].flatMap(([, target = '']) => {
    if (/^([a-z]+:|#)/.test(target)) return [];
    const path = join(dirname(document), target.replace(/#.*/, ''));
    return existsSync(join(root, path)) ? [] : [`${document}: links to ${target}, which does not exist`];
  });
}

let namedCount = 0;
const faults = documents.flatMap((document) => {
  const text = readFileSync(join(root, document), 'utf8');
  namedCount += text.match(namedTest)?.length ?? 0;
  return [...testFaults(document, text), ...linkFaults(document, text)];
});

for (const fault of faults) console.log(fault);
console.log(`${documents.length} documents name ${namedCount} tests: ${faults.length} faults`);
if (faults.length > 0) process.exitCode = 1;
