/** A file against the base: whatever the two sets are, exactly what differs comes out, in slices of any size. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { cidFromHex } from '../cid/cid.ts';
import { participant } from '../dict/participant.ts';
import type { Database } from '../platform/postgres/database.ts';
import { createSealedFile, type SealedFileRefused } from '../platform/sealed-file.ts';
import { commitTransitions, lockVSyncs, type Scope } from '../vsync/vsync-store.ts';
import { FileRefused } from './cid-set-file.ts';
import { type Comparison, compareFile, type ExpectedFile } from './file-comparison.ts';

const scope: Scope = { participant: participant('00038166'), keyType: 'EVP' };
const now = new Date('2026-03-01T12:00:00.000Z');
const noProgress = (): Promise<void> => Promise.resolve();
const wide = { differencesMax: 100_000, sliceBuckets: 4_096, sliceCids: 250_000, onProgress: noProgress };

/** CIDs of which several share a bucket: the first byte is one of two, the second one of eight. */
function randomCids(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const bytes = randomBytes(32);
    bytes[0] = index % 2 === 0 ? 0x00 : 0xff;
    bytes[1] = (bytes[1] ?? 0) % 8;
    return bytes.toString('hex');
  });
}

async function commit(database: Database, cids: readonly string[], change: 'added' | 'removed'): Promise<void> {
  await database.transaction(async (tx) => {
    const [locked] = await lockVSyncs(tx, [scope], now);
    assert.ok(locked);
    const transitions = cids.map((cid) => ({ change, cid: cidFromHex(cid), key: `key of ${cid}` }));
    await commitTransitions(tx, locked, transitions, { source: 'event', algorithm: 'dict', now });
  });
}

async function fileOf(t: TestContext, cids: readonly string[]): Promise<ExpectedFile> {
  const directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-file-'));
  t.after(() => rm(directory, { recursive: true }));
  const text = cids.map((cid) => `${cid}\n`).join('');
  const file = path.join(directory, 'set.cids');
  const sha256 = createHash('sha256').update(text).digest();
  const key = randomBytes(32);
  const writer = await createSealedFile(file, { key, context: sha256 });
  await writer.append(Buffer.from(text));
  await writer.finish();
  await writer.close();
  return { path: file, sha256, key };
}

async function compared(t: TestContext, database: Database, cids: readonly string[], limits = wide): Promise<Comparison> {
  const found = await compareFile(database, scope, await fileOf(t, cids), limits);
  assert.ok(found);
  return found;
}

describe('comparing a CID set file', () => {
  it('finds exactly what each side alone has, by slices as well as at once', async (t) => {
    const database = await testDatabase(t);
    const both = randomCids(400);
    const local = randomCids(23);
    const gone = randomCids(17);
    const dict = randomCids(31);
    await commit(database, [...both, ...local, ...gone], 'added');
    await commit(database, gone, 'removed');
    for (const limits of [wide, { ...wide, sliceBuckets: 3 }, { ...wide, sliceCids: 40 }]) {
      const found = await compared(t, database, [...dict, ...both].toSorted(), limits);
      assert.deepEqual([...found.dict].toSorted(), dict.toSorted());
      assert.deepEqual([...found.local].toSorted(), local.toSorted());
      assert.equal(found.slices > 1, limits !== wide);
    }
  });

  it('reads the file once where every bucket that differs differs by one CID', async (t) => {
    const database = await testDatabase(t);
    // Each in a bucket of its own, beside others that both have.
    const inBucket = (bucket: number): string => `${bucket.toString(16).padStart(4, '0')}${randomBytes(30).toString('hex')}`;
    const both = Array.from({ length: 300 }, (_, index) => inBucket(index % 60));
    const local = [3, 17, 59].map(inBucket);
    const dict = [0, 18, 40, 65_535].map(inBucket);
    await commit(database, [...both, ...local], 'added');
    const found = await compared(t, database, [...both, ...dict]);
    assert.deepEqual([[...found.dict].toSorted(), [...found.local].toSorted()], [dict.toSorted(), local.toSorted()]);
    assert.deepEqual([found.buckets, found.slices], [7, 0]);
  });

  it('is not misled where three CIDs of a bucket differ, whose XOR could pass for one', async (t) => {
    const database = await testDatabase(t);
    const [here, there, thereToo] = Array.from({ length: 3 }, () => `0102${randomBytes(30).toString('hex')}`);
    assert.ok(here && there && thereToo);
    await commit(database, [here], 'added');
    const found = await compared(t, database, [there, thereToo]);
    assert.deepEqual([[...found.dict].toSorted(), [...found.local]], [[there, thereToo].toSorted(), [here]]);
    assert.equal(found.slices, 1);
  });

  it('reads nothing more where the sets are equal', async (t) => {
    const database = await testDatabase(t);
    const both = randomCids(50);
    await commit(database, both, 'added');
    const found = await compared(t, database, both.toReversed());
    assert.deepEqual([found.buckets, found.slices, found.dict.size, found.local.size], [0, 0, 0, 0]);
  });

  it('names the lines of a CID that stands there twice, also where copies cancel each other in XOR', async (t) => {
    const database = await testDatabase(t);
    const both = randomCids(10);
    await commit(database, both, 'added');
    const [twice] = both;
    assert.ok(twice);
    await assert.rejects(compared(t, database, [...both, twice]), (failure) => {
      assert.ok(failure instanceof FileRefused);
      assert.match(failure.message, /duplicated: lines 1 and 11 hold the same CID/);
      assert.doesNotMatch(failure.message, new RegExp(twice));
      return true;
    });
    await assert.rejects(compared(t, database, [...both, twice, twice]), /duplicated: lines 1 and 11/);
  });

  it('stops at more differences than can be settled one by one', async (t) => {
    const database = await testDatabase(t);
    await commit(database, randomCids(5), 'added');
    await assert.rejects(
      compared(t, database, randomCids(20), { ...wide, differencesMax: 24 }),
      /implausible: more than 24 CIDs differ/,
    );
  });

  it('does not take a file that is not there, or not the one of that digest, for the file', async (t) => {
    const database = await testDatabase(t);
    const file = await fileOf(t, randomCids(3));
    assert.equal(await compareFile(database, scope, { ...file, path: `${file.path}x` }, wide), null);
    assert.equal(await compareFile(database, scope, { ...file, sha256: randomBytes(32) }, wide), null);
    assert.equal(await compareFile(database, scope, { ...file, key: randomBytes(32) }, wide), null);
    const told: string[] = [];
    const telling = { ...wide, onRefused: ({ fault }: SealedFileRefused) => void told.push(fault) };
    const whole = await readFile(file.path);
    await writeFile(file.path, whole.subarray(0, -1));
    assert.equal(await compareFile(database, scope, file, telling), null);
    whole[60] = (whole[60] ?? 0) ^ 1;
    await writeFile(file.path, whole);
    assert.equal(await compareFile(database, scope, file, telling), null);
    await writeFile(file.path, 'not a CID\n');
    assert.equal(await compareFile(database, scope, file, wide), null);
    assert.deepEqual(told, ['truncated', 'altered']);
  });
});
