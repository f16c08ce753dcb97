/** What folding an import into a base costs where the planner knows nothing of it: each row a look-up, not a pass over its key type. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { fileOf, importedAsOf, importOf } from '../../test/support/imported-file.ts';
import { type ExplainedStatement, planRecorder } from '../../test/support/plan-recorder.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { flatEntry } from '../event/flat-entry.ts';

const keysOfEach = 600;
const dayMs = 86_400_000;

/** Rows that all nodes of a plan gave on or threw away, in all their loops: what a pass for each row shows in, whichever node makes it. */
function rowsHandled(node: ExplainedStatement['plan']): number {
  const perLoop = (node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0);
  const below = (node.Plans ?? []).reduce((sum, child) => sum + rowsHandled(child), 0);
  return Math.round(perLoop * (node['Actual Loops'] ?? 1)) + below;
}

it('an import into a base without statistics looks each row up, the first time and when it is given again as of a later day', async (t) => {
  const database = await testDatabase(t);
  // Else it may come to know something in between.
  await database.query('ALTER TABLE dict_entries SET (autovacuum_enabled = off)');
  const entries = KEY_TYPES.flatMap((keyType) => [
    ...sampleEntries({ seed: 'merging', participant: participant('00038166'), keyType, count: keysOfEach }),
  ]);
  const recorder = planRecorder(database, /\bdict_entries\b/);
  const lines = entries.map(({ entry, requestId }) => JSON.stringify(flatEntry(entry, requestId)));
  const file = fileOf(t, lines);
  // Folded in, in few transactions: ranges of one page would be small whatever the plan.
  const limits = { replaceBytesMin: Number.POSITIVE_INFINITY, mergePages: 400, commitBytes: 8_388_608 };
  for (const days of [0, 1]) {
    await importOf(recorder.database, file, { ...limits, asOf: new Date(importedAsOf.getTime() + days * dayMs) });
  }
  const merging = recorder.statements().filter(({ origin }) => origin.startsWith('src/ingest/import-merging.ts'));
  assert.ok(merging.length >= 6, `${merging.length} statements were looked at`);
  for (const { text, plan } of merging) {
    const handled = rowsHandled(plan);
    assert.ok(handled <= 20 * entries.length, `${handled} rows are handled for ${entries.length}: ${text.slice(0, 300)}`);
  }
  const { rows } = await database.query<{ keys: number; days: number }>(
    'SELECT count(*) AS keys, count(DISTINCT occurred_at) AS days FROM dict_entries',
  );
  assert.deepEqual(rows, [{ keys: entries.length, days: 1 }]);
});
