#!/usr/bin/env node
/**
 * The command. In a clone the program is the TypeScript source, in an installed package the compiled one: Node strips no types
 * below node_modules. Plain JavaScript, so that an older Node can read it.
 */

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { isNewEnough } from './node-version.js';

const source = new URL('../src/main.ts', import.meta.url);
const program = existsSync(source) ? source : new URL('../dist/main.js', import.meta.url);

if (isNewEnough([fileURLToPath(program), ...process.argv.slice(2)])) {
  process.argv[1] = fileURLToPath(program);
  await import(program.href);
}
