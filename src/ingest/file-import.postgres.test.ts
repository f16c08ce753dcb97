/** `import` of a file: whichever way its rows take, the base is what row by row makes of it. Killed imports are test/import-kill.postgres.test.ts. */

import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { testDatabase } from '../../test/support/database.ts';
import { fileOf, importedAsOf, importOf, isClean, smallLimits, withOtherAlgorithm } from '../../test/support/imported-file.ts';
import { type EventText, oneSample, received, withAccount } from '../../test/support/key-events.ts';
import { assertSound, baseState } from '../../test/support/stored-state.ts';
import type { Entry } from '../dict/entry.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { systemClock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { readBuckets } from '../vsync/bucket-store.ts';
import { readAllVSyncs } from '../vsync/vsync-store.ts';
import { type ImportResult, importBase } from './entry-import.ts';
import { readEntry } from './entry-store.ts';
import { ImportUnderWay } from './file-import.ts';
import { BaseFileRefused, csvRows, ndjsonRows, ROW_BYTES_MAX } from './import-file.ts';
import { lockImports } from './import-run.ts';
import { ingestBatch } from './ingest-batch.ts';

const participants = ['00038166', '60701190'] as const;
/** Few keys, so that a short file meets the same one again. */
const pool = participants.flatMap((ispb) => KEY_TYPES.map((keyType) => oneSample(keyType, 'pool', ispb)));
const otherRequestId = '0a0b0c0d-0e0f-4a1b-8c1d-2e3f4a5b6c7d';

const instant = fc
  .date({ min: new Date('1900-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true })
  .map((date) => date.toISOString());

/** A row of the file: an entry of the pool with one of a few contents, or something that is none. */
const row = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      sample: fc.constantFrom(...pool),
      account: fc.constantFrom('1', '2', '3'),
      id: fc.constantFrom('own', 'own', 'own', 'none', 'other'),
      opened: fc.option(instant, { freq: 3 }),
      registered: fc.option(instant, { freq: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom('no json', '{}', '', '  ', '[1]') },
);

function lineOf(given: typeof row extends fc.Arbitrary<infer Row> ? Row : never): string {
  if (typeof given === 'string') return given;
  const { sample, account, id, opened, registered } = given;
  const requestId = { own: sample.requestId, none: null, other: otherRequestId }[id] ?? null;
  return JSON.stringify({
    ...flatEntry(withAccount(sample.entry, account), requestId),
    ...(opened === null ? {} : { account_opened_at: opened }),
    ...(registered === null ? {} : { registered_at: registered }),
  });
}

/** What happened to a key before the import is run: earlier than, at, or after its time. */
const event = fc.record({
  sample: fc.constantFrom(...pool),
  account: fc.constantFrom('1', '2', '3'),
  action: fc.constantFrom('key.created', 'key.updated', 'key.deleted'),
  minutes: fc.constantFrom(-60, 0, 60),
});

type PastEvent = typeof event extends fc.Arbitrary<infer Event> ? Event : never;

async function live(database: Database, events: readonly PastEvent[]): Promise<void> {
  const texts = events.map(({ sample, account, action, minutes }, n): EventText => {
    const { entry, requestId } = sample;
    const changed = flatEntry(withAccount(entry, account), action === 'key.created' ? requestId : null);
    const deleted = { key: entry.key, key_type: entry.keyType, ispb: entry.account.participant };
    const occurredAt = new Date(importedAsOf.getTime() + minutes * 60_000).toISOString();
    return { action, event_id: `p${n}`, occurred_at: occurredAt, payload: action === 'key.deleted' ? deleted : changed };
  });
  if (texts.length > 0) await ingestBatch({ database, clock: systemClock }, received(...texts));
}

/** Every CID that was ever met, beside what the base is. */
async function wholeState(database: Database): Promise<unknown> {
  const { rows } = await database.query<{ cid: string; key: string }>(
    `SELECT DISTINCT participant, key_type, encode(cid, 'hex') AS cid, key, algorithm FROM dict_cids ORDER BY 1, 2, 3, 4`,
  );
  const { rows: dates } = await database.query<{ key: string }>(
    'SELECT participant, key, registered_at, participant_registered_at, synced_from, external_id FROM dict_entries ORDER BY 1, 2',
  );
  return { ...(await baseState(database)), cids: rows, dates };
}

/** Row by row, in one batch after the other: what the base has to be. */
async function rowByRow(database: Database, lines: readonly string[], asOf = importedAsOf): Promise<ImportResult> {
  async function* bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const line of lines) yield Buffer.from(`${line}\n`);
  }
  return await importBase({ database, clock: systemClock, batchRows: 7 }, ndjsonRows(bytes()), asOf, async () => {});
}

/** Runs the property's body with clones that go when the run ends, not when the test does. */
async function withDatabases(work: (database: () => Promise<Database>, run: TestContext) => Promise<void>): Promise<void> {
  const endings: (() => unknown)[] = [];
  // Of a test's context only `after` is used.
  const run = { after: (ending: () => unknown) => endings.push(ending) } as unknown as TestContext;
  try {
    await work(() => testDatabase(run), run);
  } finally {
    for (const ending of endings.toReversed()) await ending();
  }
}

describe('import of a file', () => {
  it('makes the base that row by row makes, whatever is in it and in the file, and the second time changes nothing', async () => {
    const runs = fc.asyncProperty(
      fc.array(row, { maxLength: 60 }).map((rows) => rows.map(lineOf)),
      fc.array(event, { maxLength: 12 }),
      fc.boolean(),
      fc.constantFrom(0, 2),
      fc.constantFrom(0, 90_000),
      async (lines, past, otherAlgorithm, workers, laterMs) => {
        await withDatabases(async (newDatabase, context) => {
          const [wanted, database] = [await newDatabase(), await newDatabase()];
          for (const each of [wanted, database]) {
            if (otherAlgorithm) await withOtherAlgorithm(each, participant(participants[1]));
            await live(each, past);
          }
          const file = fileOf(context, lines);
          for (const asOf of [importedAsOf, new Date(importedAsOf.getTime() + laterMs)]) {
            const result = await importOf(database, file, { workers, asOf });
            assert.deepEqual(result, await rowByRow(wanted, lines, asOf));
            assert.deepEqual(await wholeState(database), await wholeState(wanted));
            // Throws where their XOR or count is not the VSync's. A scan of every scope in every run takes minutes.
            for (const { scope } of await readAllVSyncs(database)) await readBuckets(database, scope);
            assert.ok(await isClean(database));
          }
          await assertSound(database);
        });
      },
    );
    await fc.assert(runs, { numRuns: 15 });
  });

  it('takes a base of several participants over whole: history from seq 1 on, buckets, and nothing journalled', async (t) => {
    const database = await testDatabase(t);
    const samples = participants.flatMap((ispb) =>
      KEY_TYPES.flatMap((keyType) => [...sampleEntries({ seed: 9, participant: participant(ispb), keyType, count: 400 })]),
    );
    const file = fileOf(
      t,
      samples.map(({ entry, requestId }) => JSON.stringify(flatEntry(entry, requestId))),
    );
    const phases = new Set<string>();
    const result = await importOf(database, file, { workers: 2, listener: { onProgress: ({ phase }) => phases.add(phase) } });
    assert.deepEqual([result.loaded, result.participants], [4_000, [...participants]]);
    assert.deepEqual([...phases], ['loading', 'building indexes']);
    const { rows } = await database.query<{ seq: number; added: number; bulk: number }>(
      `SELECT (SELECT max(seq) FROM dict_vsyncs) AS seq, (SELECT max(added_seq) FROM dict_cids) AS added,
         (SELECT count(*) FROM dict_vsync_changes WHERE changes IS NULL) AS bulk`,
    );
    assert.deepEqual(rows, [{ seq: 1, added: 1, bulk: 10 }]);
    await assertSound(database);
    // The base goes on as any other.
    const { entry } = oneSample('EMAIL', 9);
    await ingestBatch(
      { database, clock: systemClock },
      received({ action: 'key.updated', occurred_at: '2026-03-02T00:00:00Z', payload: flatEntry(withAccount(entry, '77')) }),
    );
    assert.equal((await readEntry(database, participant('00038166'), entry.key))?.entry?.account.accountNumber, '77');
    await assertSound(database);
  });
});

const lines = pool.map(({ entry, requestId }) => JSON.stringify(flatEntry(entry, requestId)));

describe('an import that meets another, is interrupted, or meets a file that is none', () => {
  it('waits for no other import: it says that one is under way', async (t) => {
    const database = await testDatabase(t);
    await database.transaction(async (tx) => {
      assert.ok(await lockImports(tx));
      await assert.rejects(importOf(database, fileOf(t, lines)), (error) => error instanceof ImportUnderWay);
    });
    assert.equal((await importOf(database, fileOf(t, lines))).loaded, lines.length);
  });

  it('goes on after an interruption where it ended, and says so; another file or time begins anew', async (t) => {
    const database = await testDatabase(t);
    const [file, other] = [fileOf(t, [...lines, 'no json', ...lines.slice(0, 2)]), fileOf(t, lines)];
    const interrupt = async (name: string, commits: number): Promise<void> => {
      const interruption = new AbortController();
      let told = 0;
      const onProgress = ({ bytes }: { readonly bytes: number }): void => {
        if (bytes > 0 && ++told > commits) interruption.abort(new Error('enough'));
      };
      const given = { signal: interruption.signal, commitBytes: 1, listener: { onProgress } };
      await assert.rejects(importOf(database, name, given), { message: 'enough' });
    };
    const resumedAfter = async (name: string, given: object = {}): Promise<[number | null, ImportResult]> => {
      let rows: number | null = null;
      const onResumed = (known: number): void => {
        rows = known;
      };
      const result = await importOf(database, name, { listener: { onResumed }, ...given });
      return [rows, result];
    };
    await interrupt(file, 4);
    assert.equal((await baseState(database)).entries.length, 0);
    await interrupt(other, 4);
    const [afterOther, first] = await resumedAfter(file);
    assert.equal(afterOther, null);
    assert.deepEqual([first.rows, first.loaded, first.unchanged, first.refused], [lines.length + 3, lines.length, 2, 1]);
    await interrupt(file, 6);
    const [after, second] = await resumedAfter(file);
    assert.ok(after !== null && after > 0, String(after));
    assert.deepEqual([second.rows, second.unchanged, second.refused], [lines.length + 3, lines.length + 2, 1]);
    assert.equal(readFileSync(`${file}.refused.ndjson`, 'utf8').trim().split('\n').length, 1);
    await interrupt(file, 6);
    const [atOtherTime] = await resumedAfter(file, { asOf: new Date(importedAsOf.getTime() + 1) });
    assert.equal(atOtherTime, null);
    await assertSound(database);
  });

  it('begins anew where the refused rows of what it loaded are gone', async (t) => {
    const database = await testDatabase(t);
    const file = fileOf(t, ['no json', ...lines]);
    const interruption = new AbortController();
    const onProgress = ({ bytes }: { readonly bytes: number }): void => {
      if (bytes > 3_000) interruption.abort(new Error('enough'));
    };
    await assert.rejects(importOf(database, file, { signal: interruption.signal, commitBytes: 1, listener: { onProgress } }));
    writeFileSync(`${file}.refused.ndjson`, '');
    await importOf(database, file, { listener: { onResumed: () => assert.fail('it went on') } });
    assert.match(readFileSync(`${file}.refused.ndjson`, 'utf8'), /"line":1,"reason":"not_json"/);
  });

  it('refuses a file that changes while it is read, and leaves nothing of it', async (t) => {
    const database = await testDatabase(t);
    const file = fileOf(t, lines);
    let changed = false;
    const onProgress = (): void => {
      if (!changed) appendFileSync(file, `${lines[0]}\n`);
      changed = true;
    };
    await assert.rejects(
      importOf(database, file, { listener: { onProgress } }),
      (error) =>
        error instanceof BaseFileRefused && /it changed while it was read; nothing of it is in the base/.test(error.message),
    );
    assert.equal((await baseState(database)).entries.length, 0);
    assert.ok(await isClean(database));
  });

  it('takes an empty file for a base without entries, and a line of any length for one row', async (t) => {
    const database = await testDatabase(t);
    const empty = await importOf(database, fileOf(t, []));
    assert.deepEqual([empty.rows, empty.participants], [0, []]);
    const long = fileOf(t, [
      lines[0] ?? '',
      'x'.repeat(ROW_BYTES_MAX * 3),
      lines[1] ?? '',
      `{"a":"${'y'.repeat(ROW_BYTES_MAX)}"}`,
    ]);
    const result = await importOf(database, long, { blockBytes: 300_000 });
    assert.deepEqual([result.loaded, result.refused], [2, 2]);
    const refused = readFileSync(`${long}.refused.ndjson`, 'utf8')
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text));
    assert.deepEqual(
      refused.map(({ line, reason, detail, row: kept }) => [line, reason, detail.slice(0, 40), kept.length]),
      [
        [2, 'line_too_long', `entry: the line has ${ROW_BYTES_MAX * 3} bytes; at most`.slice(0, 40), ROW_BYTES_MAX],
        [4, 'line_too_long', `entry: the line has ${ROW_BYTES_MAX + 8} bytes; at most`.slice(0, 40), ROW_BYTES_MAX],
      ],
    );
    assert.ok(existsSync(long));
    utimesSync(long, new Date(), new Date());
  });
});

describe('a file of CSV', () => {
  const columns = Object.keys(flatEntry(pool[0]?.entry ?? assert.fail(), 'x'));
  const cells = (sample: { entry: Entry; requestId: string }): string => {
    const fields = flatEntry(
      { ...sample.entry, owner: { ...sample.entry.owner, name: sample.entry.owner.name } },
      sample.requestId,
    );
    return columns.map((column) => `"${String(fields[column] ?? '').replaceAll('"', '""')}"`).join(',');
  };

  it('is loaded as row by row, refused rows included, and goes on after an interruption at the right row', async (t) => {
    const [database, wanted] = [await testDatabase(t), await testDatabase(t)];
    const samples = [...sampleEntries({ seed: 'csv', participant: participant('00038166'), keyType: 'CNPJ', count: 3_000 })];
    const text = [columns.join(','), ...samples.map(cells)];
    text.splice(700, 0, 'a,b', '', '1,2,3');
    text.splice(2_500, 0, columns.map(() => 'x').join(','));
    const file = fileOf(t, text, 'base.csv');
    const interruption = new AbortController();
    const onProgress = ({ rows }: { readonly rows: number }): void => {
      if (rows > 0) interruption.abort(new Error('enough'));
    };
    const csvBytes = { ...smallLimits, blockBytes: 100_000, commitBytes: 1 };
    await assert.rejects(importOf(database, file, { ...csvBytes, signal: interruption.signal, listener: { onProgress } }));
    const result = await importOf(database, file, { ...csvBytes, listener: {} });
    async function* bytes(): AsyncGenerator<Uint8Array, void, undefined> {
      yield readFileSync(file);
    }
    const lost: number[] = [];
    const expected = await importBase(
      { database: wanted, clock: systemClock },
      csvRows(bytes(), () => {}),
      importedAsOf,
      async ({ line }) => {
        lost.push(line);
      },
    );
    assert.deepEqual(result, expected);
    assert.deepEqual(await wholeState(database), await wholeState(wanted));
    const refused = readFileSync(`${file}.refused.ndjson`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).line);
    assert.deepEqual(refused, lost);
  });
});
