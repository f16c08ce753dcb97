/**
 * Checks the measurable rules of CONTRIBUTING.md that formatter, linter and compiler do not know. The folder to check is the
 * first argument, by default the current one. Prints one line per fault; exit status 1 when there is any.
 */

import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  castFaults,
  classFaults,
  endlessLoopFaults,
  environmentFaults,
  injectionFaults,
  silencerFaults,
  sqlFaults,
} from './style/code-rules.ts';
import { migrationFaults, migrationNameFaults } from './style/migration-rules.ts';
import {
  docCommentFaults,
  fileLengthFaults,
  functionLengthFaults,
  nameFaults,
  openingFaults,
  wordFaults,
} from './style/shape-rules.ts';
import { type Fault, type SourceFile, sourceFile } from './style/source-file.ts';
import { assertionFaults, skipFaults, unawaitedFaults } from './style/test-rules.ts';

const rules: readonly ((file: SourceFile) => Fault[])[] = [
  fileLengthFaults,
  openingFaults,
  functionLengthFaults,
  docCommentFaults,
  castFaults,
  endlessLoopFaults,
  injectionFaults,
  environmentFaults,
  sqlFaults,
  classFaults,
  silencerFaults,
  assertionFaults,
  unawaitedFaults,
  skipFaults,
];

const root = process.argv[2] ?? '.';
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const files = (pattern: string): string[] =>
  globSync(pattern, { cwd: root })
    .map((path) => path.replaceAll('\\', '/'))
    .sort();

/** Made by a pinned generator, in its own style; "npm run check -- proto" holds it to its source. */
const generated = /^src\/bridge\/grpc\/generated\//;
const sources = files('{src,test,scripts,bench}/**/*.ts').filter((path) => !generated.test(path));
const migrations = existsSync(join(root, 'migrations')) ? readdirSync(join(root, 'migrations')) : [];
const faults = [
  ...sources.flatMap((path) => {
    const file = sourceFile(path, read(path));
    return [...nameFaults(path), ...wordFaults(path, file.text), ...rules.flatMap((rule) => rule(file))];
  }),
  ...migrationNameFaults(migrations),
  ...migrations.flatMap((name) => migrationFaults(`migrations/${name}`, read(`migrations/${name}`))),
  ...files('{*,docs/**/*}.md').flatMap((path) => wordFaults(path, read(path))),
];

for (const { file, line, rule, message } of faults) console.log(`${file}:${line} ${rule}: ${message}`);
console.log(`${sources.length} source files, ${migrations.length} migrations: ${faults.length} faults`);
if (faults.length > 0) process.exitCode = 1;
