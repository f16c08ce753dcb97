/** Judging what only our base has by the CIDs that its key had before: what DICT says of these decides whether it is an orphan (rules R2, R3). */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { changed, reconcileWorld } from '../../test/support/reconcile-world.ts';
import { asCid, cidToHex, computeCid } from '../cid/cid.ts';
import type { DictApi, EntryByCid } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import { claimReconciliation, type OpenRun } from './claiming.ts';
import type { Divergence } from './divergence-store.ts';
import { judgeLocalSide } from './local-judging.ts';
import { readRun } from './run-store.ts';

const minuteMs = 60_000;
const untroubled = { waiting: false, keyless: 0, vanishedAt: null };

/** The verdict on a key that our core has updated and DICT has as it was before, where only the CID of now is looked at. */
async function verdictOf(t: TestContext, tell: (answer: EntryByCid) => EntryByCid) {
  let earlierHex = '';
  const dict = (real: DictApi): DictApi => ({
    ...real,
    getEntryByCid: async (request, options) => {
      const answer = await real.getEntryByCid(request, options);
      return request.cid === earlierHex ? tell(answer) : answer;
    },
  });
  const world = await reconcileWorld(t, { dict });
  const [sample] = world.first;
  assert.ok(sample);
  earlierHex = cidToHex(computeCid(sample.entry, sample.requestId));
  const later = changed(sample, '0000000042');
  world.pass(minuteMs);
  await world.ingest(world.event('key.updated', later));
  world.pass(30 * minuteMs);
  const opening = await world.open({ fromRung: 'file' });
  assert.ok(opening.kind === 'opened');
  const claim = await claimReconciliation(world.deps, { runId: opening.runId, owner: randomUUID() });
  assert.equal(claim.kind, 'claimed');
  const run = await readRun(world.database, opening.runId);
  assert.ok(run !== null && run.endedAt === null);
  const divergence: Divergence = {
    ...{ id: 1, side: 'local', cid: asCid(computeCid(later.entry, later.requestId)), key: null, kind: null, localCid: null },
    ...{ dictCid: null, state: 'found', foundBy: 'file', since: null, dueAt: null, judgedSeq: null, attempts: 0 },
    ...{ reason: null, approvalId: null },
  };
  // It was claimed just now, hence is open.
  const [judged] = await judgeLocalSide(world.deps, run as OpenRun, [divergence], untroubled);
  assert.ok(judged);
  return { ...judged, earlierHex };
}

describe('a key of ours whose CID DICT does not know', () => {
  it('is no orphan where DICT has it under an earlier CID, which is looked into as well', async (t) => {
    const { verdict, alsoFound, earlierHex } = await verdictOf(t, (answer) => answer);
    assert.equal(verdict.verdict, 'deferred');
    assert.deepEqual(
      alsoFound?.map(({ side, cid }) => [side, cidToHex(cid)]),
      [['dict', earlierHex]],
    );
  });

  it('is an orphan where DICT knows none of its CIDs', async (t) => {
    const { verdict } = await verdictOf(t, ({ responseTime, correlationId }) => ({ found: false, responseTime, correlationId }));
    assert.deepEqual([verdict.verdict, verdict.verdict === 'settled' && verdict.kind], ['settled', 'orphaned']);
  });

  it('stays open where DICT’s answer about an earlier CID is another entry’s', async (t) => {
    const { verdict } = await verdictOf(t, (answer) => {
      assert.ok(answer.found);
      return { ...answer, entry: { ...answer.entry, owner: { ...answer.entry.owner, name: 'Another Name' } } };
    });
    assert.equal(verdict.verdict, 'open');
    assert.match(verdict.verdict === 'open' ? verdict.reason : '', /an earlier CID of the key: .*do not hash/);
  });

  it('is asked about again where DICT does not answer about an earlier CID', async (t) => {
    const { verdict } = await verdictOf(t, () => {
      throw new DictError('InternalServerError', 500, 'broken');
    });
    assert.equal(verdict.verdict, 'deferred');
    assert.match(verdict.verdict === 'deferred' ? verdict.reason : '', /did not answer about an earlier CID/);
  });
});
