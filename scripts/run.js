/**
 * How every npm script starts: `node scripts/run.js FILE ...` runs the file on a Node that is new enough, or says what to do.
 * Plain JavaScript, so that an older Node can read it.
 */

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isNewEnough } from '../bin/node-version.js';

const [file, ...args] = process.argv.slice(2);

if (isNewEnough([resolve(file), ...args])) {
  process.argv.splice(1, 2, resolve(file));
  await import(pathToFileURL(resolve(file)).href);
}
