/** By which index the rows of a bucket are found where the planner knows nothing of the base. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { testDatabase } from '../../../test/support/database.ts';
import { fileOf, importOf } from '../../../test/support/imported-file.ts';
import { planRecorder } from '../../../test/support/plan-recorder.ts';
import { asCid, cidToHex, computeCid } from '../../cid/cid.ts';
import { KEY_TYPES } from '../../dict/key-type.ts';
import { participant } from '../../dict/participant.ts';
import { sampleEntries } from '../../dict/sample-entries.ts';
import { flatEntry } from '../../event/flat-entry.ts';
import { bucketOf } from '../../vsync/buckets.ts';
import { entriesInBuckets } from './row-source.ts';

const ispb = participant('00038166');
const keyType = 'EVP';
const keysOfEach = 600;

it('the rows of buckets are found by their bucket, those of one key type alone, also on a base without statistics', async (t) => {
  const database = await testDatabase(t);
  await database.query('ALTER TABLE dict_entries SET (autovacuum_enabled = off)');
  const entries = KEY_TYPES.flatMap((type) => [
    ...sampleEntries({ seed: 'buckets', participant: ispb, keyType: type, count: keysOfEach }),
  ]);
  const lines = entries.map(({ entry, requestId }) => JSON.stringify(flatEntry(entry, requestId)));
  await importOf(database, fileOf(t, lines), { replaceBytesMin: Number.POSITIVE_INFINITY, mergePages: 400 });
  // Those of the first keys of the type, and as many of another.
  const wanted = ['EVP', 'CPF'].flatMap((type) => entries.filter(({ entry }) => entry.keyType === type).slice(0, 20));
  const cids = wanted.map(({ entry, requestId }) => asCid(computeCid(entry, requestId)));
  const buckets = [...new Set(cids.map(bucketOf))].sort((a, b) => a - b);
  const recorder = planRecorder(database, /dict_entries/);
  const { rows } = await recorder.database.query<{ cid: Buffer }>(`SELECT cid ${entriesInBuckets(ispb, keyType, buckets)}`);
  const inBuckets = entries
    .filter(({ entry }) => entry.keyType === keyType)
    .map(({ entry, requestId }) => asCid(computeCid(entry, requestId)))
    .filter((cid) => buckets.includes(bucketOf(cid)));
  assert.deepEqual(rows.map(({ cid }) => cidToHex(asCid(cid))).sort(), inBuckets.map(cidToHex).sort());
  const looked = recorder.statements().flatMap(({ reads }) => reads.filter(({ table }) => table === 'dict_entries'));
  const total = looked.reduce((sum, read) => sum + read.rows, 0);
  assert.ok(looked.length > 0 && total <= 5 * buckets.length, `${total} rows are looked at for ${buckets.length} buckets`);
});
