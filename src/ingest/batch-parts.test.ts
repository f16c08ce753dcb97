/** How a large batch is cut in two. What its parts leave in the database is ingest-parts.postgres.test.ts. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { oneSample, received } from '../../test/support/key-events.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { partsOf } from './batch-parts.ts';
import { decodeBatch, type EventBatch } from './event-batch.ts';

const participants = ['00038166', '10573521', '22896431'] as const;
const samples = participants.flatMap((ispb) => KEY_TYPES.map((keyType) => oneSample(keyType, 'parts', ispb)));
const now = new Date('2026-03-02T00:00:00.000Z');

/** A batch with so many updates of each sample. */
async function batchOf(counts: readonly number[]): Promise<EventBatch> {
  const events = counts.flatMap((count, at) => {
    const entry = samples[at]?.entry;
    assert.ok(entry !== undefined);
    return Array.from({ length: count }, (_, n) => ({
      action: 'key.updated',
      event_id: `${at}/${n}`,
      occurred_at: new Date(now.getTime() - 1_000 + n).toISOString(),
      payload: flatEntry(entry),
    }));
  });
  return await decodeBatch(received(...events), now);
}

const scopesOf = (batch: EventBatch): Set<string> =>
  new Set(batch.events.map(({ event }) => `${event.participant} ${event.keyType}`));
const idsOf = (batches: readonly EventBatch[]): string[] =>
  batches.flatMap(({ events }) => events.map(({ event }) => event.eventId)).sort();

describe('a batch', () => {
  it('of few events, or of one participant and key type, stays whole', async () => {
    const small = await batchOf([200, 200]);
    assert.deepEqual(partsOf(small), [small]);
    const single = await batchOf([900]);
    assert.deepEqual(partsOf(single), [single]);
  });

  it('of many becomes two that have no participant and key type in common, with each event and each group once', async () => {
    const counts = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: samples.length, maxLength: samples.length });
    await fc.assert(
      fc.asyncProperty(counts, async (each) => {
        const batch = await batchOf(each);
        const parts = partsOf(batch);
        assert.deepEqual(idsOf(parts), idsOf([batch]));
        assert.deepEqual(
          parts.flatMap(({ groups }) => groups.map(({ key }) => key)).sort(),
          batch.groups.map(({ key }) => key).sort(),
        );
        const scopes = parts.map(scopesOf);
        assert.equal(
          scopes.reduce((sum, { size }) => sum + size, 0),
          scopesOf(batch).size,
        );
        for (const part of parts) {
          const ids = new Set(idsOf([part]));
          assert.ok(part.groups.every(({ events }) => events.every(({ eventId }) => ids.has(eventId))));
        }
      }),
      { numRuns: 30 },
    );
  });

  it('is cut so that neither part has much more than the other', async () => {
    const [first, second] = partsOf(await batchOf([400, 300, 200, 200, 100]));
    assert.deepEqual([first?.events.length, second?.events.length], [600, 600]);
  });
});
