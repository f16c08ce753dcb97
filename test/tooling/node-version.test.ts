/**
 * What happens on a Node that is too old: every npm script says what to do, and the command runs itself on the pinned Node where
 * there is one. The old Node is this one under a false version, so that the test needs no second Node.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { plantedProject, repository } from './planted-project.ts';

const asNode20 = [
  '--import',
  `data:text/javascript,${encodeURIComponent("Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } });")}`,
];

const nodePackage = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;

/** Says what it was given, and ends as it was told. */
const program = `/** Planted. */
const [how] = process.argv.slice(2);
if (how === 'wait') {
  process.on('SIGTERM', () => process.exit(7));
  setInterval(() => {}, 1000);
} else process.exitCode = Number(how);
console.log(JSON.stringify({ arguments: process.argv.slice(2), node: process.versions.node }));
`;

/** A clone with the launcher and a program; with the pinned Node of a version, or none. */
function clone(test: TestContext, pinned: string | null) {
  const project = plantedProject(test, { 'src/main.ts': program, 'package.json': '{ "type": "module" }' }, []);
  // The link to the repository's packages, the pinned Node among them.
  rmSync(join(project.folder, 'node_modules'));
  for (const path of ['bin', 'scripts/run.js']) cpSync(join(repository, path), join(project.folder, path), { recursive: true });
  const packages = join(project.folder, 'node_modules');
  if (pinned !== null) {
    mkdirSync(join(packages, nodePackage, 'bin'), { recursive: true });
    writeFileSync(join(packages, nodePackage, 'package.json'), JSON.stringify({ name: nodePackage, version: pinned }));
    symlinkSync(process.execPath, join(packages, nodePackage, 'bin', process.platform === 'win32' ? 'node.exe' : 'node'));
  }
  return project;
}

describe('the Node it runs on', () => {
  it('is checked by every npm script', () => {
    const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
    for (const [name, command] of Object.entries(scripts)) {
      assert.match(String(command), /^node scripts\/run\.js /, `npm run ${name} does not check its Node`);
    }
  });

  it('is refused by npm scripts when too old and no newer one is installed, with what to do', (test) => {
    const project = clone(test, null);
    const { status, stderr } = project.run('node', [...asNode20, 'scripts/run.js', 'src/main.ts', '0']);
    assert.equal(status, 1);
    assert.match(stderr, /needs Node 24 or newer; this is Node 20\.20\.2/);
    assert.match(stderr, /npm ci/);
  });

  it('gives way to the pinned one in npm scripts, also without the link .bin/node that npm 10 loses', (test) => {
    const { status, stdout } = clone(test, '24.21.0').run('node', [...asNode20, 'scripts/run.js', 'src/main.ts', '4', 'x']);
    assert.deepEqual(JSON.parse(stdout), { arguments: ['4', 'x'], node: process.versions.node });
    assert.equal(status, 4);
  });

  it('is used by the command when new enough', (test) => {
    const { status, stdout } = clone(test, null).run('node', ['bin/dict-vsync.js', '3', '--key', 'a b']);
    assert.deepEqual(JSON.parse(stdout), { arguments: ['3', '--key', 'a b'], node: process.versions.node });
    assert.equal(status, 3);
  });

  it('gives way to the pinned one when too old: same arguments, same exit status', (test) => {
    const { status, stdout } = clone(test, '24.21.0').run('node', [...asNode20, 'bin/dict-vsync.js', '3', '--key', 'a b']);
    assert.deepEqual(JSON.parse(stdout), { arguments: ['3', '--key', 'a b'], node: process.versions.node });
    assert.equal(status, 3);
  });

  it('hands signals on to the pinned one', {
    skip: process.platform === 'win32' ? 'Windows has no signals' : false,
  }, async (test) => {
    const { folder } = clone(test, '24.21.0');
    const child = spawn(process.execPath, [...asNode20, 'bin/dict-vsync.js', 'wait'], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [7, null]);
  });

  for (const [what, pinned] of [
    ['there is no pinned one', null],
    ['the pinned one is too old as well', '20.1.0'],
  ] as const) {
    it(`is refused by the command when too old and ${what}`, (test) => {
      const project = clone(test, pinned);
      const { status, stderr } = project.run('node', [...asNode20, 'bin/dict-vsync.js', '0']);
      assert.equal(status, 1);
      assert.match(stderr, /needs Node 24 or newer; this is Node 20\.20\.2/);
      assert.match(stderr, new RegExp(`npm install ${nodePackage}@24`));
    });
  }
});
