/** What the program itself stands on: Node, its configuration, and the place of its data. Writes nothing. */

import { accessSync, constants, existsSync, readFileSync, statfsSync, statSync } from 'node:fs';
import * as path from 'node:path';
import { type Config, ConfigRefused, loadConfig } from '../../config.ts';
import type { Io } from '../io.ts';
import { alone, type Checked, type Finding, fail, ok, warn } from './finding.ts';

/** What bin/ starts the program with. */
const NODE_NEEDED = 24;

/** The Node that runs this. */
export function checkNode(version: string): Finding {
  const major = Number(version.split('.')[0]);
  if (major >= NODE_NEEDED) return ok('Node', version);
  return fail(
    'Node',
    `${version}, ${NODE_NEEDED} or newer is needed`,
    'start it by "npx dict-vsync", which brings its own, or update Node',
  );
}

/** The program's own version, from the package it came in. */
export function programVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  // Written by us, and checked by npm when it was packed.
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** Every complaint at once, each in the configuration's own words. */
export function checkConfiguration(io: Io): Checked<Config> {
  try {
    const config = loadConfig(io);
    return { findings: [ok('configuration', 'every option is allowed and fits the others')], result: config };
  } catch (cause) {
    if (!(cause instanceof ConfigRefused)) throw cause;
    const advice = 'correct it; "dict-vsync config" shows what is allowed for each option and where each value comes from';
    return { findings: [fail('configuration', cause.message, advice)], result: null };
  }
}

/** Less than this is soon used up by a file and the database's log. */
const FREE_BYTES_MIN = 1024 ** 3;

/** Whether working files can be written and have room. A directory that is not there yet is made on first use. */
export function checkDataDirectory(dataDir: string, fileBytesMax: number): Checked<never> {
  const check = 'data directory';
  const advice = 'give the user that runs this the right to write there, or name another directory in DATA_DIR';
  const existing = nearestExisting(dataDir);
  try {
    if (!statSync(existing).isDirectory())
      return alone(fail(check, `${existing} is no directory`, 'name another one in DATA_DIR'));
    accessSync(existing, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    return alone(fail(check, `${existing} cannot be written to (${codeOf(cause)})`, advice));
  }
  const { bavail, bsize } = statfsSync(existing);
  const free = bavail * bsize;
  const needed = Math.max(FREE_BYTES_MIN, fileBytesMax);
  const seen = existing === dataDir ? `${dataDir} can be written to` : `${dataDir} is not there yet; it can be made`;
  const room = `${gibibytes(free)} free`;
  if (free >= needed) return alone(ok(check, `${seen}, ${room}`));
  return alone(
    warn(check, `${seen}, but only ${room}`, `free some: a CID set file alone may take up to ${gibibytes(fileBytesMax)}`),
  );
}

function nearestExisting(directory: string): string {
  let found = directory;
  // Ends at the root, which exists.
  while (!existsSync(found) && path.dirname(found) !== found) found = path.dirname(found);
  return found;
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
}

function gibibytes(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
