/** An existing base loaded as of a time, beside events from before and after it. The command is test/ingest-commands.postgres.test.ts. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { type EventText, oneSample, received, withAccount } from '../../test/support/key-events.ts';
import { assertSound, baseState } from '../../test/support/stored-state.ts';
import { cidToHex, computeCid } from '../cid/cid.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { systemClock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { readVSync } from '../vsync/vsync-store.ts';
import type { RefusedRow } from './entry-import.ts';
import { importBase } from './entry-import.ts';
import { readEntry, writeEntries } from './entry-store.ts';
import type { BaseRow } from './import-file.ts';
import { BaseFileRefused, csvRows, ndjsonRows } from './import-file.ts';
import { ingestBatch } from './ingest-batch.ts';

const ours = participant('00038166');
const { entry, requestId } = oneSample('EMAIL');
const scope = { participant: ours, keyType: 'EMAIL' } as const;
const asOf = new Date('2026-03-01T12:00:00.000Z');

async function* bytesOf(text: string): AsyncGenerator<Uint8Array, void, undefined> {
  for (let from = 0; from < text.length; from += 1_000) yield Buffer.from(text.slice(from, from + 1_000));
}

async function load(database: Database, rows: AsyncIterable<BaseRow>, time: Date = asOf) {
  const refused: RefusedRow[] = [];
  const result = await importBase({ database, clock: systemClock, batchRows: 50 }, rows, time, async (row) => {
    refused.push(row);
  });
  return { result, refused };
}

function ndjson(...rows: readonly unknown[]): AsyncIterable<BaseRow> {
  return ndjsonRows(bytesOf(rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n')));
}

function ingest(database: Database, action: string, occurredAt: string, payload: Record<string, unknown>) {
  const event: EventText = { action, occurred_at: occurredAt, payload };
  return ingestBatch({ database, clock: systemClock }, received(event));
}

describe('import of an existing base', () => {
  it('loads every kind of key of several participants, leading zeros kept, and the base is sound', async (t) => {
    const database = await testDatabase(t);
    const samples = ['00000001', '00038166'].flatMap((ispb) =>
      KEY_TYPES.flatMap((keyType) => [...sampleEntries({ seed: 5, participant: participant(ispb), keyType, count: 30 })]),
    );
    const { result } = await load(database, ndjson(...samples.map((sample) => flatEntry(sample.entry, sample.requestId))));
    assert.deepEqual([result.loaded, result.refused, result.participants], [300, 0, ['00000001', '00038166']]);
    for (const sample of samples.filter((_, at) => at % 30 === 0)) {
      const stored = await readEntry(database, sample.entry.account.participant, sample.entry.key);
      assert.deepEqual([stored?.entry, stored?.occurredAt], [sample.entry, asOf]);
    }
    await assertSound(database);
  });

  it('changes nothing the second time', async (t) => {
    const database = await testDatabase(t);
    const rows = [flatEntry(entry, requestId), flatEntry(withAccount(entry, '9'), requestId)];
    await load(database, ndjson(...rows));
    const before = [await baseState(database), await readVSync(database, scope)];
    const { result } = await load(database, ndjson(...rows));
    assert.equal(result.loaded, 0);
    assert.deepEqual([await baseState(database), await readVSync(database, scope)], before);
  });

  it('loses to what happened later, and wins over what happened earlier (R16)', async (t) => {
    const database = await testDatabase(t);
    await ingest(database, 'key.created', '2026-03-01T11:00:00Z', flatEntry(withAccount(entry, '1'), requestId));
    await load(database, ndjson(flatEntry(withAccount(entry, '2'), requestId)));
    assert.equal((await readEntry(database, ours, entry.key))?.entry?.account.accountNumber, '2');
    await ingest(database, 'key.updated', '2026-03-01T13:00:00Z', flatEntry(withAccount(entry, '3')));
    const { result } = await load(
      database,
      ndjson(flatEntry(withAccount(entry, '4'), requestId)),
      new Date('2026-03-01T12:30:00Z'),
    );
    assert.equal(result.superseded, 1);
    const stored = await readEntry(database, ours, entry.key);
    assert.equal(stored?.entry?.account.accountNumber, '3');
    assert.equal(stored?.requestId, requestId);
    const { rows } = await database.query<{ cid: Buffer }>('SELECT cid FROM dict_cids WHERE removed_seq IS NOT NULL');
    const history = rows.map((row) => row.cid.toString('hex'));
    for (const account of ['1', '2', '4']) {
      assert.ok(history.includes(cidToHex(computeCid(withAccount(entry, account), requestId))), `account ${account}`);
    }
    await assertSound(database);
  });

  it('does not bring back a key that was deleted after its time, and gives a waiting update its RequestId', async (t) => {
    const database = await testDatabase(t);
    const other = oneSample('EMAIL', 2);
    await ingest(database, 'key.deleted', '2026-03-01T13:00:00Z', { key: entry.key, ispb: ours });
    await ingest(database, 'key.updated', '2026-03-01T13:00:00Z', flatEntry(withAccount(other.entry, '3')));
    await load(database, ndjson(flatEntry(entry, requestId), flatEntry(other.entry, other.requestId)));
    assert.equal((await readEntry(database, ours, entry.key))?.status, 'DELETED');
    const waited = await readEntry(database, ours, other.entry.key);
    assert.deepEqual([waited?.status, waited?.requestId], ['ACTIVE', other.requestId]);
    await assertSound(database);
  });

  it('leaves an orphan an orphan when the same base is loaded again', async (t) => {
    const database = await testDatabase(t);
    await load(database, ndjson(flatEntry(entry, requestId)));
    const stored = await readEntry(database, ours, entry.key);
    assert.ok(stored?.status === 'ACTIVE');
    await database.transaction((tx) => writeEntries(tx, [{ ...stored, status: 'ORPHANED', orphanedAt: asOf }]));
    const { result } = await load(database, ndjson(flatEntry(entry, requestId)));
    assert.equal(result.unchanged, 1);
    assert.equal((await readEntry(database, ours, entry.key))?.status, 'ORPHANED');
  });

  it('hands over refused rows with line and reason, and loads the others', async (t) => {
    const database = await testDatabase(t);
    const { result, refused } = await load(
      database,
      ndjson(flatEntry(entry, requestId), 'no json', { ...flatEntry(entry), ispb: 38166 }, '', {
        action: 'key.created',
        payload: {},
      }),
    );
    assert.deepEqual([result.loaded, result.refused], [1, 3]);
    assert.deepEqual(
      refused.map(({ line, decoded, raw }) => [line, decoded.reason, raw.slice(0, 7)]),
      [
        [2, 'not_json', 'no json'],
        [3, 'invalid_field', '{"key":'],
        [5, 'not_an_object', '{"actio'],
      ],
    );
    assert.match(refused[2]?.decoded.detail ?? '', /this is an event/);
  });

  it('takes entries without RequestId in as unresolved, outside the VSync', async (t) => {
    const database = await testDatabase(t);
    const { result } = await load(database, ndjson(flatEntry(entry)));
    assert.equal(result.withoutRequestId, 1);
    assert.equal((await readEntry(database, ours, entry.key))?.status, 'UNRESOLVED');
    assert.equal((await readVSync(database, scope)).keys, 0);
  });
});

const columns = Object.keys(flatEntry(entry, requestId));

function csv(...rows: readonly Record<string, unknown>[]): string {
  const cell = (value: unknown): string => `"${String(value ?? '').replaceAll('"', '""')}"`;
  return [columns.join(','), ...rows.map((row) => columns.map((column) => cell(row[column])).join(','))].join('\r\n');
}

describe('an existing base as CSV', () => {
  it('is the same base as in NDJSON: quotes, commas and ampersands kept, empty cells for nothing', async (t) => {
    const [fromCsv, fromNdjson] = [await testDatabase(t), await testDatabase(t)];
    const samples = [...sampleEntries({ seed: 'csv', participant: ours, keyType: 'CNPJ', count: 60 })].map(
      ({ entry: one, requestId: id }) =>
        flatEntry({ ...one, owner: { ...one.owner, name: `"A", B & ${one.owner.name}`.slice(0, 150) } }, id),
    );
    await load(
      fromCsv,
      csvRows(bytesOf(`\uFEFF${csv(...samples)}\r\n`), () => {}),
    );
    await load(fromNdjson, ndjson(...samples));
    assert.deepEqual(await baseState(fromCsv), await baseState(fromNdjson));
    assert.equal((await baseState(fromCsv)).entries.length, 60);
  });

  it('may have columns that nobody knows, which it is told of', async (t) => {
    const database = await testDatabase(t);
    const text = csv(flatEntry(entry, requestId)).replace('request_id', 'request_id,colour').replace(/$/, ',"blue"');
    const unknown: string[] = [];
    const { result } = await load(
      database,
      csvRows(bytesOf(text), (names) => unknown.push(...names)),
    );
    assert.deepEqual([result.loaded, unknown], [1, ['colour']]);
  });

  it('hands over rows with too few or too many cells, and goes on', async (t) => {
    const database = await testDatabase(t);
    const text = `${csv(flatEntry(entry, requestId))}\r\na,b\r\n`;
    const { result, refused } = await load(
      database,
      csvRows(bytesOf(text), () => {}),
    );
    assert.deepEqual([result.loaded, result.refused, refused[0]?.decoded.reason], [1, 1, 'malformed_row']);
  });

  for (const [what, text, message] of [
    ['whose header lacks columns that every entry needs', 'key,key_type\n', /header line lacks ispb, account_number/],
    ['whose first line is no CSV', '{"key":"a"}\n{"key":"b"}\n', /first line is no header line/],
    ['whose rows are none', `${columns.join(',')}\n${'a,b\n'.repeat(1_200)}`, /more than 1000 rows on end are not CSV/],
    ['whose header names a column twice', `key,${columns.join(',')}\n`, /names key twice/],
  ] as const) {
    it(`is refused as a whole ${what}`, async (t) => {
      const database = await testDatabase(t);
      await assert.rejects(
        load(
          database,
          csvRows(bytesOf(text), () => {}),
        ),
        (error) => {
          assert.ok(error instanceof BaseFileRefused);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }
});
