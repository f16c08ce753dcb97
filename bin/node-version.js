/**
 * Which Node the program runs on: the one it was started with where that is new enough, else the one of the package
 * `node-<platform>-<arch>` that `npm ci` put beside it. Found by its package and not as `.bin/node`: npm 10 removes that link
 * again when it drops the packages of the other platforms. Plain JavaScript, so that an older Node can read it.
 */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

const needed = 24;
const major = (version) => Number(version.split('.')[0]);
const nodePackage = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;

/** The Node of the package, in this clone or beside the installed package; null where there is none. */
function pinnedNode() {
  try {
    const require = createRequire(import.meta.url);
    const manifest = `${nodePackage}/package.json`;
    // An older one would only start this again, and again.
    if (major(require(manifest).version) < needed) return null;
    const path = join(dirname(require.resolve(manifest)), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}

/** Runs a Node with the same streams and signals, itself first in PATH, and ends this process as that one ended. */
function become(node, args) {
  process.env.PATH = dirname(node) + delimiter + (process.env.PATH || '');
  const child = spawn(node, args, { stdio: 'inherit' });
  // A terminal sends its signals to the child as well; a process manager sends them only here.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    process.stderr.write(`dict-vsync: ${node} cannot be run: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (status, signal) => {
    process.exit(signal === null ? status : 128 + (constants.signals[signal] || 0));
  });
}

/**
 * Whether this process may go on. If not, `args` are run on the pinned Node in its stead, or standard error says what to do and
 * the exit status is 1.
 */
export function isNewEnough(args) {
  if (major(process.versions.node) >= needed) return true;
  const node = pinnedNode();
  if (node !== null) {
    become(node, args);
    return false;
  }
  process.stderr.write(
    `dict-vsync needs Node ${needed} or newer; this is Node ${process.versions.node} (${process.execPath}).\n` +
      'In a clone, "npm ci" without --omit=optional brings one along on Linux (x64, arm64), macOS (x64) and Windows (x64).\n' +
      `Elsewhere install Node ${needed} from https://nodejs.org, or try: npm install ${nodePackage}@${needed}\n`,
  );
  process.exitCode = 1;
  return false;
}
