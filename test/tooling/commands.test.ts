/** Formatter, linter, compiler, unused-code check, document check, coverage gate and test command each fail on a planted violation. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { plantedProject, repository } from './planted-project.ts';

const biomeFiles = ['biome.json', '.gitignore', 'package.json'];

describe('format and lint', () => {
  const unformatted = 'export const x = "double quotes"\n';

  it('refuses what is not formatted', (test) => {
    const { status, stderr } = plantedProject(test, { 'src/x.ts': unformatted }, biomeFiles).run('biome', [
      'ci',
      '--colors=off',
      '.',
    ]);
    assert.match(stderr, /src\/x\.ts format/);
    assert.equal(status, 1);
  });

  const faults: readonly (readonly [rule: string, text: string])[] = [
    ['suspicious/noExplicitAny', 'export const x: any = 1;\n'],
    ['style/noNonNullAssertion', 'export const x = [1][0]!;\n'],
    ['style/noEnum', 'export enum X {\n  A = 1,\n}\n'],
    ['style/noDefaultExport', 'export default 1;\n'],
    ['style/noParameterProperties', 'export class X {\n  constructor(readonly y: number) {}\n}\n'],
    ['style/noNamespace', 'export namespace X {\n  export const y = 1;\n}\n'],
    ['style/useNodejsImportProtocol', "import fs from 'fs';\n\nexport const x = fs;\n"],
    ['style/useImportType', "import { Stats } from 'node:fs';\n\nexport type X = Stats;\n"],
    ['style/useNodeAssertStrict', "import assert from 'node:assert';\n\nassert.ok(1);\n"],
    ['style/useThrowOnlyError', "throw 'x';\n"],
    ['style/useFilenamingConvention', 'export const x = 1;\n'],
    ['suspicious/noConsole', 'console.log(1);\n'],
    ['nursery/noFloatingPromises', 'async function f(): Promise<void> {}\nf();\n'],
    ['nursery/noMisusedPromises', 'async function f(): Promise<boolean> {\n  return true;\n}\nif (f()) throw new Error("x");\n'],
    ['correctness/noUnusedImports', "import { readFile } from 'node:fs';\n\nexport const x = 1;\n"],
    ['correctness/noUndeclaredDependencies', "import x from 'left-pad';\n\nexport const y = x;\n"],
  ];

  it('refuses each planted fault by its rule', (test) => {
    const name = (rule: string): string =>
      rule.endsWith('useFilenamingConvention') ? 'camelCase' : rule.replace(/.*\//, '').toLowerCase();
    const files = Object.fromEntries(faults.map(([rule, text]) => [`src/${name(rule)}.ts`, text]));
    const { status, stdout } = plantedProject(test, files, biomeFiles).run('biome', [
      'lint',
      '--reporter=github',
      '--max-diagnostics=none',
      '.',
    ]);
    assert.equal(status, 1);
    for (const [rule] of faults) {
      assert.match(stdout, new RegExp(`title=lint/${rule},file=\\S*/src/${name(rule)}\\.ts`), `${rule} did not bite`);
    }
  });
});

describe('strict types', () => {
  const faults: readonly (readonly [code: string, text: string])[] = [
    ['TS2322', "export const x: number = 'x';\n"],
    ['TS2532', 'const list = [1];\nexport const x = list[0].toFixed();\n'],
    ['TS2375', 'const y: string | undefined = undefined;\nexport const x: { a?: string } = { a: y };\n'],
    ['TS4111', 'const map: Record<string, string> = {};\nexport const x = map.y;\n'],
    ['TS1294', 'export enum X {\n  A = 1,\n}\n'],
    ['TS1484', "import { PathLike } from 'node:fs';\nexport type X = PathLike;\n"],
    ['TS7030', 'export function f(x: boolean) {\n  if (x) return 1;\n}\n'],
    [
      'TS7029',
      'export function f(x: number): void {\n  switch (x) {\n    case 1:\n      f(2);\n    case 2:\n      f(3);\n  }\n}\n',
    ],
    ['TS4114', 'class A {\n  f(): void {}\n}\nexport class B extends A {\n  f(): void {}\n}\n'],
    ['TS6133', 'const x = 1;\nexport const y = 2;\n'],
  ];

  it('refuses each planted fault', (test) => {
    const files = Object.fromEntries(faults.map(([code, text]) => [`src/${code}.ts`, text]));
    const { status, stdout } = plantedProject(test, files, ['tsconfig.json', 'package.json']).run('tsc', ['-p', 'tsconfig.json']);
    assert.notEqual(status, 0);
    for (const [code] of faults)
      assert.match(stdout, new RegExp(`src/${code}\\.ts\\(.*error ${code}:`), `${code} is not refused:\n${stdout}`);
  });
});

describe('unused code', () => {
  it('refuses an unused file, an unused export and an unused package', (test) => {
    const files = {
      'src/main.ts': "import { used } from './vsync.ts';\n\nused();\n",
      'src/index.ts': 'export const x = 1;\n',
      'src/vsync.ts': 'export function used(): void {}\nexport function dead(): void {}\n',
      'src/orphan.ts': 'export const y = 1;\n',
    };
    const { status, stdout } = plantedProject(test, files, ['knip.json', 'package.json', 'tsconfig.json']).run('knip', []);
    assert.equal(status, 1);
    assert.match(stdout, /Unused files[\s\S]*src\/orphan\.ts/);
    assert.match(stdout, /Unused exports[\s\S]*dead/);
    assert.match(stdout, /Unused dependencies[\s\S]*pg/);
  });
});

describe('documents', () => {
  const docs = (text: string) => ({
    'SPEC.md': text,
    'src/cid/cid.test.ts': "describe('cid', () => {\n  it('is the published vector', () => {});\n});\n",
  });

  const cases: readonly (readonly [what: string, text: string, fault: RegExp])[] = [
    ['a test file that does not exist', '`src/cid/absent.test.ts`', /names src\/cid\/absent\.test\.ts, which does not exist/],
    ['a test that does not exist', '`src/cid/cid.test.ts › is invented`', /names the test "is invented"/],
    ['a link that leads nowhere', '[adr](docs/adr/0099-nothing.md)', /links to docs\/adr\/0099-nothing\.md/],
  ];

  for (const [what, text, fault] of cases) {
    it(`refuses ${what}`, (test) => {
      const { status, stdout } = plantedProject(test, docs(text)).run('node', [join(repository, 'scripts/check-docs.ts')]);
      assert.match(stdout, fault);
      assert.equal(status, 1);
    });
  }

  it('accepts a test that exists, with or without its suite', (test) => {
    const text =
      '`src/cid/cid.test.ts › cid › is the published vector` and `src/cid/cid.test.ts › is the published vector` and `src/cid/cid.test.ts`';
    const { status, stdout } = plantedProject(test, docs(text)).run('node', [join(repository, 'scripts/check-docs.ts')]);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /name 3 tests: 0 faults/);
  });
});

describe('test command', () => {
  const header = "import assert from 'node:assert/strict';\nimport { it } from 'node:test';\n";
  const passing = `${header}it('x', () => assert.ok(true));\n`;
  const cases: readonly (readonly [what: string, text: string, ci: string, status: number, last: string])[] = [
    ['passes when all pass', passing, 'true', 0, '1 passed, 0 failed, 0 skipped'],
    ['fails when a test fails', `${header}it('x', () => assert.ok(false));\n`, '', 1, '0 passed, 1 failed, 0 skipped'],
    ['fails when a test file cannot be loaded', "throw new Error('x');\n", '', 1, '0 passed, 1 failed, 0 skipped'],
    ['passes with a skip', `${passing}it('y', { skip: 'no server' }, () => {});\n`, '', 0, '1 passed, 0 failed, 1 skipped'],
    [
      'fails on a skip in CI',
      `${passing}it('y', { skip: 'no server' }, () => {});\n`,
      'true',
      1,
      '1 passed, 0 failed, 1 skipped',
    ],
  ];

  for (const [what, text, ci, expected, last] of cases) {
    it(what, (test) => {
      const project = plantedProject(test, { 'test/planted.test.ts': text });
      const { status, stdout } = project.run('node', [join(repository, 'scripts/test.ts')], { CI: ci });
      assert.equal(stdout.trimEnd().split('\n').at(-1), last);
      assert.equal(status, expected, stdout);
      if (last.endsWith('1 skipped')) assert.match(stdout, /^skipped: .*planted\.test\.ts › y: no server$/m);
    });
  }

  it('fails when there is no test at all', (test) => {
    const { status } = plantedProject(test, { 'test/note.txt': '' }).run('node', [join(repository, 'scripts/test.ts')]);
    assert.equal(status, 1);
  });
});

describe('check command', () => {
  const files = {
    'src/cid.ts': 'export function half(x: number): number {\n  if (x > 100) {\n    return 1;\n  }\n  return x / 2;\n}\n',
    'src/untested.ts': `export function untested(): number {\n${'  half();\n'.repeat(30)}  return 1;\n}\nfunction half(): void {}\n`,
    'test/cid.test.ts':
      "import assert from 'node:assert/strict';\nimport { it } from 'node:test';\nimport { half } from '../src/cid.ts';\n\nit('halves', () => assert.equal(half(2), 1));\n",
    'scripts/test.ts': `import ${JSON.stringify(join(repository, 'scripts/test.ts'))};\n`,
  };

  it('fails when a file without tests takes the coverage below its gate', (test) => {
    const { status, stdout } = plantedProject(test, files).run('node', [join(repository, 'scripts/check.ts'), 'tests']);
    assert.match(stdout, /FAILED {2}tests/);
    assert.match(stdout, /untested\.ts/);
    assert.equal(stdout.trimEnd().split('\n').at(-1), '1 passed, 1 failed, 0 skipped');
    assert.equal(status, 1);
  });

  it('refuses a part that does not exist', (test) => {
    const { status, stderr } = plantedProject(test, {}).run('node', [join(repository, 'scripts/check.ts'), 'everything']);
    assert.match(
      stderr,
      /no part is called everything; there are lint, types, architecture, unused, style, wasm, proto, bench, docs, tests/,
    );
    assert.equal(status, 2);
  });
});
