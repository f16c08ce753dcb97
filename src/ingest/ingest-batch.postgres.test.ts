/** What a batch leaves in the database, alone and beside other consumers. Being killed is test/ingest-kill.postgres.test.ts. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { testDatabase } from '../../test/support/database.ts';
import { type EventText, oneSample, received, withAccount } from '../../test/support/key-events.ts';
import { assertSound, baseState } from '../../test/support/stored-state.ts';
import { cidToHex, computeCid } from '../cid/cid.ts';
import type { Entry } from '../dict/entry.ts';
import { participant } from '../dict/participant.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { tellCore } from '../ledger/core-correction.ts';
import { systemClock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import { readEntry } from './entry-store.ts';
import { ingestBatch } from './ingest-batch.ts';

const ours = participant('00038166');
const { entry, requestId } = oneSample('PHONE');
const scope = { participant: ours, keyType: 'PHONE' } as const;
const { key } = entry;

function at(minute: number): string {
  return new Date(Date.UTC(2026, 2, 1, 12, minute)).toISOString();
}

let ids = 0;

function event(action: string, minute: number, of: Entry, request: string | null = null): EventText {
  ids += 1;
  const payload = action === 'key.deleted' ? { key: of.key, ispb: of.account.participant } : flatEntry(of, request);
  return { action, event_id: `e${ids}`, occurred_at: at(minute), payload };
}

function ingest(database: Database, ...events: EventText[]) {
  return ingestBatch({ database, clock: systemClock }, received(...events));
}

async function presentCid(database: Database): Promise<string | null> {
  const stored = await readEntry(database, ours, key);
  return stored?.cid == null ? null : cidToHex(stored.cid);
}

function cidOf(of: Entry): string {
  return cidToHex(computeCid(of, requestId));
}

describe('a batch of events', () => {
  it('puts entry, CID and VSync into the base, and counts what became of each event', async (t) => {
    const database = await testDatabase(t);
    const changed = withAccount(entry, '42');
    const counts = await ingest(database, event('key.created', 1, entry, requestId), event('key.updated', 2, changed));
    assert.deepEqual(counts, { applied: 2, superseded: 0, echo: 0, dead: 0, duplicate: 0 });
    assert.deepEqual((await readEntry(database, ours, key))?.entry, changed);
    const { vsync, keys, seq } = await readVSync(database, scope);
    assert.deepEqual([Buffer.from(vsync).toString('hex'), keys, seq], [cidOf(changed), 1, 1]);
    await assertSound(database);
  });

  it('keeps every CID that a key ever had, also those that came and went within one batch', async (t) => {
    const database = await testDatabase(t);
    const changed = withAccount(entry, '42');
    await ingest(
      database,
      event('key.created', 1, entry, requestId),
      event('key.updated', 2, changed),
      event('key.deleted', 3, entry),
    );
    const { rows } = await database.query<{ cid: Buffer }>('SELECT cid FROM dict_cids WHERE key = $1', [key]);
    assert.deepEqual(rows.map((row) => row.cid.toString('hex')).sort(), [cidOf(entry), cidOf(changed)].sort());
    assert.equal((await readVSync(database, scope)).keys, 0);
    assert.equal((await readEntry(database, ours, key))?.status, 'DELETED');
  });

  it('recognises a second delivery, in the same batch or a later one, and changes nothing by it', async (t) => {
    const database = await testDatabase(t);
    const created = event('key.created', 1, entry, requestId);
    assert.equal((await ingest(database, created, created)).duplicate, 1);
    const before = await readVSync(database, scope);
    assert.deepEqual(await ingest(database, created), { applied: 0, superseded: 0, echo: 0, dead: 0, duplicate: 1 });
    assert.deepEqual(await readVSync(database, scope), before);
  });

  it('lets an update wait for its creation, unresolved and outside the VSync, and resolves it then', async (t) => {
    const database = await testDatabase(t);
    const changed = withAccount(entry, '42');
    await ingest(database, event('key.updated', 2, changed));
    assert.equal((await readEntry(database, ours, key))?.status, 'UNRESOLVED');
    assert.equal((await readVSync(database, scope)).keys, 0);
    await ingest(database, event('key.created', 1, entry, requestId));
    assert.equal(await presentCid(database), cidOf(changed));
    await assertSound(database);
  });

  it('makes dead letters of what cannot be applied, with the reason, and applies the rest', async (t) => {
    const database = await testDatabase(t);
    const conflict = event('key.updated', 3, entry, '00000000-0000-4000-8000-000000000009');
    const invalid = { ...event('key.created', 1, entry), occurred_at: 'yesterday' };
    const counts = await ingestBatch({ database, clock: systemClock }, [
      { bytes: Buffer.from('no json'), origin: 'test line 1' },
      ...received(invalid, event('key.created', 1, entry, requestId), conflict),
    ]);
    assert.deepEqual(counts, { applied: 1, superseded: 0, echo: 0, dead: 3, duplicate: 0 });
    const { rows } = await database.query<{ reason: string; raw: Buffer }>(
      'SELECT reason, raw FROM event_dead_letters ORDER BY reason',
    );
    assert.deepEqual(
      rows.map(({ reason, raw }) => [reason, raw.toString()]),
      [
        ['invalid_field', JSON.stringify(invalid)],
        ['not_json', 'no json'],
        ['request_id_conflict', JSON.stringify(conflict)],
      ],
    );
    assert.equal(await presentCid(database), cidOf(entry));
  });

  it('accepts an event under an id whose first sending was invalid', async (t) => {
    const database = await testDatabase(t);
    const created = event('key.created', 1, entry, requestId);
    await ingest(database, { ...created, payload: { ...created.payload, branch: 'x' } });
    assert.equal((await ingest(database, created)).applied, 1);
  });

  it('keeps a key that moves between two of our participants as two keys (R18)', async (t) => {
    const database = await testDatabase(t);
    const other = participant('00000002');
    const moved = { ...entry, account: { ...entry.account, participant: other } };
    await ingest(database, event('key.created', 1, entry, requestId));
    await ingest(
      database,
      event('key.deleted', 2, entry),
      event('key.created', 3, moved, '00000000-0000-4000-8000-000000000002'),
    );
    assert.equal((await readEntry(database, ours, key))?.status, 'DELETED');
    assert.equal((await readEntry(database, other, key))?.status, 'ACTIVE');
    assert.equal((await readVSync(database, { participant: other, keyType: 'PHONE' })).keys, 1);
    await assertSound(database);
  });

  it("settles a correction that the core was told of when the core's own event carries the same CID", async (t) => {
    const database = await testDatabase(t);
    const correction = { correction: 'upsert', cid: computeCid(entry, requestId), entry, requestId } as const;
    await ingest(database, event('key.created', 1, entry, requestId));
    await database.transaction((tx) =>
      tellCore(tx, [{ participant: ours, key, keyType: 'PHONE', correction }], new Date(), null),
    );
    const settled = async (): Promise<(string | null)[]> => {
      const { rows } = await database.query<{ settled_by: string | null }>('SELECT settled_by FROM core_corrections');
      return rows.map((row) => row.settled_by);
    };
    await ingest(database, event('key.updated', 0, withAccount(entry, '7')));
    assert.deepEqual(await settled(), [null]);
    const counts = await ingest(database, event('key.updated', 5, entry));
    assert.deepEqual([counts.echo, await settled()], [1, ['echo']]);
  });

  it('settles a correction that the core acknowledges, unless it names another CID', async (t) => {
    const database = await testDatabase(t);
    const cid = computeCid(entry, requestId);
    const correction = { correction: 'upsert', cid, entry, requestId } as const;
    await database.transaction((tx) =>
      tellCore(tx, [{ participant: ours, key, keyType: 'PHONE', correction }], new Date(), null),
    );
    const acknowledged = (cidText: string): EventText => {
      ids += 1;
      return { action: 'core.acknowledged', event_id: `a${ids}`, occurred_at: at(9), payload: { key, ispb: ours, cid: cidText } };
    };
    assert.equal((await ingest(database, acknowledged('00'.repeat(32)))).applied, 0);
    assert.equal((await ingest(database, acknowledged(cidToHex(cid)))).applied, 1);
    const { rows } = await database.query<{ settled_by: string }>('SELECT settled_by FROM core_corrections');
    assert.equal(rows[0]?.settled_by, 'acknowledged');
  });

  it('runs beside other consumers over the same keys and key types without a deadlock, and nothing is lost', async (t) => {
    const database = await testDatabase(t);
    const samples = (['PHONE', 'CPF', 'EMAIL'] as const).map((keyType) => oneSample(keyType, 'busy'));
    const batches = Array.from({ length: 24 }, (_, n) =>
      [...samples.keys()].map((at0) => {
        const sample = samples[(at0 + n) % samples.length];
        assert.ok(sample !== undefined);
        return n === 0
          ? event('key.created', 0, sample.entry, sample.requestId)
          : event('key.updated', n, withAccount(sample.entry, String(n)));
      }),
    );
    const counts = await Promise.all(batches.map((batch) => ingest(database, ...batch)));
    assert.equal(
      counts.reduce((sum, { dead, duplicate }) => sum + dead + duplicate, 0),
      0,
    );
    for (const sample of samples) {
      const stored = await readEntry(database, ours, sample.entry.key);
      assert.equal(stored?.entry?.account.accountNumber, '23');
      assert.equal(stored?.status, 'ACTIVE');
    }
    await assertSound(database);
  });

  it('ends in the same base however a stream is ordered, repeated and cut into batches', async (t) => {
    const stream = (['PHONE', 'EVP'] as const).flatMap((keyType) => {
      const sample = oneSample(keyType, 'ordered');
      return [
        event('key.created', 1, sample.entry, sample.requestId),
        event('key.updated', 2, withAccount(sample.entry, '2')),
        event('key.updated', 3, withAccount(sample.entry, '3')),
        event('key.deleted', 4, sample.entry),
        event('key.created', 5, withAccount(sample.entry, '5'), '00000000-0000-4000-8000-000000000005'),
        event('key.updated', 6, withAccount(sample.entry, '6')),
      ];
    });
    const reference = await testDatabase(t);
    await ingest(reference, ...stream);
    const expected = await baseState(reference);
    const delivery = fc.tuple(
      fc.shuffledSubarray(stream, { minLength: stream.length }),
      fc.shuffledSubarray(stream),
      fc.integer({ min: 1, max: 7 }),
    );
    await fc.assert(
      fc.asyncProperty(delivery, async ([all, again, size]) => {
        const database = await testDatabase(t);
        const delivered = [...all, ...again];
        for (let from = 0; from < delivered.length; from += size) await ingest(database, ...delivered.slice(from, from + size));
        assert.deepEqual(await baseState(database), expected);
        await assertSound(database);
      }),
      { numRuns: 12 },
    );
  });
});
