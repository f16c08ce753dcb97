/** Verdicts as a table: DICT's answer × the stored entry. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { computeCid } from '../cid/cid.ts';
import type { EntryByCid } from '../dict/api.ts';
import { participant } from '../dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../dict/sample-entries.ts';
import type { StoredEntry } from '../ingest/stored-entry.ts';
import { type Circumstances, judgeAlteredRow, judgeDictCid, judgeLocalCid, type Verdict } from './judgement.ts';

const scope = { participant: participant('00038166'), keyType: 'PHONE' as const };
const now = new Date('2026-03-01T12:00:00.000Z');
const daysAgo = (days: number): Date => new Date(now.getTime() - days * 86_400_000);
const there = sample(0);
const other = sample(1);
const cid = computeCid(there.entry, there.requestId);
const around: Circumstances = {
  scope,
  now,
  graceMs: 300_000,
  clockSkewMs: 5_000,
  openClaimGraceMs: 3_600_000,
  provenSeq: null,
  dictAddedAt: null,
};

function sample(first: number): SampleEntry {
  const [entry] = sampleEntries({ seed: 1, ...scope, count: 1, first });
  assert.ok(entry);
  return entry;
}

function answered(openClaimCreationDate: string | null = null): EntryByCid {
  const dates = { creationDate: daysAgo(10).toISOString(), keyOwnershipDate: daysAgo(10).toISOString(), openClaimCreationDate };
  const stamp = { responseTime: now, correlationId: 'c' };
  return {
    ...stamp,
    found: true,
    cid: Buffer.from(cid).toString('hex'),
    requestId: there.requestId,
    entry: { ...there.entry, ...dates },
  };
}

const absent: EntryByCid = { found: false, responseTime: now, correlationId: 'c' };

type Status = StoredEntry['status'];

/** A row for DICT's key, with another account than DICT's unless `same`. */
function row(status: Status, more: { same?: boolean; occurredAt?: Date; byEvent?: boolean } = {}): StoredEntry {
  const account = { ...there.entry.account, accountNumber: '0000000001' };
  const held: SampleEntry = more.same === true ? there : { ...there, entry: { ...there.entry, account } };
  const common = {
    ...scope,
    key: there.entry.key,
    requestIdSince: daysAgo(10),
    registeredAt: null,
    participantRegisteredAt: null,
    externalId: null,
    syncedFrom: null,
    orphanedAt: null,
    occurredAt: more.occurredAt ?? daysAgo(20),
    eventAction: more.byEvent === false ? null : ('key.updated' as const),
    seq: 7,
    updatedAt: now,
  };
  if (status === 'DELETED') return { ...common, status, entry: null, requestId: there.requestId, cid: null };
  if (status === 'UNRESOLVED') return { ...common, status, entry: held.entry, requestId: null, cid: null };
  return { ...common, status, entry: held.entry, requestId: held.requestId, cid: computeCid(held.entry, held.requestId) };
}

function told(verdict: Verdict): string {
  if (verdict.verdict === 'settled') return `settled ${verdict.kind}`;
  return verdict.verdict === 'review' ? `review ${verdict.why}` : verdict.verdict;
}

describe('a CID that only DICT has', () => {
  const old = daysAgo(20);
  const newer = daysAgo(1);
  const fresh = new Date(now.getTime() - 60_000);
  const table: readonly (readonly [string, StoredEntry | null, string])[] = [
    ['no row', null, 'settled missing_local'],
    ['an older deletion', row('DELETED', { occurredAt: old }), 'settled missing_local'],
    ['a newer deletion', row('DELETED', { occurredAt: newer }), 'review newer_here'],
    ['a deletion of just now', row('DELETED', { occurredAt: fresh }), 'deferred'],
    ['an older state', row('ACTIVE', { occurredAt: old }), 'settled outdated_local'],
    ['a newer state', row('ACTIVE', { occurredAt: newer }), 'review newer_here'],
    ['a newer state by import', row('ACTIVE', { occurredAt: newer, byEvent: false }), 'settled outdated_local'],
    ['a state of just now', row('ACTIVE', { occurredAt: fresh }), 'deferred'],
    ['the same state', row('ACTIVE', { same: true }), 'dropped'],
    ['an orphan', row('ORPHANED', { byEvent: false }), 'settled missing_local'],
    ['a kept orphan', row('PENDING', { byEvent: false }), 'settled missing_local'],
    [
      'an unresolved entry of the same attributes, newer',
      row('UNRESOLVED', { same: true, occurredAt: newer }),
      'settled unresolved',
    ],
    ['an unresolved entry of other attributes, older', row('UNRESOLVED', { occurredAt: old }), 'settled unresolved'],
    ['an unresolved entry of other attributes, newer', row('UNRESOLVED', { occurredAt: newer }), 'review newer_here'],
  ];
  for (const [what, stored, verdict] of table) {
    it(`is ${verdict} beside ${what}`, () => assert.equal(told(judgeDictCid(cid, answered(), stored, around)), verdict));
  }

  it('is settled where DICT and base were proven equal after the local event', () => {
    const stored = row('ACTIVE', { occurredAt: newer });
    assert.equal(told(judgeDictCid(cid, answered(), stored, { ...around, provenSeq: 7 })), 'settled outdated_local');
    assert.equal(told(judgeDictCid(cid, answered(), stored, { ...around, provenSeq: 6 })), 'review newer_here');
  });

  it('is dropped once DICT no longer has it, and open where the answer cannot be trusted', () => {
    assert.equal(told(judgeDictCid(cid, absent, null, around)), 'dropped');
    const wrong = computeCid(other.entry, other.requestId);
    assert.equal(told(judgeDictCid(wrong, answered(), null, around)), 'open');
  });

  it('waits for an open claim, then goes to a person, also where its date cannot be read', () => {
    assert.equal(told(judgeDictCid(cid, answered(new Date(now.getTime() - 60_000).toISOString()), null, around)), 'deferred');
    assert.equal(told(judgeDictCid(cid, answered(daysAgo(1).toISOString()), null, around)), 'review open_claim');
    assert.equal(told(judgeDictCid(cid, answered('soon'), null, around)), 'review open_claim');
  });
});

describe('a CID that only the base has', () => {
  const stored = row('ACTIVE', { same: true });
  it('is an orphan only by DICT’s 404', () => {
    assert.equal(told(judgeLocalCid(cid, absent, stored, around)), 'settled orphaned');
    assert.equal(told(judgeLocalCid(cid, answered(), stored, around)), 'dropped');
  });

  it('stays open where DICT’s answer about it is another entry’s (R2)', () => {
    const right = answered();
    assert.ok(right.found);
    const account = { ...right.entry.account, participant: participant('12345678') };
    for (const [what, answer] of [
      ['attributes', { ...right, requestId: other.requestId }],
      ['another CID', { ...right, cid: 'ab'.repeat(32) }],
      ['belongs to participant 12345678', { ...right, entry: { ...right.entry, account } }],
    ] as const) {
      const verdict = judgeLocalCid(cid, answer, stored, around);
      assert.deepEqual([verdict.verdict, verdict.verdict === 'open' && verdict.reason.includes(what)], ['open', true], what);
    }
  });

  it('is dropped once the base no longer counts it', () => {
    for (const status of ['DELETED', 'ORPHANED', 'PENDING', 'UNRESOLVED'] as const) {
      assert.equal(told(judgeLocalCid(cid, absent, row(status), around)), 'dropped');
    }
    assert.equal(told(judgeLocalCid(cid, absent, row('ACTIVE'), around)), 'dropped');
  });

  it('is left alone while the event that made it is young', () => {
    const young = row('ACTIVE', { same: true, occurredAt: new Date(now.getTime() - 304_000) });
    assert.equal(told(judgeLocalCid(cid, absent, young, around)), 'deferred');
  });
});

describe('a row that does not hash to its CID', () => {
  const key = there.entry.key;
  it('is restored from DICT, whatever is left of it', () => {
    for (const stored of [row('ACTIVE'), row('DELETED'), null]) {
      assert.equal(told(judgeAlteredRow(cid, answered(), { key, stored }, around)), 'settled altered');
    }
  });

  it('is dropped once it hashes again, and open where DICT does not have the CID, or under another key', () => {
    assert.equal(told(judgeAlteredRow(cid, answered(), { key, stored: row('ACTIVE', { same: true }) }, around)), 'dropped');
    assert.equal(told(judgeAlteredRow(cid, absent, { key, stored: row('ACTIVE') }, around)), 'open');
    assert.equal(told(judgeAlteredRow(cid, answered(), { key: other.entry.key, stored: row('ACTIVE') }, around)), 'open');
  });
});
