/** Each measurable rule of style bites on a planted violation, and lets the right form through. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { plantedProject, repository } from './planted-project.ts';

const opening = '/** Planted to be found by a rule. */\n';
const testOpening = `${opening}import assert from 'node:assert/strict';\nimport { it } from 'node:test';\n`;
const migration = '-- Planted.\nCREATE TABLE t (a int);\n';

/** Rule, file, text. Every file breaks exactly the rule it is listed under. */
const refused: readonly (readonly [rule: string, file: string, text: string])[] = [
  ['file-length', 'src/cid/long-file.ts', `${opening}${'export const x = 1;\n'.repeat(400)}`],
  ['function-length', 'src/cid/long-function.ts', `${opening}const f = () => {\n${'  f();\n'.repeat(70)}};\n`],
  ['opening', 'src/cid/no-opening.ts', 'export const x = 1;\n'],
  ['opening', 'src/cid/short-opening.ts', '/** CID */\nexport const x = 1;\n'],
  ['name', 'src/cid/cidSet.ts', opening],
  ['name', 'src/cid/string-utils.ts', opening],
  ['name', 'src/helpers/cid.ts', opening],
  ['name', 'src/vsync/vsync-manager.ts', opening],
  ['doc-comment', 'src/cid/bare-function.ts', `${opening}\nexport function f(): void {}\n`],
  ['doc-comment', 'src/cid/bare-arrow.ts', `${opening}\nexport const f = (): void => {};\n`],
  ['cast', 'src/cid/cast.ts', `${opening}\nconst x: unknown = 1;\n\nexport const y = x as number;\n`],
  ['cast', 'src/cid/double-cast.ts', `${opening}\n\nexport const y = 'x' as unknown as number;\n`],
  ['endless-loop', 'src/cid/while-true.ts', `${opening}\nlet n = 0;\n\nwhile (true) {\n  n += 1;\n}\n`],
  ['endless-loop', 'src/cid/for-ever.ts', `${opening}\nlet n = 0;\n\nfor (;;) {\n  n += 1;\n}\n`],
  ['injection', 'src/verify/now.ts', `${opening}export const at = Date.now();\n`],
  ['injection', 'src/verify/new-date.ts', `${opening}export const at = new Date();\n`],
  ['injection', 'src/verify/chance.ts', `${opening}export const die = Math.random();\n`],
  ['environment', 'src/verify/environment.ts', `${opening}\n\nexport const url = process.env['DATABASE_URL'];\n`],
  ['sql-columns', 'src/verify/all-columns.ts', `${opening}export const sql = 'SELECT * FROM dict_cids WHERE cid = $1';\n`],
  ['sql-columns', 'src/verify/returning.ts', `${opening}export const sql = \`DELETE FROM t WHERE a = $1 RETURNING *\`;\n`],
  ['sql-time', 'src/verify/sql-now.ts', `${opening}export const sql = 'UPDATE t SET at = now() WHERE a = $1';\n`],
  ['class-without-state', 'src/cid/empty-class.ts', `${opening}class Tool {\n  run(): void {}\n}\nnew Tool().run();\n`],
  ['silencer', 'src/cid/silencer.ts', `${opening}// @ts-expect-error: planted\nexport const x: number = 'x';\n`],
  ['unfinished', 'src/cid/unfinished.ts', `${opening}// ${'TO'}${'DO'} later\n`],
  ['emoji', 'src/cid/emoji.ts', `${opening}// done \u{1F680}\n`],
  ['no-test', 'src/cid/empty.test.ts', testOpening],
  ['no-assertion', 'src/cid/silent.test.ts', `${testOpening}it('x', () => {\n  String(1);\n});\nassert.ok(true);\n`],
  ['unawaited', 'src/cid/unawaited.test.ts', `${testOpening}it('x', () => {\n  assert.rejects(Promise.resolve());\n});\n`],
  [
    'skip',
    'src/cid/skipped.test.ts',
    `${testOpening}it.skip('x', () => {\n  assert.ok(true);\n});\nit('y', () => {\n  assert.ok(true);\n});\n`,
  ],
  ['skip', 'src/cid/skip-flag.test.ts', `${testOpening}it('x', { skip: true }, () => {\n  assert.ok(true);\n});\n`],
  ['migration-name', 'migrations/000005_gap.sql', migration],
  ['migration', 'migrations/000001_uncommented.sql', 'CREATE TABLE t (a int);\n'],
  ['migration', 'migrations/000002_defaults.sql', '-- Planted.\nCREATE TABLE t (at timestamptz NOT NULL DEFAULT now());\n'],
  ['migration', 'migrations/000003_trigger.sql', '-- Planted.\nCREATE TRIGGER x AFTER INSERT ON t EXECUTE FUNCTION f();\n'],
];

const allowed: readonly (readonly [what: string, file: string, text: string])[] = [
  [
    'a cast with its reason above',
    'src/cid/reasoned.ts',
    `${opening}const x: unknown = 1;\n// The literal above is a number.\nexport const y = x as number;\n`,
  ],
  [
    'a cast with its reason beside',
    'src/cid/beside.ts',
    `${opening}\nconst x: unknown = 1;\n\nexport const y = x as number; // It is.\n`,
  ],
  ['as const', 'src/cid/const.ts', `${opening}\n\nexport const x = ['a'] as const;\n`],
  ['a documented function', 'src/cid/documented.ts', `${opening}\n/** Does nothing. */\nexport function f(): void {}\n`],
  [
    'an endless loop with its bound',
    'src/cid/bounded.ts',
    `${opening}let n = 0;\n// Ends at 10.\nwhile (true) {\n  if (n++ > 10) break;\n}\n`,
  ],
  ['the environment in the configuration', 'src/config.ts', `${opening}\n\nexport const url = process.env['DATABASE_URL'];\n`],
  ['the time in a command', 'src/cli/now.ts', `${opening}export const at = Date.now();\n`],
  ['an error class', 'src/cid/error.ts', `${opening}class Broken extends Error {}\nthrow new Broken();\n`],
  [
    'an asserting test',
    'src/cid/good.test.ts',
    `${testOpening}it('x', async () => {\n  await assert.rejects(Promise.reject(new Error('x')));\n});\n`,
  ],
  [
    'a test that may say why it is skipped',
    'src/cid/why.test.ts',
    `${testOpening}it('x', { skip: 'no server' }, () => {\n  assert.ok(true);\n});\n`,
  ],
];

describe('style rules', () => {
  let found: readonly string[] = [];

  before(() => {
    const files = Object.fromEntries([...refused, ...allowed].map(([, file, text]) => [file, text]));
    const { status, stdout } = plantedProject({ after }, files).run('node', [join(repository, 'scripts/check-style.ts')]);
    assert.equal(status, 1, stdout);
    found = stdout.split('\n');
  });

  for (const [rule, file] of refused) {
    it(`${rule} refuses ${file}`, () => {
      const faults = found.filter((line) => line.startsWith(`${file}:`)).map((line) => line.split(' ')[1]);
      assert.deepEqual([...new Set(faults)], [`${rule}:`], found.join('\n'));
    });
  }

  for (const [what, file] of allowed) {
    it(`allows ${what}`, () => {
      assert.deepEqual(
        found.filter((line) => line.startsWith(`${file}:`)),
        [],
      );
    });
  }
});
