/** What only serves for a time does not only grow: the journal behind buckets and anchor, and the inbox. */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { asCid } from '../cid/cid.ts';
import { participant } from '../dict/participant.ts';
import type { Database } from '../platform/postgres/database.ts';
import { storedSums } from '../vsync/bucket-store.ts';
import { commitTransitions, lockVSyncs, readVSync, type Scope } from '../vsync/vsync-store.ts';
import { moveCursor } from './event-cursor.ts';
import { tidyInbox, tidyJournal } from './housekeeping.ts';

const scope: Scope = { participant: participant('00038166'), keyType: 'CPF' };
const now = new Date('2026-03-01T12:00:00.000Z');
const clock = { now: () => now, sleep: () => Promise.resolve() };
const cidsOfCommit = 10_000;

/** One commit of that many CIDs, all different from those of other commits. */
async function commit(database: Database, number: number, at = now): Promise<void> {
  const transitions = Array.from({ length: cidsOfCommit }, (_, index) => {
    const cid = Buffer.alloc(32);
    cid.writeUInt32BE((index * 2_654_435_761) >>> 0, 0);
    cid.writeUInt32BE(number * cidsOfCommit + index, 28);
    return { change: 'added' as const, cid: asCid(cid), key: `${number}-${index}` };
  });
  await database.transaction(async (tx) => {
    const [locked] = await lockVSyncs(tx, [scope], at);
    assert.ok(locked);
    await commitTransitions(tx, locked, transitions, { source: 'event', algorithm: 'dict', now: at });
  });
}

async function seqsOfJournal(database: Database): Promise<number[]> {
  const { rows } = await database.query<{ seq: number }>(
    'SELECT seq FROM dict_vsync_changes WHERE participant = $1 ORDER BY seq',
    [scope.participant],
  );
  return rows.map(({ seq }) => seq);
}

async function withJournal(t: TestContext, commits: number, at = now): Promise<Database> {
  const database = await testDatabase(t);
  for (let number = 0; number < commits; number++) await commit(database, number, at);
  return database;
}

describe('the journal', () => {
  it('is left alone while it is short', async (t) => {
    const database = await withJournal(t, 2);
    await tidyJournal({ database, clock }, scope);
    assert.deepEqual(await seqsOfJournal(database), [1, 2]);
  });

  it('is folded into the buckets and kept from the anchor on', async (t) => {
    const database = await withJournal(t, 5);
    const { vsync } = await readVSync(database, scope);
    await database.transaction((tx) =>
      moveCursor(tx, scope, { seq: 3, dictTime: now, verifier: vsync, exceptions: [], proof: 'ok' }, now),
    );
    await tidyJournal({ database, clock }, scope);
    assert.deepEqual(await seqsOfJournal(database), [3, 4, 5]);
    const { buckets, seq } = await storedSums(database, scope);
    assert.equal(seq, 5);
    assert.equal(
      buckets?.counts.reduce((sum, count) => sum + count, 0),
      5 * cidsOfCommit,
    );
  });

  it('is kept for a week where nothing has been proven yet', async (t) => {
    const database = await withJournal(t, 4);
    await tidyJournal({ database, clock }, scope);
    assert.deepEqual(await seqsOfJournal(database), [1, 2, 3, 4]);
    const later = { ...clock, now: () => new Date(now.getTime() + 8 * 86_400_000) };
    await commit(database, 4, later.now());
    for (let number = 5; number < 9; number++) await commit(database, number, later.now());
    await tidyJournal({ database, clock: later }, scope);
    assert.deepEqual(await seqsOfJournal(database), [5, 6, 7, 8, 9]);
  });
});

describe('the inbox', () => {
  it('forgets what was taken in longer ago than it is kept, and only that', async (t) => {
    const database = await testDatabase(t);
    for (const [id, days] of [
      ['00000000-0000-4000-8000-000000000008', 8],
      ['00000000-0000-4000-8000-000000000006', 6],
    ] as const) {
      await database.query(
        `INSERT INTO event_inbox (event_id, outcome, occurred_at, received_at) VALUES ($1, 'applied', $2, $2)`,
        [id, new Date(now.getTime() - days * 86_400_000)],
      );
    }
    await tidyInbox({ database, clock }, 7 * 86_400_000);
    const { rows } = await database.query<{ event_id: string }>('SELECT event_id FROM event_inbox');
    assert.deepEqual(rows, [{ event_id: '00000000-0000-4000-8000-000000000006' }]);
  });
});
