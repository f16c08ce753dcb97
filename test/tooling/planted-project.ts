/**
 * A small project in a temporary folder, with this repository's own rules for one tool and whatever violation a test plants in
 * it. It shows that a rule bites; that the repository keeps it is shown by `npm run check`.
 */

import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's top folder. */
export const repository = fileURLToPath(new URL('../../', import.meta.url));

export interface PlantedProject {
  readonly folder: string;
  /** Runs a program of node_modules/.bin (or node) in the project. */
  run(program: string, args: readonly string[], env?: Readonly<Record<string, string>>): SpawnSyncReturns<string>;
}

/**
 * Writes the files (path → text), copies the repository's configuration files of those names beside them, and links its
 * node_modules. The folder is removed after the test or suite.
 */
export function plantedProject(
  test: { after(remove: () => void): void },
  files: Readonly<Record<string, string>>,
  configuration: readonly string[] = [],
): PlantedProject {
  const folder = mkdtempSync(join(tmpdir(), 'dict-vsync-planted-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'), 'junction');
  for (const name of configuration) copyFileSync(join(repository, name), join(folder, name));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return { folder, run: (program, args, env = {}) => runIn(folder, program, args, env) };
}

function runIn(folder: string, program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  // A coverage measurement of the tests is not one of the planted project, and a runner inside a runner must not report to it.
  // Node hands an absent NODE_V8_COVERAGE on to its children all the same; only an empty one is not.
  const { NODE_TEST_CONTEXT: _context, ...inherited } = process.env;
  const path = program === 'node' ? process.execPath : join(repository, 'node_modules', '.bin', program);
  return spawnSync(path, args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
    shell: process.platform === 'win32',
    env: {
      ...inherited,
      ...env,
      NODE_V8_COVERAGE: '',
      PATH: [join(repository, 'node_modules', '.bin'), process.env['PATH'] ?? ''].join(delimiter),
    },
  });
}
