/**
 * The process of an import, killed (SIGKILL) at every kind of point and started again, until it is through: the base, its history, the
 * refused rows and the counts have to be those of an import that nobody disturbed.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { KEY_TYPES } from '../src/dict/key-type.ts';
import { participant } from '../src/dict/participant.ts';
import { sampleEntries } from '../src/dict/sample-entries.ts';
import { flatEntry } from '../src/event/flat-entry.ts';
import { ingestBatch } from '../src/ingest/ingest-batch.ts';
import { systemClock } from '../src/platform/clock.ts';
import type { Database } from '../src/platform/postgres/database.ts';
import { testDatabase } from './support/database.ts';
import { fileOf, importOf } from './support/imported-file.ts';
import { received, withAccount } from './support/key-events.ts';
import { assertSound, baseState } from './support/stored-state.ts';

const victim = fileURLToPath(new URL('./support/import-victim.ts', import.meta.url));

/** Entries of two participants, some of them twice, some without RequestId, and lines that are none. */
const samples = ['00038166', '60701190'].flatMap((ispb) =>
  KEY_TYPES.flatMap((keyType) => [...sampleEntries({ seed: 'kill', participant: participant(ispb), keyType, count: 25 })]),
);
const lines = samples.flatMap(({ entry, requestId }, n) => [
  JSON.stringify(flatEntry(entry, n % 17 === 0 ? null : requestId)),
  ...(n % 11 === 0 ? [JSON.stringify(flatEntry(withAccount(entry, '2'), requestId))] : []),
  ...(n % 13 === 0 ? [`{"broken": ${n}`] : []),
]);

interface Ended {
  readonly signal: NodeJS.Signals | null;
  readonly text: string;
}

function run(url: string, file: string, where: string, count: number): Promise<Ended> {
  const child = spawn(process.execPath, [victim, url, file, where, String(count)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (_, signal) => resolve({ signal, text }));
  });
}

/** Without seqs: what a killed process had written still takes room, so that the rows are cut into other commits. */
async function history(database: Database): Promise<unknown> {
  const { rows } = await database.query<{ cid: string }>(
    `SELECT participant, key_type, encode(cid, 'hex') AS cid, key, removed_seq IS NULL AS counts FROM dict_cids ORDER BY 1, 2, 3, 5`,
  );
  return rows;
}

type Kill = readonly [where: string, count: number];

/** Each time a little further into the import, so that all of its points are met. */
const whileLoading: readonly Kill[] = [
  ['loading', 1],
  ['settle', 1],
  ['loading', 9],
  ['settle', 2],
  ['loading', 20],
];
const whileBuilding: readonly Kill[] = [
  ['building', 1],
  ['building', 3],
  ['building', 5],
  ['building', 7],
];
const atTheEnd: readonly Kill[] = [
  ['merging', 1],
  ['end', 1],
];

for (const [what, kills, prepare] of [
  ['into an empty base', [...whileLoading, ...whileBuilding, ...atTheEnd], async () => {}],
  [
    'into a base that has something',
    [...whileLoading, ...atTheEnd],
    async (database: Database) => {
      const events = samples.slice(0, 40).map(({ entry, requestId }, n) => ({
        ...{ action: 'key.created', event_id: `k${n}`, payload: flatEntry(withAccount(entry, '5'), requestId) },
        occurred_at: n % 2 === 0 ? '2026-03-01T11:00:00Z' : '2026-03-01T13:00:00Z',
      }));
      await ingestBatch({ database, clock: systemClock }, received(...events));
    },
  ],
] as const) {
  describe(`an import ${what}, killed again and again`, () => {
    it('ends as one that nobody disturbed, and loads nothing twice', async (t) => {
      const [undisturbed, disturbed] = [await testDatabase(t), await testDatabase(t)];
      for (const database of [undisturbed, disturbed]) await prepare(database);
      const [wholeFile, file] = [fileOf(t, lines), fileOf(t, lines)];
      const expected = await importOf(undisturbed, wholeFile);
      let killed = 0;
      let ended: Ended | null = null;
      for (const [where, count] of [...kills, ['never', 0] as const]) {
        ended = await run(disturbed.url, file, where, count);
        if (ended.signal === null) break;
        killed += 1;
      }
      t.diagnostic(`killed ${killed} times`);
      assert.equal(killed, kills.length, ended?.text);
      assert.deepEqual(JSON.parse(ended?.text ?? ''), expected);
      assert.deepEqual(await baseState(disturbed), await baseState(undisturbed));
      assert.deepEqual(await history(disturbed), await history(undisturbed));
      assert.equal(readFileSync(`${file}.refused.ndjson`, 'utf8'), readFileSync(`${wholeFile}.refused.ndjson`, 'utf8'));
      await assertSound(disturbed);
      const { rows } = await disturbed.query<{ left: number }>('SELECT count(*) AS left FROM import_runs');
      assert.deepEqual(rows, [{ left: 0 }]);
    });
  });
}
