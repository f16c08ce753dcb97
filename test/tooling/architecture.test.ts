/** Each import rule bites on a planted violation, and lets through what ARCHITECTURE.md allows. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { plantedProject } from './planted-project.ts';

/** What is imported: one module in each folder, and the files of src/ that have rules of their own. */
const targets = [
  ...[
    'event',
    'cid',
    'vsync',
    'ingest',
    'verify',
    'reconcile',
    'report',
    'flow',
    'dict',
    'ledger',
    'platform',
    'bridge',
    'metrics',
    'runner',
  ].map((folder) => `src/${folder}/target.ts`),
  'src/bridge/dict-traffic-client.ts',
  'src/config.ts',
  'src/wire.ts',
  'test/support/target.ts',
];

const value = (from: string): string => `import { thing } from '${from}';\nexport const other = thing;\n`;
const type = (from: string): string => `import type { Thing } from '${from}';\nexport type Other = Thing;\n`;

/** Rule, importing file, what it says. */
const refused: readonly (readonly [rule: string, file: string, text: string])[] = [
  ['stage-event', 'src/event/a.ts', value('../cid/target.ts')],
  ['stage-event', 'src/event/b.ts', type('../cid/target.ts')],
  ['stage-cid', 'src/cid/a.ts', value('../vsync/target.ts')],
  ['stage-vsync', 'src/vsync/a.ts', value('../ingest/target.ts')],
  ['stage-ingest', 'src/ingest/a.ts', value('../verify/target.ts')],
  ['stage-verify', 'src/verify/a.ts', value('../reconcile/target.ts')],
  ['stage-verify', 'src/verify/b.ts', value('../bridge/target.ts')],
  ['stage-reconcile', 'src/reconcile/a.ts', value('../report/target.ts')],
  ['stage-report', 'src/report/a.ts', value('../flow/target.ts')],
  ['stage-flow', 'src/flow/a.ts', type('../bridge/target.ts')],
  ['only-dict', 'src/dict/a.ts', value('../platform/target.ts')],
  ['only-platform', 'src/platform/a.ts', value('../dict/target.ts')],
  ['only-ledger', 'src/ledger/a.ts', value('../cid/target.ts')],
  ['only-bridge', 'src/bridge/a.ts', value('../cid/target.ts')],
  ['only-metrics', 'src/metrics/a.ts', value('../platform/target.ts')],
  ['only-simulator', 'src/simulator/a.ts', value('../cid/target.ts')],
  ['only-cid-set', 'src/cid-set/a.ts', value('../ingest/target.ts')],
  ['flow-at-run-time', 'src/flow/b.ts', value('../verify/target.ts')],
  ['flow-at-run-time', 'src/flow/c.ts', "import { readFile } from 'node:fs';\nexport const read = readFile;\n"],
  ['nothing-imports-the-faces', 'src/ingest/b.ts', value('../config.ts')],
  ['nothing-imports-the-faces', 'src/index.ts', value('./runner/target.ts')],
  ['runner-below-the-faces', 'src/runner/a.ts', value('../wire.ts')],
  ['nothing-is-written-to-dict', 'src/runner/b.ts', value('../bridge/dict-traffic-client.ts')],
  ['no-circular', 'src/cid/b.ts', "import './c.ts';\nexport const thing = 1;\n"],
  ['no-unresolvable', 'src/cid/d.ts', value('./absent.ts')],
  ['no-tests-in-the-program', 'src/cid/e.ts', value('../../test/support/target.ts')],
  ['no-development-packages', 'src/cid/f.ts', "import * as ajv from 'ajv';\nexport const other = ajv;\n"],
];

const allowed: readonly (readonly [what: string, file: string, text: string])[] = [
  ['an earlier stage', 'src/ingest/c.ts', value('../cid/target.ts')],
  ['a leaf', 'src/event/c.ts', value('../ledger/target.ts')],
  ['another flow in a flow', 'src/flow/d.ts', value('./target.ts')],
  ['types of an earlier stage in a flow', 'src/flow/e.ts', type('../verify/target.ts')],
  ['buckets in comparing files of CIDs', 'src/cid-set/b.ts', value('../vsync/target.ts')],
  ['the bridge in metrics', 'src/metrics/b.ts', value('../bridge/target.ts')],
  ['everything in a command', 'src/cli/a.ts', value('../wire.ts')],
  ['writing to DICT in the demo', 'src/demo/a.ts', value('../bridge/dict-traffic-client.ts')],
];

describe('architecture rules', () => {
  let found: readonly string[] = [];

  before(() => {
    // One tree and one run for all rules: starting the tool takes longer than its work.
    const files = {
      ...Object.fromEntries(
        targets.map((path) => [
          path,
          'export interface Thing {\n  readonly name: string;\n}\nexport const thing: Thing = { name: "x" };\n',
        ]),
      ),
      'src/cid/c.ts': value('./b.ts'),
      ...Object.fromEntries([...refused, ...allowed].map(([, file, text]) => [file, text])),
    };
    const project = plantedProject({ after }, files, ['.dependency-cruiser.mjs', 'package.json']);
    const { status, stdout } = project.run('depcruise', ['src', '--config', '.dependency-cruiser.mjs']);
    assert.notEqual(status, 0, stdout);
    found = stdout.split('\n').map((line) => line.trim());
  });

  for (const [rule, file, text] of refused) {
    it(`${rule} refuses in ${file}: ${text.split('\n')[0]}`, () => {
      assert.ok(
        found.some((line) => line.startsWith(`error ${rule}: ${file} `)),
        found.join('\n'),
      );
    });
  }

  for (const [what, file] of allowed) {
    it(`allows ${what}`, () => {
      assert.deepEqual(
        found.filter((line) => line.includes(`: ${file} `)),
        [],
      );
    });
  }
});
