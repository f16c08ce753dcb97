/** A rehearsal is passed only if nothing at all is wrong: each thing that can be, by itself, is enough. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Planted } from '../planting.ts';
import type { Verified } from '../verification-round.ts';
import { type Observed, verdictOf } from './verdict.ts';

const began = new Date('2026-03-02T12:00:00Z');
const after = (ms: number): Date => new Date(began.getTime() + ms);
const verified = (answer: Verified['answer']): Verified => ({
  keyType: 'PHONE',
  runId: 'run',
  outcome: { kind: 'in-sync', proof: 'ok', seq: 1, responseTime: began.toISOString() },
  answer,
  keys: 1_000,
  vsync: '00'.repeat(32),
});
const planted: Planted = { deed: 'alter', keyType: 'PHONE', rung: 'file', key: '+5511900000001', kind: 'outdated_local' };
const counts = { opened: 0, donated: 0, taken: 0, confirmations: 3, completions: 2 };
const question = (ms: number, result: string) => ({
  at: after(ms),
  operation: 'createSyncVerification' as const,
  correlationId: 'c',
  says: `VSync of PHONE: ${result} (verification 1)`,
});

const good: Observed = {
  options: { keyType: 'PHONE', keys: 1_000, seed: 1, inLog: false },
  registered: verified('OK'),
  reconciled: { keyType: 'PHONE', runId: 'run', reportId: 'report', status: 'COMPLETED', outcome: 'completed' },
  asked: [verified('OK')],
  okAt: after(300_000),
  times: { beganAt: began, testBeganAt: after(60_000), endedAt: after(300_000) },
  repairs: { planted: [{ ...planted, found: { kind: 'outdated_local', by: 'file' }, repaired: true }], needless: 0 },
  countsBefore: { dict: { 'createEntry 201': 1_000, 'confirmClaim 200': 3, 'completeClaim 200': 2 }, claims: counts },
  countsAfter: {
    dict: { 'createEntry 201': 1_000, 'confirmClaim 200': 5, 'completeClaim 200': 3, 'getEntryByCid 200': 12 },
    claims: { ...counts, confirmations: 5, completions: 3 },
  },
  comparison: {
    keyType: 'PHONE',
    equal: 1_000,
    onlyHere: 0,
    onlyAtDict: 0,
    different: 0,
    vsyncEqual: true,
    vsync: '00',
    same: true,
  },
  calls: [question(61_000, 'NOK'), question(299_000, 'OK')],
  log: [],
};
const withCounts = (dict: Record<string, number>): Partial<Observed> => ({
  countsAfter: { dict: { ...good.countsAfter.dict, ...dict }, claims: good.countsAfter.claims },
});

describe('a rehearsal', () => {
  it('is passed when everything is right', () => {
    const { passed, checks } = verdictOf(good);
    assert.equal(passed, true, JSON.stringify(checks));
    assert.match(checks.find(({ name }) => name === 'OK')?.seen ?? '', /OK 240 s after its changes, after 1 NOK; correlation c/);
  });

  const wrongs: readonly (readonly [what: string, check: string, wrong: Partial<Observed>])[] = [
    ['DICT did not say OK before', 'equal before', { registered: verified('NOK') }],
    ['keys are missing before', 'equal before', { registered: { ...verified('OK'), keys: 999 } }],
    [
      'a planted one was not found',
      'divergences',
      { repairs: { planted: [{ ...planted, found: null, repaired: false }], needless: 0 } },
    ],
    [
      'one was found as something else',
      'divergences',
      { repairs: { planted: [{ ...planted, found: { kind: 'missing_local', by: 'file' }, repaired: true }], needless: 0 } },
    ],
    ['another key was touched', 'divergences', { repairs: { ...good.repairs, needless: 1 } }],
    ['DICT never said OK', 'OK', { okAt: null }],
    ['DICT never said NOK', 'OK', { calls: [question(299_000, 'OK')] }],
    ['an entry was written', 'no writes', withCounts({ 'updateEntry 200': 1 })],
    ['an entry was written in vain', 'no writes', withCounts({ 'deleteEntry 404': 1 })],
    ['a claim was written that nobody made', 'no writes', withCounts({ 'confirmClaim 200': 6 })],
    ['a call was refused for its number', 'rate limits', withCounts({ 'getEntryByCid 429': 1 })],
    ['it took over fifteen minutes', 'time', { times: { ...good.times, endedAt: after(900_001) } }],
    ['the sides differ in the end', 'equal after', { comparison: { ...good.comparison, different: 1, same: false } }],
  ];
  for (const [what, check, wrong] of wrongs) {
    it(`is not passed when ${what}`, () => {
      const { passed, checks } = verdictOf({ ...good, ...wrong });
      assert.equal(passed, false);
      assert.deepEqual(
        checks.filter((one) => !one.passed).map(({ name }) => name),
        [check],
      );
    });
  }
});
