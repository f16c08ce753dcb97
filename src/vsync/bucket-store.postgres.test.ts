/** Buckets, journal and CIDs by range against a model of sets, on a real database. */

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { testDatabase } from '../../test/support/database.ts';
import { asCid, type Cid, cidFromHex, cidToHex } from '../cid/cid.ts';
import { participant } from '../dict/participant.ts';
import { InvariantBroken } from '../platform/assert.ts';
import type { Database } from '../platform/postgres/database.ts';
import { activeCidsInBuckets } from './active-cids.ts';
import { foldBuckets, readBuckets, rebuildBuckets, storedSums } from './bucket-store.ts';
import { bucketOf, countOfBuckets, differingBuckets, vsyncOfBuckets } from './buckets.ts';
import { membershipAsOf } from './cid-history.ts';
import { equalVSync, vsyncOf } from './vsync.ts';
import { changesBetween, pruneChanges, seqAtTime } from './vsync-journal.ts';
import { type CidTransition, commitBulk, commitTransitions, lockVSyncs, readVSync, type Scope } from './vsync-store.ts';

const scope: Scope = { participant: participant('00038166'), keyType: 'PHONE' };
const start = new Date('2026-03-01T12:00:00.000Z').getTime();
const minute = 60_000;

function cidOf(name: string): Cid {
  return asCid(Buffer.from(hash('sha256', name, 'hex'), 'hex'));
}

function change(kind: CidTransition['change'], name: string): CidTransition {
  return { change: kind, cid: cidOf(name), key: name };
}

function commit(database: Database, transitions: CidTransition[], minutes = 0) {
  const now = new Date(start + minutes * minute);
  return database.transaction(async (tx) => {
    const [locked] = await lockVSyncs(tx, [scope], now);
    assert(locked !== undefined);
    return commitTransitions(tx, locked, transitions, { source: 'event', algorithm: 'dict', now });
  });
}

/** A bulk load as import does it: rows first, then the commit that counts them. */
function load(database: Database, names: string[]) {
  return database.transaction(async (tx) => {
    const [locked] = await lockVSyncs(tx, [scope], new Date(start));
    assert(locked !== undefined);
    for (const name of names) {
      await tx.query(
        `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, removed_seq, added_at, removed_at, source, algorithm)
         VALUES ($1, $2, $3, $4, $5, NULL, $6, NULL, 'import', 'dict')`,
        [scope.participant, scope.keyType, cidOf(name), name, locked.nextSeq, new Date(start)],
      );
    }
    const present = { vsync: vsyncOf(names.map(cidOf)), keys: names.length };
    await commitBulk(tx, locked, present, { source: 'import', now: new Date(start) });
  });
}

async function activeAsOf(database: Database, seq: number, buckets: readonly number[] | 'all' = 'all'): Promise<string[]> {
  const found: string[] = [];
  for await (const page of activeCidsInBuckets(database, scope, { seq, buckets })) found.push(...page.map(cidToHex));
  return found;
}

describe('stored buckets', () => {
  it('are empty before anything was committed', async (t) => {
    const database = await testDatabase(t);
    const { seq, buckets } = await readBuckets(database, scope);
    assert.deepEqual([seq, countOfBuckets(buckets)], [0, 0]);
  });

  it('agree with VSync, history and journal after any commits, folds and prunings, as of every seq', {
    timeout: 120_000,
  }, async (t) => {
    const step = fc.record({
      toggled: fc.uniqueArray(fc.integer({ min: 0, max: 11 }), { maxLength: 6 }),
      again: fc.uniqueArray(fc.integer({ min: 0, max: 11 }), { maxLength: 3 }),
      old: fc.integer({ min: 12, max: 15 }),
      housekeeping: fc.constantFrom('nothing', 'fold', 'rebuild', 'prune'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const database = await testDatabase(t);
        const active = new Set<string>();
        const activeAt: string[][] = [[]];
        for (const { toggled, again, old, housekeeping } of steps) {
          const transitions = [...toggled, ...again].map(String).map((name): CidTransition => {
            const kind = active.has(name) ? 'removed' : 'added';
            if (kind === 'added') active.add(name);
            else active.delete(name);
            return change(kind, name);
          });
          await commit(database, [...transitions, change('history', String(old))]);
          activeAt.push([...active].map((name) => cidToHex(cidOf(name))).toSorted());
          if (housekeeping === 'fold') await foldBuckets(database, scope);
          if (housekeeping === 'rebuild') await rebuildBuckets(database, scope);
          if (housekeeping === 'prune')
            await database.transaction((tx) => pruneChanges(tx, scope, { anchorSeq: 1e9, rowsMax: 100 }));
          const state = await readBuckets(database, scope);
          const expected = vsyncOf([...active].map(cidOf));
          assert(equalVSync(state.vsync, expected) && equalVSync(vsyncOfBuckets(state.buckets), expected));
          assert.equal(countOfBuckets(state.buckets), active.size);
        }
        const everything = Array.from({ length: 16 }, (_, index) => cidOf(String(index)));
        for (const [seq, expected] of activeAt.entries()) {
          assert.deepEqual(await activeAsOf(database, seq), expected);
          assert.deepEqual([...(await membershipAsOf(database, scope, everything, seq))].toSorted(), expected);
        }
      }),
      { numRuns: 15 },
    );
  });

  it('are recomputed from the CIDs where a bulk load is not in the journal', async (t) => {
    const database = await testDatabase(t);
    await load(database, ['a', 'b', 'c']);
    await commit(database, [change('removed', 'a'), change('added', 'd')]);
    const state = await readBuckets(database, scope);
    assert.deepEqual([state.seq, state.keys, countOfBuckets(state.buckets)], [2, 3, 3]);
    await rebuildBuckets(database, scope);
    await commit(database, [change('added', 'e')]);
    assert.equal(countOfBuckets((await readBuckets(database, scope)).buckets), 4);
  });

  for (const bulkFirst of [false, true]) {
    it(`are as of one seq while commits go on, ${bulkFirst ? 'recomputed' : 'from the journal'}`, async (t) => {
      const database = await testDatabase(t);
      if (bulkFirst) await load(database, ['loaded']);
      let isOver = false;
      const commits = (async () => {
        for (let index = 0; index < 40; index++) {
          const gone = index === 0 ? [] : [change('removed', `n${index - 1}`)];
          await commit(database, [...gone, change('added', `n${index}`), change('added', `m${index}`)]);
        }
        isOver = true;
      })();
      const seqs: number[] = [];
      while (!isOver) {
        // Asserts by itself that buckets and VSync agree.
        const { seq, buckets } = await readBuckets(database, scope);
        assert.deepEqual(await activeAsOf(database, seq).then((cids) => cids.length), countOfBuckets(buckets));
        seqs.push(seq);
      }
      await commits;
      assert.deepEqual(
        seqs,
        seqs.toSorted((a, b) => a - b),
      );
      assert.equal((await readBuckets(database, scope)).keys, bulkFirst ? 42 : 41);
    });
  }

  it('refuse to be read when they are not the VSync, and are shown unchecked to a scan', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [change('added', 'a'), change('added', 'b')]);
    await database.query('UPDATE dict_vsyncs SET vsync = $1', [cidOf('tampered')]);
    await assert.rejects(readBuckets(database, scope), InvariantBroken);
    const { buckets } = await storedSums(database, scope);
    assert(buckets !== null && equalVSync(vsyncOfBuckets(buckets), vsyncOf([cidOf('a'), cidOf('b')])));
    await database.query('UPDATE dict_vsyncs SET vsync = $1, keys = 3', [vsyncOf([cidOf('a'), cidOf('b')])]);
    await assert.rejects(readBuckets(database, scope), InvariantBroken);
  });

  it('are not overwritten by an older fold', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [change('added', 'a')]);
    await foldBuckets(database, scope);
    await database.query('UPDATE dict_vsync_buckets SET seq = 9');
    await rebuildBuckets(database, scope);
    assert.deepEqual((await database.query('SELECT seq FROM dict_vsync_buckets')).rows, [{ seq: 9 }]);
  });
});

describe('active CIDs', () => {
  it('are found by bucket, neighbours and the last bucket included', async (t) => {
    const database = await testDatabase(t);
    const prefixes = ['0000', '0001', '00ff', '0100', '7fff', '8000', 'fffe', 'ffff'];
    const cids = prefixes.flatMap((prefix) =>
      ['0'.repeat(60), '8'.repeat(60), 'f'.repeat(60)].map((rest) => cidFromHex(prefix + rest)),
    );
    await commit(
      database,
      cids.map((cid) => ({ change: 'added', cid, key: cidToHex(cid) })),
    );
    for (const wanted of [[0], [0, 1], [1, 0xff, 0x100], [0x7fff, 0x8000], [0xfffe, 0xffff], [0xffff], [2, 3]]) {
      const expected = cids.filter((cid) => wanted.includes(bucketOf(cid))).map(cidToHex);
      assert.deepEqual(await activeAsOf(database, 1, wanted), expected);
    }
    assert.deepEqual(await activeAsOf(database, 1), cids.map(cidToHex));
    assert.deepEqual(await activeAsOf(database, 1, []), []);
  });

  it('come complete over many pages and many ranges', async (t) => {
    const database = await testDatabase(t);
    const names = Array.from({ length: 70_000 }, (_, index) => `many ${index}`);
    await commit(
      database,
      names.map((name) => change('added', name)),
    );
    const all = names.map((name) => cidToHex(cidOf(name))).toSorted();
    assert.deepEqual(await activeAsOf(database, 1), all);
    const everySecond = Array.from({ length: 32_768 }, (_, index) => index * 2);
    assert.deepEqual(
      await activeAsOf(database, 1, everySecond),
      all.filter((hex) => Number.parseInt(hex.slice(0, 4), 16) % 2 === 0),
    );
    const { buckets } = await rebuildBuckets(database, scope);
    assert.deepEqual(differingBuckets(buckets, (await readBuckets(database, scope)).buckets), []);
  });
});

describe('the journal', () => {
  const names = (result: Awaited<ReturnType<typeof changesBetween>>) =>
    result.complete
      ? result.changes.map(({ seq, change: kind, cid }) => `${seq} ${kind} ${cidToHex(cid).slice(0, 6)}`)
      : result.reason;
  const short = (name: string) => cidToHex(cidOf(name)).slice(0, 6);

  it('tells what changed between two seqs, with the time of each commit', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [change('added', 'a')], 0);
    await commit(database, [change('added', 'b'), change('removed', 'a'), change('history', 'x')], 1);
    await commit(database, [change('removed', 'b')], 2);
    const between = (afterSeq: number, uptoSeq: number, cidsMax = 100) =>
      changesBetween(database, scope, { afterSeq, uptoSeq, cidsMax });
    assert.deepEqual(names(await between(0, 1)), [`1 added ${short('a')}`]);
    const later = await between(1, 3);
    assert.deepEqual(names(later), [`2 removed ${short('a')}`, `2 added ${short('b')}`, `3 removed ${short('b')}`]);
    assert.deepEqual(
      later.complete && later.changes.map(({ committedAt }) => (committedAt.getTime() - start) / minute),
      [1, 1, 2],
    );
    assert.deepEqual(names(await between(3, 3)), []);
    assert.equal(names(await between(0, 3, 3)), 'too-many');
  });

  it('says so where a bulk load hides what changed', async (t) => {
    const database = await testDatabase(t);
    await load(database, ['a']);
    await commit(database, [change('added', 'b')]);
    assert.equal(names(await changesBetween(database, scope, { afterSeq: 0, uptoSeq: 2, cidsMax: 10 })), 'bulk');
    assert.deepEqual(names(await changesBetween(database, scope, { afterSeq: 1, uptoSeq: 2, cidsMax: 10 })), [
      `2 added ${short('b')}`,
    ]);
  });

  it('finds the seq of a time', async (t) => {
    const database = await testDatabase(t);
    const at = (minutes: number) => seqAtTime(database, scope, new Date(start + minutes * minute));
    assert.equal(await at(0), 0);
    for (const [index, minutes] of [1, 2, 2, 5].entries()) await commit(database, [change('added', `n${index}`)], minutes);
    assert.deepEqual(await Promise.all([0, 1, 1.5, 2, 4, 5, 99].map(at)), [0, 1, 1, 3, 3, 4, 4]);
  });

  it('is pruned up to the snapshot and the anchor, in batches, and says where it no longer reaches', async (t) => {
    const database = await testDatabase(t);
    for (let minutes = 1; minutes <= 10; minutes++) await commit(database, [change('added', `n${minutes}`)], minutes);
    const prune = (anchorSeq: number, rowsMax: number) =>
      database.transaction((tx) => pruneChanges(tx, scope, { anchorSeq, rowsMax }));
    assert.equal(await prune(100, 100), 0, 'without a snapshot nothing goes');
    await foldBuckets(database, scope);
    await commit(database, [change('added', 'n11')], 11);
    assert.equal(await prune(5, 3), 3);
    assert.equal(await prune(5, 3), 1);
    assert.equal(await prune(100, 100), 5, 'what is newer than the snapshot stays');
    assert.equal(names(await changesBetween(database, scope, { afterSeq: 4, uptoSeq: 11, cidsMax: 99 })), 'pruned');
    assert.equal(names(await changesBetween(database, scope, { afterSeq: 10, uptoSeq: 11, cidsMax: 99 })).length, 1);
    assert.equal(await seqAtTime(database, scope, new Date(start + 10 * minute)), 10);
    assert.equal(await seqAtTime(database, scope, new Date(start + 9 * minute)), 0);
    const state = await readBuckets(database, scope);
    assert.equal(state.keys, (await readVSync(database, scope)).keys);
  });
});
