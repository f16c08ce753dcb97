/** How a stream becomes batches, and what it says of how far it is. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { systemClock } from '../platform/clock.ts';
import { readIngestBacklog } from './ingest-backlog.ts';
import type { IngestSettings } from './ingest-stream.ts';
import { ingestStream } from './ingest-stream.ts';

const settings: IngestSettings = { batchEvents: 10, batchBytes: 1_048_576, batchWaitMs: 20, lineBytesMax: 10_000 };
const never = new AbortController().signal;

const lines = [...sampleEntries({ seed: 3, participant: participant('00038166'), keyType: 'EVP', count: 35 })].map(
  ({ entry, requestId }, n) =>
    JSON.stringify({
      action: 'key.created',
      event_id: `s${n}`,
      occurred_at: new Date(Date.UTC(2026, 0, 1, 0, n)).toISOString(),
      payload: flatEntry(entry, requestId),
    }),
);
const text = Buffer.from(`${lines.join('\n')}\n`);

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

describe('a stream of events', () => {
  it('is taken in to its end, in batches, and says how far it is', async (t) => {
    const database = await testDatabase(t);
    const deps = { database, clock: systemClock };
    const backlogs: Promise<{ backlog: number | null; oldestUnconsumedAt: Date | null; running: boolean }>[] = [];
    const source = { origin: 'file:/events', chunks: chunksOf(text, 100_000), totalBytes: text.length };
    const result = await ingestStream(deps, source, settings, never, () => {
      backlogs.push(readIngestBacklog(database, new Date()));
    });
    assert.deepEqual([result.lines, result.applied, result.complete], [35, 35, true]);
    assert.equal(backlogs.length, 4);
    assert.deepEqual(await readIngestBacklog(database, new Date()), { backlog: 0, oldestUnconsumedAt: null, running: false });
    await Promise.all(backlogs);
  });

  it('tells R1, while it runs, how many events wait and when the next of them occurred', async (t) => {
    const database = await testDatabase(t);
    const stop = new AbortController();
    const source = { origin: 'file:/events', chunks: chunksOf(text, 100_000), totalBytes: text.length };
    const result = await ingestStream({ database, clock: systemClock }, source, settings, stop.signal, () => stop.abort());
    assert.deepEqual([result.lines, result.complete], [10, false]);
    const backlog = await readIngestBacklog(database, new Date());
    assert.equal(backlog.oldestUnconsumedAt?.toISOString(), '2026-01-01T00:10:00.000Z');
    assert.ok(backlog.backlog !== null && backlog.backlog >= 25 && backlog.backlog <= 26);
    assert.equal(backlog.running, false);
  });

  it('does not let the first event of a batch wait for others that do not come', async (t) => {
    const database = await testDatabase(t);
    let release = (): void => {};
    const later = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* slow(): AsyncGenerator<Uint8Array, void, undefined> {
      yield Buffer.from(`${lines[0]}\n`);
      await later;
      yield Buffer.from(`${lines[1]}\n`);
    }
    const taken: number[] = [];
    const result = await ingestStream(
      { database, clock: systemClock },
      { origin: 'stdin', chunks: slow(), totalBytes: null },
      settings,
      never,
      (soFar) => {
        taken.push(soFar.lines);
        release();
      },
    );
    assert.deepEqual([taken, result.applied], [[1, 2], 2]);
  });

  it('stops at the signal while the source is silent', async (t) => {
    const database = await testDatabase(t);
    const stop = new AbortController();
    async function* silent(): AsyncGenerator<Uint8Array, void, undefined> {
      yield Buffer.from(`${lines[0]}\n`);
      await new Promise(() => {});
    }
    const source = { origin: 'stdin', chunks: silent(), totalBytes: null };
    const result = await ingestStream({ database, clock: systemClock }, source, settings, stop.signal, () => stop.abort());
    assert.deepEqual([result.applied, result.complete], [1, false]);
  });

  it('keeps the beginning of a line that is too long as a dead letter, and goes on', async (t) => {
    const database = await testDatabase(t);
    const bytes = Buffer.from(`${'x'.repeat(20_000)}\n${lines[0]}\n`);
    const source = { origin: 'file:/long', chunks: chunksOf(bytes, 3_000), totalBytes: bytes.length };
    const result = await ingestStream({ database, clock: systemClock }, source, settings, never);
    assert.deepEqual([result.dead, result.applied], [1, 1]);
    const { rows } = await database.query<{ reason: string; origin: string; kept: number }>(
      'SELECT reason, origin, octet_length(raw) AS kept FROM event_dead_letters',
    );
    assert.deepEqual(rows, [{ reason: 'line_too_long', origin: 'file:/long line 1', kept: 10_000 }]);
  });

  it('changes nothing when it is taken in again', async (t) => {
    const database = await testDatabase(t);
    const deps = { database, clock: systemClock };
    const bytes = Buffer.concat([text, Buffer.from('no json\n')]);
    const source = () => ({ origin: 'file:/events', chunks: chunksOf(bytes, 1_000), totalBytes: bytes.length });
    await ingestStream(deps, source(), settings, never);
    const again = await ingestStream(deps, source(), settings, never);
    assert.deepEqual([again.applied, again.dead, again.duplicate], [0, 0, 36]);
  });
});
