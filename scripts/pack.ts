/**
 * What `npm pack` and `npm publish` need around them. `prepare`: compiles src/ to dist/ (JavaScript and declarations) and puts
 * a package.json in place without what only a clone needs: the pinned Node packages (a user's project has its own Node), the
 * development tools and scripts. `restore` puts the clone's own package.json back.
 *
 * npm reads package.json from the folder it packs and cannot be pointed at another one, so the file itself is swapped. A
 * packing that died in between leaves the original beside it; the next `prepare` begins by putting it back.
 */

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

const manifest = 'package.json';
const original = '.package.json.clone';

function restore(): void {
  if (existsSync(original)) renameSync(original, manifest);
}

/** The manifest as users of the package get it. */
function published(text: string): string {
  const { scripts, devDependencies, optionalDependencies, allowScripts, ...kept } = JSON.parse(text);
  const others = Object.entries(optionalDependencies).filter(([name]) => !name.startsWith('node-'));
  return `${JSON.stringify(
    { ...kept, engines: { node: '>=24' }, ...(others.length > 0 && { optionalDependencies: Object.fromEntries(others) }) },
    null,
    2,
  )}\n`;
}

function prepare(): void {
  restore();
  rmSync('dist', { recursive: true, force: true });
  execFileSync(process.execPath, ['node_modules/@typescript/native/bin/tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' });
  copyFileSync(manifest, original);
  try {
    writeFileSync(manifest, published(readFileSync(original, 'utf8')));
  } catch (cause) {
    restore();
    throw cause;
  }
}

const action = process.argv[2];
if (action === 'prepare') prepare();
else if (action === 'restore') restore();
else throw new TypeError(`pack: "${action}" is neither "prepare" nor "restore"`);
