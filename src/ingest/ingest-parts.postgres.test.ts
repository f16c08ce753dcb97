/** What a large batch, committed as two parts at once, leaves in the database. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { type EventText, received, withAccount } from '../../test/support/key-events.ts';
import { assertSound, baseState } from '../../test/support/stored-state.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { systemClock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { decodeBatch } from './event-batch.ts';
import { commitBatch, ingestBatch } from './ingest-batch.ts';

const startMs = Date.UTC(2026, 2, 1, 12);

/** Creations of keys of two participants and all types, an update of every second, a deletion of every third. */
function stream(): EventText[] {
  const events: EventText[] = [];
  const tell = (action: string, payload: EventText['payload']): void => {
    events.push({
      action,
      event_id: `event ${events.length}`,
      occurred_at: new Date(startMs + events.length).toISOString(),
      payload,
    });
  };
  for (const ispb of ['00038166', '10573521'])
    for (const keyType of KEY_TYPES) {
      let n = 0;
      for (const { entry, requestId } of sampleEntries({ seed: 'parts', participant: participant(ispb), keyType, count: 60 })) {
        n += 1;
        tell('key.created', flatEntry(entry, requestId));
        if (n % 2 === 0) tell('key.updated', flatEntry(withAccount(entry, String(n))));
        if (n % 3 === 0) tell('key.deleted', { key: entry.key, key_type: keyType, ispb });
      }
    }
  return events;
}

const events = stream();
const lines = received(...events, { action: 'key.created', event_id: 'broken', occurred_at: 'never', payload: {} });

async function inSmallBatches(database: Database): Promise<void> {
  for (let from = 0; from < lines.length; from += 100) {
    await ingestBatch({ database, clock: systemClock }, lines.slice(from, from + 100));
  }
}

/** The database, of which the second transaction that has done its work is lost before it is committed. */
function losingSecond(database: Database): Database {
  let transactions = 0;
  return {
    ...database,
    transaction: (work, options) =>
      database.transaction(async (tx) => {
        transactions += 1;
        const isSecond = transactions === 2;
        const result = await work(tx);
        if (isSecond) throw new Error('the connection was lost');
        return result;
      }, options),
  };
}

async function progressOf(database: Database): Promise<number[]> {
  const { rows } = await database.query<{ consumed: number }>('SELECT consumed FROM ingest_progress');
  return rows.map(({ consumed }) => consumed);
}

const progress = { origin: 'test', consumed: lines.length, backlog: 0, oldestUnconsumedAt: null, endedAt: null };

describe('a batch of many events', () => {
  it('leaves what small batches of the same events leave, counts each once, and is known when it comes again', async (t) => {
    const [small, large] = [await testDatabase(t), await testDatabase(t)];
    await inSmallBatches(small);
    const deps = { database: large, clock: systemClock };
    const counts = await ingestBatch(deps, lines, progress);
    assert.deepEqual(counts, { applied: events.length, superseded: 0, echo: 0, dead: 1, duplicate: 0 });
    const state = await baseState(small);
    assert.deepEqual(await baseState(large), state);
    assert.deepEqual(await progressOf(large), [lines.length]);
    const again = { applied: 0, superseded: 0, echo: 0, dead: 0, duplicate: lines.length };
    assert.deepEqual(await ingestBatch(deps, lines), again);
    const repeated = await decodeBatch(lines, systemClock.now());
    assert.deepEqual(await commitBatch(deps, repeated, { repeats: true }), again);
    assert.deepEqual(await baseState(large), state);
    await assertSound(large);
  });

  it('of which one part is lost tells of no progress, and is completed when it is given again', async (t) => {
    const [whole, database] = [await testDatabase(t), await testDatabase(t)];
    await ingestBatch({ database: whole, clock: systemClock }, lines);
    const lost = ingestBatch({ database: losingSecond(database), clock: systemClock }, lines, progress);
    await assert.rejects(lost, /the connection was lost/);
    assert.deepEqual(await progressOf(database), []);
    const { rows } = await database.query<{ taken: number }>('SELECT count(*) AS taken FROM event_inbox');
    const taken = rows[0]?.taken ?? 0;
    assert.ok(taken > 0 && taken < events.length, `${taken} of ${events.length} events are in`);
    const counts = await ingestBatch({ database, clock: systemClock }, lines, progress);
    assert.equal(counts.applied, events.length - taken);
    assert.deepEqual(await baseState(database), await baseState(whole));
    assert.deepEqual(await progressOf(database), [lines.length]);
    await assertSound(database);
  });
});
