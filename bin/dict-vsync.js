#!/usr/bin/env node
/**
 * The command. Runs the program on Node 24 or newer: the Node it was started with, or the one that `npm ci` put beside it in a
 * clone. Plain old JavaScript, so that an older Node can read it and say what to do. In a clone the program is the TypeScript
 * source, in an installed package the compiled one: Node strips no types below node_modules.
 */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const needed = 24;
const found = Number(process.versions.node.split('.')[0]);

const nodePackage = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;

/** The Node of the package `node-<platform>-<arch>`, in this clone or beside the installed package; null where there is none. */
function pinnedNode() {
  try {
    const require = createRequire(import.meta.url);
    const manifest = `${nodePackage}/package.json`;
    // An older one would only run this file again, and again.
    if (Number(require(manifest).version.split('.')[0]) < needed) return null;
    const path = join(dirname(require.resolve(manifest)), 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}

/** Runs this file again on another Node: same arguments, streams, signals and exit status. */
function runOn(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url)].concat(process.argv.slice(2)), { stdio: 'inherit' });
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

if (found >= needed) {
  const source = new URL('../src/main.ts', import.meta.url);
  const compiled = new URL('../dist/main.js', import.meta.url);
  // The program is the main module of its process whichever way it was started.
  process.argv[1] = fileURLToPath(existsSync(source) ? source : compiled);
  await import(existsSync(source) ? source.href : compiled.href);
} else {
  const node = pinnedNode();
  if (node === null) {
    process.stderr.write(
      'dict-vsync needs Node ' +
        needed +
        ' or newer; this is Node ' +
        process.versions.node +
        ' (' +
        process.execPath +
        ').\n' +
        'Install Node ' +
        needed +
        ' from https://nodejs.org, or put one beside it: npm install ' +
        nodePackage +
        '@' +
        needed +
        '\n',
    );
    process.exit(1);
  }
  runOn(node);
}
