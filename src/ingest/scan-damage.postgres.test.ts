/**
 * Whatever is done to a base behind the system's back, a scan finds exactly what judging every key by itself finds: every kind of damage,
 * several at once, interrupted anywhere, on several threads, after the tables were rewritten.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { testDatabase } from '../../test/support/database.ts';
import { findingLine, findingsKeyByKey, sumFindingsOneByOne } from '../../test/support/key-by-key.ts';
import { received } from '../../test/support/key-events.ts';
import { computeCid } from '../cid/cid.ts';
import { participant } from '../dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../dict/sample-entries.ts';
import { flatEntry } from '../event/flat-entry.ts';
import { systemClock } from '../platform/clock.ts';
import type { Database } from '../platform/postgres/database.ts';
import { DatabaseUnavailable } from '../platform/postgres/errors.ts';
import { foldBuckets } from '../vsync/bucket-store.ts';
import type { ScanProgress } from './filter-passes.ts';
import { ingestBatch } from './ingest-batch.ts';
import { rebuildScopes } from './rebuild.ts';
import { type ScanDeps, scanScopes } from './scan.ts';
import { readUnfinished, ScanTakenOver } from './scan-run.ts';
import { readKeyFindings } from './scan-store.ts';

const ours = participant('00038166');
const others = participant('99999004');
const scopes = [
  { participant: ours, keyType: 'CPF' },
  { participant: ours, keyType: 'PHONE' },
  { participant: others, keyType: 'PHONE' },
] as const;
const samples = scopes.flatMap((scope, n) => [...sampleEntries({ ...scope, seed: `damage ${n}`, count: [25, 100, 25][n] ?? 0 })]);

type Base = Database & { readonly url: string };

async function base(t: TestContext): Promise<Base> {
  const database = await testDatabase(t);
  const created = samples.map(({ entry, requestId }, n) => ({
    action: 'key.created',
    event_id: `c${n}`,
    occurred_at: '2026-03-01T12:00:00Z',
    payload: flatEntry(entry, requestId),
  }));
  const deleted = samples.slice(0, 9).map(({ entry }, n) => ({
    action: 'key.deleted',
    event_id: `d${n}`,
    occurred_at: '2026-03-02T12:00:00Z',
    payload: { key: entry.key, ispb: entry.account.participant },
  }));
  await ingestBatch({ database, clock: systemClock }, received(...created));
  await ingestBatch({ database, clock: systemClock }, received(...deleted));
  // Orphans, and one that was kept, as repairs leave them: outside the VSync, with their CIDs removed.
  for (const [n, { entry }] of samples.slice(40, 50).entries()) {
    await database.query(`UPDATE dict_entries SET status = $2 WHERE key = $1`, [entry.key, n < 9 ? 'ORPHANED' : 'PENDING']);
    await database.query('UPDATE dict_cids SET removed_seq = added_seq WHERE key = $1', [entry.key]);
  }
  for await (const _ of rebuildScopes({ database, clock: systemClock }, scopes, { id: randomUUID(), acceptAltered: false }));
  for (const scope of scopes) await foldBuckets(database, scope);
  return database;
}

/** Smaller than the base, so that every seam is crossed. */
const small = { rangeBlocks: 1, checkpointMs: 0, bucketsPerBatch: 3, sliceKeys: 7, lanes: 2 };

/** All that a scan finds, as lines; goes on under the id where that was interrupted. */
async function found(database: Base, scanId: string, how: Partial<ScanDeps> = {}): Promise<string[]> {
  const { settings, ...others } = how;
  const deps = { database, clock: systemClock, ...others, settings: { ...small, ...settings } };
  const lines: string[] = [];
  for await (const { scope, counts, scopeFindings } of scanScopes(deps, scopes, scanId)) {
    const name = `${scope.participant} ${scope.keyType}`;
    const findings = await readKeyFindings(database, scanId, scope, { after: 0, limit: 10_000 });
    const { altered, missing, surplus, duplicated } = counts;
    assert.equal(findings.length, altered + missing + surplus + duplicated, 'what is counted is kept');
    lines.push(...findings.map((finding) => `${name} ${findingLine(finding)}`));
    lines.push(...scopeFindings.map(({ kind, detail }) => `${name} ${kind}: ${detail}`));
  }
  return lines.sort();
}

/** The same as the oracle finds it. */
async function expected(database: Base): Promise<string[]> {
  const lines: string[] = [];
  for (const scope of scopes) {
    const name = `${scope.participant} ${scope.keyType}`;
    lines.push(...(await findingsKeyByKey(database, scope)).map((finding) => `${name} ${findingLine(finding)}`));
    lines.push(...(await sumFindingsOneByOne(database, scope)).map((line) => `${name} ${line}`));
  }
  return lines.sort();
}

const nobody = Buffer.alloc(32, 7);
/** Every way to damage a key behind the system's back; `$1` is the key. `other` is a further key of the same scope. */
const damages: readonly {
  readonly what: string;
  readonly sql: string;
  readonly values?: (one: SampleEntry, other: SampleEntry) => unknown[];
  /** The first key that it can be done to. */
  readonly from?: number;
}[] = [
  ...['owner_name', 'owner_trade_name', 'branch', 'account_number', 'owner_tax_id'].map((column) => ({
    what: `${column} changed`,
    sql: `UPDATE dict_entries SET ${column} = coalesce(${column}, '') || '1' WHERE key = $1`,
  })),
  { what: 'the case of a name changed', sql: 'UPDATE dict_entries SET owner_name = upper(owner_name) WHERE key = $1' },
  { what: 'a name made enormous', sql: `UPDATE dict_entries SET owner_name = repeat('x', 1500000) WHERE key = $1` },
  { what: 'an account type changed', sql: `UPDATE dict_entries SET account_type = 'OTHR' WHERE key = $1` },
  { what: 'a trade name taken away', sql: 'UPDATE dict_entries SET owner_trade_name = NULL WHERE key = $1' },
  { what: 'a RequestId changed', sql: 'UPDATE dict_entries SET request_id = gen_random_uuid() WHERE key = $1' },
  { what: 'the CID of a row overwritten', sql: 'UPDATE dict_entries SET cid = $2 WHERE key = $1', values: () => [nobody] },
  {
    what: 'a row changed together with its CID',
    sql: 'UPDATE dict_entries SET account_number = $2, cid = $3 WHERE key = $1',
    values: ({ entry, requestId }) => [
      '0000000001',
      computeCid({ ...entry, account: { ...entry.account, accountNumber: '0000000001' } }, requestId),
    ],
  },
  { what: 'a key changed', sql: `UPDATE dict_entries SET key = key || '0' WHERE key = $1` },
  { what: 'a key type changed', sql: `UPDATE dict_entries SET key_type = 'EVP' WHERE key = $1` },
  {
    what: 'two CIDs exchanged between rows',
    sql: `UPDATE dict_entries SET cid = (SELECT max(e.cid) FROM dict_entries e WHERE e.key IN ($1, $2) AND e.cid <> dict_entries.cid)
      WHERE key IN ($1, $2) AND cid IS NOT NULL`,
    values: (_, { entry }) => [entry.key],
  },
  {
    what: 'two keys exchanged in the history',
    sql: 'UPDATE dict_cids SET key = CASE key WHEN $1 THEN $2 ELSE $1 END WHERE key IN ($1, $2)',
    values: (_, { entry }) => [entry.key],
  },
  { what: 'a row deleted', sql: 'DELETE FROM dict_entries WHERE key = $1' },
  ...['ORPHANED', 'PENDING', 'DELETED'].map((status) => ({
    what: `made ${status}`,
    sql: `UPDATE dict_entries SET status = '${status}' WHERE key = $1 AND cid IS NOT NULL`,
  })),
  { what: 'made ACTIVE', from: 40, sql: `UPDATE dict_entries SET status = 'ACTIVE' WHERE key = $1 AND cid IS NOT NULL` },
  {
    what: 'made UNRESOLVED',
    sql: `UPDATE dict_entries SET status = 'UNRESOLVED', cid = NULL, request_id = NULL WHERE key = $1 AND status <> 'DELETED'`,
  },
  { what: 'the history deleted', sql: 'DELETE FROM dict_cids WHERE key = $1' },
  { what: 'the history marked as removed', sql: 'UPDATE dict_cids SET removed_seq = added_seq WHERE key = $1' },
  { what: 'the history marked as removed in times to come', sql: 'UPDATE dict_cids SET removed_seq = 1000000 WHERE key = $1' },
  {
    what: 'the history dated in times to come',
    sql: 'UPDATE dict_cids SET added_seq = 1000000, removed_seq = NULL WHERE key = $1',
  },
  { what: 'a removed CID counted again', sql: 'UPDATE dict_cids SET removed_seq = NULL WHERE key = $1' },
  {
    what: 'a further CID counted',
    sql: `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, added_at, source, algorithm)
      SELECT participant, key_type, sha256(cid), key, added_seq, added_at, source, algorithm FROM dict_cids WHERE key = $1
      ON CONFLICT DO NOTHING`,
  },
  {
    what: 'its own CID counted twice',
    sql: `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, added_at, source, algorithm)
      SELECT participant, key_type, cid, key, added_seq + 1, added_at, source, algorithm FROM dict_cids WHERE key = $1
      ON CONFLICT DO NOTHING`,
  },
  {
    what: 'a CID counted for a key that nobody has',
    sql: `INSERT INTO dict_cids (participant, key_type, cid, key, added_seq, added_at, source, algorithm)
      SELECT participant, key_type, sha256(cid), 'nobody ' || key, added_seq, added_at, source, algorithm FROM dict_cids WHERE key = $1
      ON CONFLICT DO NOTHING`,
  },
];

async function damage(database: Database, which: number, keyNumber: number): Promise<void> {
  const { sql, values } = damages[which % damages.length] ?? { sql: 'SELECT $1' };
  const one = samples[keyNumber % samples.length];
  const other = samples[(keyNumber + 1) % samples.length];
  assert(one !== undefined && other !== undefined);
  await database.query(sql, [one.entry.key, ...(values?.(one, other) ?? [])]);
}

/** Does it to the first key from that one on which it does harm to; answers what is wrong then. */
async function harm(database: Base, which: number, keyNumber: number): Promise<string[]> {
  const before = await expected(database);
  for (let tries = 0; tries < samples.length; tries++) {
    await damage(database, which, keyNumber + tries);
    const after = await expected(database);
    if (after.join() !== before.join()) return after;
  }
  throw new Error(`${damages[which]?.what} does no harm to any key`);
}

describe('a scan of a damaged base', () => {
  it('finds nothing where there is no damage, tombstones and orphans among the rows', async (t) => {
    const database = await base(t);
    assert.deepEqual(await found(database, randomUUID()), []);
    assert.deepEqual(await expected(database), []);
  });

  it('finds each kind of damage, exactly as judging key by key does', async (t) => {
    const database = await base(t);
    for (const [which, { what, from }] of damages.entries()) {
      const wanted = await harm(database, which, from ?? 3 * which + 50);
      assert.deepEqual(await found(database, randomUUID()), wanted, what);
    }
  });

  it('finds any number of them at once', async (t) => {
    const database = await base(t);
    const any = fc.array(fc.tuple(fc.nat({ max: damages.length - 1 }), fc.nat({ max: samples.length - 1 })), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(any, fc.integer({ min: 1, max: 9 }), async (given, rangeBlocks) => {
        for (const [which, keyNumber] of given) await damage(database, which, keyNumber).catch(ignoreRefusal);
        assert.deepEqual(await found(database, randomUUID(), { settings: { rangeBlocks } }), await expected(database));
      }),
      { numRuns: 12, endOnFailure: true },
    );
  });

  it('is the same interrupted and resumed at every point, by a signal or by the end of the process', async (t) => {
    const database = await base(t);
    for (const which of damages.keys()) await damage(database, which, 3 * which + 50).catch(ignoreRefusal);
    const wanted = await expected(database);
    let points = 0;
    const count = () => {
      points += 1;
    };
    assert.deepEqual(await found(database, randomUUID(), { onProgress: count }), wanted);
    assert.ok(points > 12, `${points} points`);
    for (let point = 1; point <= points; point++) {
      const scanId = randomUUID();
      const isKilled = point % 2 === 0;
      const interruption = new AbortController();
      let seen = 0;
      const onProgress = () => {
        seen += 1;
        if (seen !== point) return;
        if (isKilled) throw new Error('killed');
        interruption.abort(new Error('interrupted'));
      };
      const first = found(database, scanId, { onProgress, signal: interruption.signal });
      await first.then(
        (lines) => assert.deepEqual(lines, wanted),
        (cause) => assert.match(String(cause), isKilled ? /killed/ : /interrupted/),
      );
      assert.deepEqual(await found(database, scanId), wanted, `point ${point}`);
      assert.deepEqual(await readUnfinished(database, 'scan'), []);
    }
  });

  it('does not do again what was done when it was interrupted', async (t) => {
    const database = await base(t);
    await database.query('ANALYZE dict_entries');
    const scanId = randomUUID();
    const interruption = new AbortController();
    const seen: ScanProgress[] = [];
    const onProgress = (progress: ScanProgress) => {
      seen.push(progress);
      if (seen.length === 2) interruption.abort(new Error('interrupted'));
    };
    await assert.rejects(found(database, scanId, { onProgress, signal: interruption.signal }), /interrupted/);
    const before = seen.splice(0).at(-1);
    assert.deepEqual(await found(database, scanId, { onProgress }), []);
    assert.ok(before?.phase === 'entries' && seen[0]?.phase === 'entries');
    assert.ok(seen[0].done > before.done, `${seen[0].done} after ${before.done} of ${before.total}`);
  });

  it('starts over where the rows were rewritten meanwhile', async (t) => {
    const database = await base(t);
    for (const which of damages.keys()) await damage(database, which, 3 * which + 50).catch(ignoreRefusal);
    const scanId = randomUUID();
    const interruption = new AbortController();
    await assert.rejects(
      found(database, scanId, { onProgress: () => interruption.abort(new Error('x')), signal: interruption.signal }),
    );
    await database.query('VACUUM FULL dict_entries');
    assert.deepEqual(await found(database, scanId), await expected(database));
  });

  it('is the same read by threads, and by the index where a participant has few of the rows', async (t) => {
    const database = await base(t);
    for (const which of damages.keys()) await damage(database, which, 3 * which + 50).catch(ignoreRefusal);
    const wanted = await expected(database);
    assert.deepEqual(await found(database, randomUUID(), { settings: { threadsFromBlocks: 0 } }), wanted);
    // As if the table had been analysed with far more rows.
    await database.query(`UPDATE pg_class SET reltuples = 1000000 WHERE relname = 'dict_entries'`);
    assert.deepEqual(await found(database, randomUUID()), wanted);
  });

  it('goes on when the database is there again', async (t) => {
    const database = await base(t);
    const scanId = randomUUID();
    const url = new URL(database.url);
    url.port = '1';
    const settings = { threadsFromBlocks: 0 };
    await assert.rejects(found({ ...database, url: url.href }, scanId, { settings }), DatabaseUnavailable);
    assert.equal((await readUnfinished(database, 'scan'))[0]?.id, scanId);
    assert.deepEqual(await found(database, scanId, { settings }), []);
  });

  it('ends where another process goes on with it', async (t) => {
    const database = await base(t);
    const scanId = randomUUID();
    let second: Promise<string[]> | undefined;
    const onProgress = ({ phase }: ScanProgress) => {
      if (phase === 'cids') second ??= found(database, scanId);
    };
    await assert.rejects(found(database, scanId, { onProgress }), ScanTakenOver);
    assert.deepEqual(await second, []);
  });

  it('ends so too where it is taken over while it judges', async (t) => {
    const database = await base(t);
    // Of the key type that is judged first.
    for (const which of damages.keys()) await damage(database, which, which + 10).catch(ignoreRefusal);
    const wanted = await expected(database);
    const scanId = randomUUID();
    let second: string[] | undefined;
    const overtaken: Base = {
      ...database,
      transaction: (work, how) =>
        database.transaction(async (tx) => {
          const isJudging = how?.isolation === 'repeatable read' && how.readOnly !== true;
          if (isJudging && second === undefined) {
            // From here on this transaction sees the base as it is now.
            await tx.query('SELECT count(*) FROM scan_runs');
            second = await found(database, scanId);
          }
          return await work(tx);
        }, how),
    };
    await assert.rejects(found(overtaken, scanId), ScanTakenOver);
    assert.deepEqual(second, wanted);
  });

  it('judges under another algorithm by that', async (t) => {
    const database = await base(t);
    await database.query(`UPDATE dict_participants SET cid_algorithm = 'canonical-json-1.0' WHERE participant = $1`, [others]);
    const wanted = await expected(database);
    assert.equal(wanted.filter((line) => line.startsWith(`${others} PHONE altered`)).length, 25);
    assert.deepEqual(await found(database, randomUUID()), wanted);
  });
});

/** Some damages on top of others break the table's own rules: nothing happens then. */
function ignoreRefusal(cause: unknown): void {
  assert.match(String(cause), /duplicate key|check constraint|not-null/);
}
