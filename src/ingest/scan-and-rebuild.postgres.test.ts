/** Damage done to the stored data behind the system's back: what scan calls it and what rebuild makes of it, also beside traffic. */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import { received, withAccount } from '../../test/support/key-events.ts';
import { assertSound, baseState } from '../../test/support/stored-state.ts';
import { participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { systemClock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { foldBuckets } from '../vsync/bucket-store.ts';
import { ingestBatch } from './ingest-batch.ts';
import { rebuildScope } from './rebuild.ts';
import { scanScope } from './scan.ts';
import { readKeyFindings } from './scan-store.ts';

const ours = participant('00038166');
const scope = { participant: ours, keyType: 'PHONE' } as const;
const samples = [...sampleEntries({ seed: 'scan', participant: ours, keyType: 'PHONE', count: 40 })];
const keys = samples.map(({ entry }) => entry.key).sort();

async function base(t: TestContext): Promise<Database> {
  const database = await testDatabase(t);
  const events = samples.map(({ entry, requestId }, n) => ({
    action: 'key.created',
    event_id: `c${n}`,
    occurred_at: '2026-03-01T12:00:00Z',
    payload: flatEntry(entry, requestId),
  }));
  await ingestBatch({ database, clock: systemClock }, received(...events));
  return database;
}

function scan(database: Database) {
  // Slices smaller than the base, so that their seams are crossed.
  return scanScope({ database, clock: systemClock, settings: { sliceKeys: 7 } }, scope, randomUUID());
}

function rebuild(database: Database, acceptAltered = false) {
  return rebuildScope({ database, clock: systemClock, settings: { sliceKeys: 7 } }, scope, { id: randomUUID(), acceptAltered });
}

const nobody = Buffer.alloc(32, 7);

/** What is done behind the system's back, what the scan calls it, and what rebuild makes of it: restored, left, or sums corrected. */
const damages: readonly {
  readonly what: string;
  readonly sql: string;
  readonly values?: readonly unknown[];
  readonly found: Readonly<Record<string, number>>;
  readonly rebuilt: 'restored' | 'left' | 'sums' | 'buckets';
}[] = [
  {
    what: 'an attribute changed',
    sql: `UPDATE dict_entries SET owner_name = 'Outra Pessoa' WHERE key = $1`,
    found: { altered: 1 },
    rebuilt: 'left',
  },
  {
    what: 'a RequestId changed',
    sql: `UPDATE dict_entries SET request_id = '00000000-0000-4000-8000-000000000001' WHERE key = $1`,
    found: { altered: 1 },
    rebuilt: 'left',
  },
  {
    what: 'the CID column of a row overwritten',
    sql: 'UPDATE dict_entries SET cid = $2 WHERE key = $1',
    values: [nobody],
    found: { altered: 1 },
    rebuilt: 'restored',
  },
  { what: 'a row deleted', sql: 'DELETE FROM dict_entries WHERE key = $1', found: { surplus: 1 }, rebuilt: 'left' },
  {
    what: 'a status changed',
    sql: `UPDATE dict_entries SET status = 'PENDING' WHERE key = $1`,
    found: { surplus: 1 },
    rebuilt: 'left',
  },
  {
    what: 'the CID of a key deleted from the history',
    sql: 'DELETE FROM dict_cids WHERE key = $1',
    found: { missing: 1, buckets: 1, vsync: 1, count: 1 },
    rebuilt: 'left',
  },
  {
    what: 'a further CID counted for a key',
    sql: `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, added_at, source, algorithm)
      SELECT participant, key_type, $2, key, added_seq, added_at, source, algorithm FROM dict_cids WHERE key = $1`,
    values: [nobody],
    found: { duplicated: 1, buckets: 1, vsync: 1, count: 1 },
    rebuilt: 'left',
  },
  {
    what: 'a CID counted for a key beyond the last row',
    sql: `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, added_at, source, algorithm)
      SELECT participant, key_type, $2, 'zzz', added_seq, added_at, source, algorithm FROM dict_cids WHERE key = $1`,
    values: [nobody],
    found: { surplus: 1, buckets: 1, vsync: 1, count: 1 },
    rebuilt: 'left',
  },
  {
    what: 'the VSync overwritten',
    sql: 'UPDATE dict_vsyncs SET vsync = $2 WHERE $1 <> key_type',
    values: [nobody],
    found: { vsync: 1 },
    rebuilt: 'sums',
  },
  {
    what: 'the count overwritten',
    sql: 'UPDATE dict_vsyncs SET keys = 1 WHERE $1 <> key_type',
    found: { count: 1 },
    rebuilt: 'sums',
  },
  {
    what: 'a bucket overwritten',
    sql: `UPDATE dict_vsync_buckets SET xors = set_byte(xors, 5, get_byte(xors, 5) # 255) WHERE $1 <> key_type`,
    found: { buckets: 1 },
    rebuilt: 'buckets',
  },
];

async function damage(database: Database, { sql, values = [] }: (typeof damages)[number], key: string): Promise<void> {
  await foldBuckets(database, scope);
  assert.ok((await database.query(sql, [key, ...values])).rowCount > 0);
}

describe('scan', () => {
  it('finds a sound base sound', async (t) => {
    const database = await base(t);
    const result = await scan(database);
    assert.deepEqual([result.clean, result.entries], [true, 40]);
  });

  for (const [index, one] of damages.entries()) {
    it(`finds ${one.what} (${Object.keys(one.found).join(', ')})`, async (t) => {
      const database = await base(t);
      const key = keys[(index * 7) % keys.length] ?? '';
      await damage(database, one, key);
      const result = await scan(database);
      const found = Object.fromEntries(Object.entries(result.counts).filter(([, count]) => count > 0));
      assert.deepEqual([found, result.clean], [one.found, false]);
    });
  }

  it('keeps what it finds, page by page, and starts over under the same id', async (t) => {
    const database = await base(t);
    await database.query(`UPDATE dict_entries SET owner_name = 'Outra Pessoa'`);
    const scanId = randomUUID();
    const deps = { database, clock: systemClock, settings: { sliceKeys: 7, findingsMax: 30 } };
    await scanScope(deps, scope, scanId);
    const result = await scanScope(deps, scope, scanId);
    assert.equal(result.counts.altered, 40);
    const first = await readKeyFindings(database, scanId, scope, { after: 0, limit: 20 });
    const rest = await readKeyFindings(database, scanId, scope, { after: first.at(-1)?.id ?? 0, limit: 20 });
    assert.deepEqual(
      [...first, ...rest].map(({ key }) => key),
      keys.slice(0, 30),
    );
  });

  it('runs beside traffic without finding what is not there', async (t) => {
    const database = await base(t);
    const traffic = changes(database);
    for (let n = 0; n < 6; n++) {
      const { examples, scopeFindings } = await scan(database);
      assert.deepEqual([examples, scopeFindings], [[], []]);
    }
    await traffic;
  });
});

/** Updates, deletes and creations in small batches. */
async function changes(database: Database): Promise<void> {
  for (let round = 0; round < 30; round++) {
    const events = samples.slice(round, round + 8).map(({ entry, requestId }, n) => {
      const occurred_at = new Date(Date.UTC(2026, 2, 2, 0, round, n)).toISOString();
      const event_id = `t${round}-${n}`;
      if ((round + n) % 3 === 0) return { action: 'key.deleted', event_id, occurred_at, payload: { key: entry.key, ispb: ours } };
      const changed = withAccount(entry, String(round * 10 + n));
      return { action: 'key.created', event_id, occurred_at, payload: flatEntry(changed, requestId) };
    });
    await ingestBatch({ database, clock: systemClock }, received(...events));
  }
}

describe('rebuild', () => {
  it('changes nothing in a sound base', async (t) => {
    const database = await base(t);
    const before = await baseState(database);
    const { restored, accepted, left, sumsCorrected } = await rebuild(database);
    assert.deepEqual([restored, accepted, left, sumsCorrected], [0, 0, 0, false]);
    assert.deepEqual(await baseState(database), before);
  });

  for (const [index, one] of damages.entries()) {
    const key = keys[(index * 7) % keys.length] ?? '';
    if (one.rebuilt === 'left') {
      it(`leaves and counts ${one.what}, and takes it for true only when told to`, async (t) => {
        const database = await base(t);
        await damage(database, one, key);
        assert.deepEqual([(await rebuild(database)).left, (await scan(database)).clean], [1, false]);
        assert.deepEqual([(await rebuild(database, true)).accepted, (await scan(database)).clean], [1, true]);
        await assertSound(database);
      });
    } else {
      it(`mends ${one.what} by itself`, async (t) => {
        const database = await base(t);
        const before = await baseState(database);
        await damage(database, one, key);
        const { restored, sumsCorrected, left } = await rebuild(database);
        assert.deepEqual([restored, sumsCorrected, left], [one.rebuilt === 'restored' ? 1 : 0, one.rebuilt === 'sums', 0]);
        assert.deepEqual(await baseState(database), before);
        await assertSound(database);
      });
    }
  }

  it('loses no change that is committed while it runs (R16)', async (t) => {
    const [disturbed, reference] = [await base(t), await base(t)];
    await changes(reference);
    await disturbed.query('UPDATE dict_vsyncs SET vsync = $1', [nobody]);
    const traffic = changes(disturbed);
    const results: Awaited<ReturnType<typeof rebuild>>[] = [];
    for (let n = 0; n < 4; n++) results.push(await rebuild(disturbed));
    await traffic;
    assert.equal(results.filter(({ sumsCorrected }) => sumsCorrected).length, 1);
    assert.deepEqual(await baseState(disturbed), await baseState(reference));
    await assertSound(disturbed);
  });
});
