/** What a commit of transitions does to VSync and history, and that committers take turns, on a real database. */

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { asCid, type Cid, cidToHex } from '../cid/cid.ts';
import { participant } from '../dict/participant.ts';
import { InvariantBroken } from '../platform/assert.ts';
import type { Database } from '../platform/postgres/database.ts';
import { keysOfCids, membershipAsOf } from './cid-history.ts';
import { equalVSync, vsyncOf, vsyncToHex } from './vsync.ts';
import { type CidTransition, commitTransitions, lockVSyncs, readAllVSyncs, readVSync, type Scope } from './vsync-store.ts';

const scope: Scope = { participant: participant('00038166'), keyType: 'CPF' };
const other: Scope = { participant: participant('00000208'), keyType: 'EVP' };
const now = new Date('2026-03-01T12:00:00.000Z');

function cidOf(name: string): Cid {
  return asCid(Buffer.from(hash('sha256', name, 'hex'), 'hex'));
}

function change(kind: CidTransition['change'], name: string): CidTransition {
  return { change: kind, cid: cidOf(name), key: `key ${name}` };
}

function commit(database: Database, transitions: CidTransition[], options: { scope?: Scope; now?: Date } = {}) {
  return database.transaction(async (tx) => {
    const [locked] = await lockVSyncs(tx, [options.scope ?? scope], options.now ?? now);
    assert(locked !== undefined);
    return commitTransitions(tx, locked, transitions, { source: 'event', algorithm: 'dict', now: options.now ?? now });
  });
}

async function historyOf(database: Database, name: string) {
  const { rows } = await database.query<{ added_seq: number; removed_seq: number | null }>(
    'SELECT added_seq, removed_seq FROM dict_cids WHERE participant = $1 AND key_type = $2 AND cid = $3 ORDER BY added_seq',
    [scope.participant, scope.keyType, cidOf(name)],
  );
  return rows.map((row) => [row.added_seq, row.removed_seq]);
}

describe('a stored VSync', () => {
  it('is empty, with seq 0, before anything was committed', async (t) => {
    const database = await testDatabase(t);
    const state = await readVSync(database, scope);
    assert.deepEqual(
      { vsync: vsyncToHex(state.vsync), keys: state.keys, seq: state.seq, updatedAt: state.updatedAt },
      { vsync: '0'.repeat(64), keys: 0, seq: 0, updatedAt: null },
    );
    assert.deepEqual(await readAllVSyncs(database), []);
  });

  it('is the XOR of what was added and not removed, with its count, seq and time', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [change('added', 'a'), change('added', 'b')]);
    const later = new Date(now.getTime() + 1_000);
    const result = await commit(database, [change('removed', 'a'), change('added', 'c')], { now: later });
    const state = await readVSync(database, scope);
    assert(equalVSync(state.vsync, vsyncOf([cidOf('b'), cidOf('c')])));
    assert(equalVSync(state.vsync, result.vsync));
    assert.deepEqual([state.keys, state.seq, state.updatedAt], [2, 2, later]);
    assert.deepEqual([result.keys, result.seq], [2, 2]);
  });

  it('keeps participants and key types apart', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [change('added', 'a')]);
    await commit(database, [change('added', 'a'), change('added', 'b')], { scope: other });
    assert.deepEqual(
      (await readAllVSyncs(database)).map((state) => [state.scope.participant, state.scope.keyType, state.keys]),
      [
        ['00000208', 'EVP', 2],
        ['00038166', 'CPF', 1],
      ],
    );
    assert.equal((await readAllVSyncs(database, scope.participant)).length, 1);
  });

  it('refuses to remove what does not count, and to add what already counts, leaving nothing behind', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [change('added', 'a')]);
    await assert.rejects(commit(database, [change('removed', 'b')]), InvariantBroken);
    await assert.rejects(commit(database, [change('added', 'c'), change('added', 'a')]), InvariantBroken);
    await assert.rejects(commit(database, [change('added', 'd'), change('added', 'd')]), InvariantBroken);
    assert.equal((await readVSync(database, scope)).seq, 1);
    assert.deepEqual(await historyOf(database, 'c'), []);
  });

  it('refuses two commits of one lock', async (t) => {
    const database = await testDatabase(t);
    const twice = database.transaction(async (tx) => {
      const [locked] = await lockVSyncs(tx, [scope], now);
      assert(locked !== undefined);
      const how = { source: 'event', algorithm: 'dict', now } as const;
      await commitTransitions(tx, locked, [change('added', 'a')], how);
      await commitTransitions(tx, locked, [change('added', 'b')], how);
    });
    await assert.rejects(twice);
    assert.equal((await readVSync(database, scope)).seq, 0);
  });

  it('never commits at a time before the previous commit, whatever the clock says', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [change('added', 'a')]);
    await commit(database, [change('added', 'b')], { now: new Date(now.getTime() - 60_000) });
    assert.deepEqual((await readVSync(database, scope)).updatedAt, now);
  });
});

describe('the history of CIDs', () => {
  it('keeps a CID that came and went within one commit, and one of an older event, without counting them', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [
      change('added', 'brief'),
      change('removed', 'brief'),
      change('history', 'old'),
      change('added', 'a'),
    ]);
    assert.deepEqual(await historyOf(database, 'brief'), [[1, 1]]);
    assert.deepEqual(await historyOf(database, 'old'), [[1, 1]]);
    const state = await readVSync(database, scope);
    assert.equal(state.keys, 1);
    assert(equalVSync(state.vsync, vsyncOf([cidOf('a')])));
    assert.equal((await membershipAsOf(database, scope, [cidOf('brief'), cidOf('old')], 1)).size, 0);
  });

  it('is not added to by what it knows already', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [change('added', 'a')]);
    await commit(database, [change('history', 'a'), change('removed', 'a'), change('added', 'a')]);
    assert.deepEqual(await historyOf(database, 'a'), [[1, null]]);
    assert.equal((await readVSync(database, scope)).seq, 2);
  });

  it('knows a CID that comes back, once for each time it counted', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [change('added', 'a')]);
    await commit(database, [change('removed', 'a')]);
    await commit(database, [change('history', 'a')]);
    await commit(database, [change('added', 'a')]);
    assert.deepEqual(await historyOf(database, 'a'), [
      [1, 2],
      [4, null],
    ]);
    const counted = async (seq: number) => (await membershipAsOf(database, scope, [cidOf('a'), cidOf('x')], seq)).size;
    assert.deepEqual(await Promise.all([0, 1, 2, 3, 4].map(counted)), [0, 1, 0, 0, 1]);
  });

  it('gives the key of every CID ever, and nothing for those of others', async (t) => {
    const database = await testDatabase(t);
    await commit(database, [change('added', 'a'), change('history', 'old')]);
    await commit(database, [change('added', 'b')], { scope: other });
    const keys = await keysOfCids(database, scope, [cidOf('a'), cidOf('old'), cidOf('b'), cidOf('never')]);
    assert.deepEqual(
      keys,
      new Map([
        [cidToHex(cidOf('a')), 'key a'],
        [cidToHex(cidOf('old')), 'key old'],
      ]),
    );
    assert.deepEqual(await keysOfCids(database, scope, []), new Map());
  });
});

describe('committers at the same time', () => {
  it('take turns, in whatever order they name their scopes, without deadlock or lost change', async (t) => {
    const database = await testDatabase(t);
    const scopes = [scope, other, { participant: scope.participant, keyType: 'EVP' } as const];
    const work = Array.from({ length: 40 }, (_, index) =>
      database.transaction(async (tx) => {
        const asked = index % 2 === 0 ? scopes : scopes.toReversed();
        for (const locked of await lockVSyncs(tx, asked, now)) {
          const name = `${locked.scope.participant} ${locked.scope.keyType} ${index}`;
          await commitTransitions(tx, locked, [change('added', name)], { source: 'event', algorithm: 'dict', now });
        }
      }),
    );
    await Promise.all(work);
    for (const each of scopes) {
      const cids = work.map((_, index) => cidOf(`${each.participant} ${each.keyType} ${index}`));
      const state = await readVSync(database, each);
      assert.deepEqual([state.seq, state.keys], [40, 40]);
      assert(equalVSync(state.vsync, vsyncOf(cids)));
    }
  });

  it('commit thousands of CIDs at once', async (t) => {
    const database = await testDatabase(t);
    const names = Array.from({ length: 5_000 }, (_, index) => `bulk ${index}`);
    await commit(
      database,
      names.map((name) => change('added', name)),
    );
    await commit(
      database,
      names.slice(0, 4_000).map((name) => change('removed', name)),
    );
    const state = await readVSync(database, scope);
    assert.equal(state.keys, 1_000);
    assert(equalVSync(state.vsync, vsyncOf(names.slice(4_000).map(cidOf))));
  });
});
