/**
 * Who may import whom (ARCHITECTURE.md), checked in `npm run check`. The data path goes one way; faces and the composition root
 * see everything and nothing imports them; DICT is written to by nobody but the demo's and the tests' traffic.
 */

const stages = ['event', 'cid', 'vsync', 'ingest', 'verify', 'reconcile', 'report', 'flow'];
const leaves = ['dict', 'ledger', 'platform'];

/** A path below one of these folders of src/. */
const under = (names) => `^src/(${names.join('|')})/`;
const isTest = '[.]test[.]ts$';

const stageRules = stages.map((stage, index) => ({
  name: `stage-${stage}`,
  comment: `${stage} imports only itself, the stages before it, and dict/, ledger/, platform/`,
  severity: 'error',
  from: { path: under([stage]) },
  to: { path: '^src/', pathNot: under([...stages.slice(0, index + 1), ...leaves]) },
}));

/** Folders that may import only these folders (or files) of src/. */
const only = (name, allowed, pathNot = under(allowed)) => ({
  name: `only-${name}`,
  comment: `${name} imports nothing of src/ but ${allowed.join(', ')}`,
  severity: 'error',
  from: { path: under([name]) },
  to: { path: '^src/', pathNot },
});

export default {
  forbidden: [
    ...stageRules,
    only('dict', ['dict', 'platform/assert'], '^src/(dict/|platform/assert[.]ts$)'),
    only('platform', ['platform']),
    only('ledger', ['ledger', 'dict', 'platform']),
    only('bridge', ['bridge', 'dict', 'platform']),
    {
      ...only('metrics', ['metrics', 'bridge']),
      // Its tests watch a client of the simulator.
      from: { path: '^src/metrics/', pathNot: isTest },
    },
    only('simulator', ['simulator', 'dict', 'platform']),
    only('cid-set', ['cid-set', 'cid', 'vsync', 'platform']),
    {
      name: 'flow-at-run-time',
      comment:
        'a flow runs unchanged in a Temporal bundle: at run time it imports only flow files, types from anywhere its stage allows',
      severity: 'error',
      from: { path: '^src/flow/', pathNot: isTest },
      to: { pathNot: '^src/flow/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'nothing-imports-the-faces',
      comment: 'the composition root, the runner and the commands see everything; nothing of the data path sees them',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: '^src/((cli|console|demo|runner)/|(main|wire|wire-dict|config|workflows)([.]test)?[.]ts$)',
      },
      to: { path: '^src/((cli|console|demo|runner)/|(main|wire|wire-dict|config|workflows)[.]ts$)' },
    },
    {
      name: 'runner-below-the-faces',
      comment: 'the runner is wired by wire.ts and imports no command, no demo, no configuration',
      severity: 'error',
      from: { path: '^src/runner/' },
      to: { path: '^src/((cli|console|demo)/|(main|wire|wire-dict|config|workflows)[.]ts$)' },
    },
    {
      name: 'nothing-is-written-to-dict',
      comment: 'rule R19: the client that can write is for the demo and the tests',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/demo/', '^src/bridge/dict-traffic', isTest] },
      to: { path: '^src/bridge/dict-traffic' },
    },
    {
      name: 'no-circular',
      comment: 'modules that need each other are one module, or need a third',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolvable',
      comment: 'every import leads to a file or a declared package',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-tests-in-the-program',
      comment: 'the program does not depend on tests, scripts or tools',
      severity: 'error',
      from: { path: '^src/', pathNot: isTest },
      to: { path: [isTest, '^(test|scripts|bench)/'] },
    },
    {
      name: 'no-development-packages',
      comment: 'what the program imports at run time must be there when the package is installed',
      severity: 'error',
      from: { path: '^src/', pathNot: isTest },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['node', 'import', 'types', 'default'] },
    skipAnalysisNotInRules: true,
  },
};
