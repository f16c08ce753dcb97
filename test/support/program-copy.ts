/** A copy of the program where other users can read it: a clone may stand below a directory that only its owner may enter. */

import * as fs from 'node:fs';
import * as path from 'node:path';

const repository = path.resolve(import.meta.dirname, '../..');

/** These packages with everything they depend on. */
function neededModules(packages: readonly string[]): readonly string[] {
  const needed = new Set<string>();
  const open = [...packages];
  for (let name = open.pop(); name !== undefined && needed.size < 200; name = open.pop()) {
    const manifest = path.join(repository, 'node_modules', name, 'package.json');
    if (needed.has(name) || !fs.existsSync(manifest)) continue;
    needed.add(name);
    // npm's own manifests.
    const { dependencies = {} } = JSON.parse(fs.readFileSync(manifest, 'utf8')) as { dependencies?: Record<string, string> };
    open.push(...Object.keys(dependencies));
  }
  return [...needed];
}

/** Copies these parts of the clone with these packages, and this Node as `node`. */
export function copyProgram(to: string, parts: readonly string[], packages: readonly string[]): void {
  const options = { recursive: true, verbatimSymlinks: true, mode: fs.constants.COPYFILE_FICLONE };
  for (const part of parts) fs.cpSync(path.join(repository, part), path.join(to, part), options);
  for (const name of neededModules(packages)) {
    fs.cpSync(path.join(repository, 'node_modules', name), path.join(to, 'node_modules', name), options);
  }
  fs.copyFileSync(process.execPath, path.join(to, 'node'), fs.constants.COPYFILE_FICLONE);
  fs.chmodSync(path.join(to, 'node'), 0o755);
}
