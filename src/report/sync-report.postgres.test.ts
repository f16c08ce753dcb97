/** Reports from their opening to their dropping, their totals and their sealed details. */

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { testDatabase } from '../../test/support/database.ts';
import type { Sql } from '../platform/postgres/database.ts';
import { DetailsUnreadable, openDetails, parseDetailsKeys, sealDetails } from './details-cipher.ts';
import { summariseReports } from './report-summary.ts';
import { closeReport, dropReportsBefore, findReport, listReports, openReport, type ReportFigures } from './sync-report.ts';

const startedAt = new Date('2026-03-01T03:00:00.000Z');
const completedAt = new Date('2026-03-01T03:02:00.000Z');
const none: ReportFigures = {
  verificationsSent: 1,
  totalKeysLocal: 1_000,
  totalKeysBacen: null,
  missingLocal: 0,
  outdatedLocal: 0,
  orphaned: 0,
  duplicated: 0,
  unresolved: 0,
  altered: 0,
  entriesCreated: 0,
  entriesUpdated: 0,
  entriesDeleted: 0,
  divergencesOpen: 0,
  byCidReads: 0,
  filesRequested: 0,
};

async function run(
  sql: Sql,
  changed: Partial<ReportFigures>,
  status: 'COMPLETED' | 'PARTIAL' | 'FAILED',
  at = startedAt,
): Promise<string> {
  const opening = {
    id: randomUUID(),
    startedAt: at,
    participant: '00038166',
    keyType: 'CPF',
    syncType: 'RECONCILIATION',
    requestedBy: 'test',
  };
  await openReport(sql, opening);
  const result = {
    status,
    outcome: 'in-sync (ok)',
    completedAt,
    figures: { ...none, ...changed },
    errorMessage: null,
    details: null,
  };
  await closeReport(sql, opening, result);
  return opening.id;
}

describe('sync reports', () => {
  it('stand as RUNNING from the start; opening twice leaves one row; closing fills it', async (t) => {
    const database = await testDatabase(t);
    const opening = {
      id: randomUUID(),
      startedAt,
      participant: '00038166',
      keyType: 'CPF',
      syncType: 'RECONCILIATION',
      requestedBy: 'test',
    };
    await openReport(database, opening);
    await openReport(database, opening);
    const [running, ...more] = await listReports(database, { limit: 10 });
    assert.equal(more.length, 0);
    assert.deepEqual([running?.status, running?.figures], ['RUNNING', null]);

    const figures = { ...none, missingLocal: 3, outdatedLocal: 2, totalKeysBacen: 1_003 };
    await closeReport(database, opening, {
      status: 'PARTIAL',
      outcome: 'diverged',
      completedAt,
      figures,
      errorMessage: 'one left',
      details: null,
    });
    const report = await findReport(database, opening.id);
    assert.deepEqual(report?.figures, figures);
    assert.deepEqual([report?.status, report?.durationMs, report?.keysInSync], ['PARTIAL', 120_000, 998]);
  });

  it('may be opened by many runs at once in a year that has no partition yet', async (t) => {
    const database = await testDatabase(t);
    await Promise.all(Array.from({ length: 10 }, () => run(database, {}, 'COMPLETED', new Date('2031-01-01T00:00:00Z'))));
    assert.equal((await listReports(database, { limit: 100 })).length, 10);
  });

  it('are dropped by whole years only', async (t) => {
    const database = await testDatabase(t);
    await run(database, {}, 'COMPLETED', new Date('2018-12-31T23:59:59Z'));
    await run(database, {}, 'COMPLETED', new Date('2019-06-01T00:00:00Z'));
    await run(database, {}, 'COMPLETED');
    assert.deepEqual(await dropReportsBefore(database, new Date('2019-05-01T00:00:00Z')), [2018]);
    assert.equal((await listReports(database, { limit: 10 })).length, 2);
  });

  it('add up to a summary that holds each figure against its target', async (t) => {
    const database = await testDatabase(t);
    await run(database, { missingLocal: 30, orphaned: 1 }, 'COMPLETED');
    await run(database, {}, 'FAILED', new Date('2026-02-20T03:00:00.000Z'));
    await run(database, { missingLocal: 999 }, 'COMPLETED', new Date('2025-12-01T03:00:00.000Z'));
    const { totals, targets } = await summariseReports(database, {
      since: new Date('2026-02-01T00:00:00Z'),
      until: new Date('2026-03-03T00:00:00Z'),
    });
    assert.deepEqual([totals.runs, totals.failed, totals.missingLocal, totals.keys], [2, 1, 30, 1_000]);
    const met = Object.fromEntries(targets.map((target) => [target.name, target.met]));
    assert.deepEqual(met, {
      'divergence rate, % of keys': false,
      'missing here, a day': true,
      orphaned: false,
      'outdated here': true,
      'runs that ended well, %': false,
      'runs failed, a month': false,
    });
  });
});

describe('the details of a report', () => {
  const keys = parseDetailsKeys(`1:${randomBytes(32).toString('base64')},2:${randomBytes(32).toString('base64')}`);

  it('are sealed under the newest key and read back under their own', () => {
    const sealed = sealDetails(keys, 'report-1', { divergences: [{ kind: 'orphaned' }] });
    assert.equal(sealed?.keyVersion, 2);
    assert.ok(sealed);
    assert.deepEqual(openDetails(keys, 'report-1', sealed), { divergences: [{ kind: 'orphaned' }] });
  });

  it('cannot be read when altered, moved to another report, or without their key', () => {
    const sealed = sealDetails(keys, 'report-1', { a: 1 });
    assert.ok(sealed);
    const altered = Buffer.from(sealed.sealed);
    altered[40] = (altered[40] ?? 0) ^ 1;
    assert.throws(() => openDetails(keys, 'report-1', { ...sealed, sealed: altered }), DetailsUnreadable);
    assert.throws(() => openDetails(keys, 'report-2', sealed), DetailsUnreadable);
    assert.throws(() => openDetails(new Map(), 'report-1', sealed), /key version 2 is not configured/);
  });

  it('are not kept where no key is configured', () => assert.equal(sealDetails(new Map(), 'report-1', {}), null));

  for (const wrong of [
    '',
    '1',
    '0:AAAA',
    '1:AAAA',
    `1:${Buffer.alloc(32).toString('base64')},1:${Buffer.alloc(32).toString('base64')}`,
  ]) {
    it(`refuses the keys "${wrong.slice(0, 12)}" without repeating them`, () => {
      assert.throws(
        () => parseDetailsKeys(wrong),
        (error: Error) => error instanceof TypeError && !error.message.includes('AAAA'),
      );
    });
  }
});
