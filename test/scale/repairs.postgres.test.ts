/**
 * Thousands of divergences at once, with DICT in another process and all of its limits: a tenth of the 30,000 of ADR 0024, with a tenth
 * of DICT's bucket, so that tokens are what is waited for here as there.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { KEY_TYPES, type KeyType } from '../../src/dict/key-type.ts';
import { testDatabase } from '../support/database.ts';
import { median, watch } from '../support/scale-watch.ts';
import { openScaleWorld, type ScaleWorld } from '../support/scale-world.ts';

const keyType = 'EMAIL' satisfies KeyType;
const others = KEY_TYPES.filter((other) => other !== keyType);
/** An orphan may be one key in a hundred, else the file is refused. */
const keys = 20_000;
const changes = { keyType, missing: 1_400, unresolved: 100, outdated: 1_350, orphaned: 150 } as const;
const divergences = changes.missing + changes.unresolved + changes.outdated + changes.orphaned;
const byCid = { capacity: 3_600, refillTokens: 120, refillPeriodMs: 60_000 };
/** Seconds of the world's clock in one of ours. */
const factor = 60;
const minuteMs = 60_000;

async function openWorld(t: TestContext): Promise<ScaleWorld> {
  const small = Object.fromEntries(others.map((other) => [other, 200]));
  const world = await openScaleWorld(await testDatabase(t), { keys: { ...small, [keyType]: keys }, factor, byCid });
  t.after(() => world.close());
  await world.load();
  assert.equal((await world.verify(keyType)).kind, 'in-sync');
  return world;
}

test(`${divergences} approved divergences against a bucket that allows two reads a second`, { timeout: 300_000 }, async (t) => {
  const world = await openWorld(t);
  await world.diverge(changes);
  await world.clock.sleep(6 * minuteMs);
  const over = new AbortController();
  const begunMs = world.clock.now().getTime();
  const watching = watch(world, others, over.signal);
  const approving = world.approve(over.signal);
  const syncId = randomUUID();
  const ended = await world.synchronise(keyType, syncId).finally(() => over.abort());
  const tookMs = world.clock.now().getTime() - begunMs;
  const [seen, approved] = await Promise.all([watching, approving]);
  const dict = await world.look();

  await t.test('are all repaired after the approval, and nothing else is', async () => {
    assert.ok(ended.kind === 'ended' && ended.outcome === 'completed', JSON.stringify(ended));
    assert.deepEqual(approved, [divergences]);
    assert.deepEqual(await world.repairs(), {
      missing_local: changes.missing,
      orphaned: changes.orphaned,
      outdated_local: changes.outdated,
      unresolved: changes.unresolved,
    });
    assert.deepEqual(await world.vsync(keyType), dict.vsyncs[keyType]);
  });

  await t.test('take the time that the bucket takes to hand out two tokens for each, and not much more', () => {
    const reads = (dict.counts['getEntryByCid 200'] ?? 0) + (dict.counts['getEntryByCid 404'] ?? 0);
    assert.ok(reads >= 2 * divergences, `${reads} reads: each is judged by one and proved again by another`);
    assert.ok(reads <= 2 * divergences + 200, `${reads} reads`);
    // A fifth of the bucket is kept back for verifications and people.
    const boundMs = ((reads - 0.8 * byCid.capacity) / byCid.refillTokens) * byCid.refillPeriodMs;
    assert.ok(tookMs > boundMs - minuteMs, `${tookMs} ms, where tokens alone take ${boundMs}`);
    // A slow machine needs time of its own, which the faster clock counts sixtyfold.
    assert.ok(tookMs < 3 * boundMs, `${tookMs} ms, where tokens alone take ${boundMs}`);
  });

  await t.test('never meet a 429', () => {
    assert.deepEqual(
      Object.keys(dict.counts).filter((name) => name.endsWith(' 429')),
      [],
    );
  });

  await t.test('keep neither the verification of other key types nor a person’s look-up waiting', () => {
    assert.ok(seen.verificationsMs.length >= others.length * 5, `${seen.verificationsMs.length} verifications`);
    assert.ok(median(seen.verificationsMs) < minuteMs / 2, `${seen.verificationsMs.join(', ')} ms`);
    assert.ok(median(seen.personsMs) < minuteMs / 2, `${seen.personsMs.join(', ')} ms`);
  });

  await t.test('are applied in steady memory', () => {
    const { heapBytes } = seen;
    assert.ok(heapBytes.length >= 3, `${heapBytes.length} measurements`);
    const grownBytes = Math.max(...heapBytes) - Math.min(...heapBytes);
    assert.ok(grownBytes < 8 * 1024 * 1024, `between ${Math.min(...heapBytes)} and ${Math.max(...heapBytes)} bytes`);
  });
});

test('rows altered behind the system’s back are restored by the scan, however many', { timeout: 300_000 }, async (t) => {
  const world = await openWorld(t);
  await world.alterRows(keyType, 300);
  const over = new AbortController();
  const approving = world.approve(over.signal);
  const ended = await world.synchronise(keyType, randomUUID(), 'scan').finally(() => over.abort());
  assert.ok(ended.kind === 'ended' && ended.outcome === 'completed', JSON.stringify(ended));
  assert.deepEqual(await approving, [300]);
  assert.deepEqual(await world.repairs(), { altered: 300 });
});
