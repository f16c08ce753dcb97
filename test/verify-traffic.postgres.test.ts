/**
 * Verification under traffic that never pauses: changes reach the base 0 to 30 seconds late (or before DICT has them), reordered
 * across keys and more than once, while DICT's log lags. The oracle is the test's own knowledge of what it planted.
 */

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { cidFromHex, cidToHex } from '../src/cid/cid.ts';
import type { SampleEntry } from '../src/dict/sample-entries.ts';
import { locatedDifferences } from '../src/verify/difference-store.ts';
import type { CidTransition } from '../src/vsync/vsync-store.ts';
import { cidOf, SCOPE, type VerifyWorld, verifyWorld } from './support/verify-world.ts';

/** Reproducible numbers from 0 up to 1 (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Delivery {
  readonly dueMs: number;
  /** Number of the change: changes of one millisecond have an order too. */
  readonly occurred: number;
  readonly key: string;
  /** Null: deleted. */
  readonly cid: string | null;
}

interface Traffic {
  readonly world: VerifyWorld;
  readonly chance: () => number;
  readonly perSecond: number;
  /** What DICT has, by key, as far as traffic goes. */
  readonly keys: Map<string, SampleEntry>;
  /** What the base has, by key, with the time of its last event. */
  readonly base: Map<string, { readonly occurred: number; readonly cid: string | null }>;
  deliveries: Delivery[];
  changes: number;
}

/** One change at DICT and its event, delivered up to 30 seconds later, sometimes twice. */
function change(traffic: Traffic): void {
  const { world, chance, keys } = traffic;
  const nowMs = world.clock.now().getTime();
  const pick = [...keys.keys()][Math.floor(chance() * keys.size)];
  const kind = chance();
  let event: { readonly key: string; readonly cid: string | null };
  if (kind < 0.4 || pick === undefined) {
    const [sample] = world.take(1);
    assert.ok(sample);
    world.state.insert(sample, { log: true });
    keys.set(sample.entry.key, sample);
    event = { key: sample.entry.key, cid: cidToHex(cidOf(sample)) };
  } else if (kind < 0.7) {
    world.state.remove(pick, { log: true });
    keys.delete(pick);
    event = { key: pick, cid: null };
  } else {
    // Half of the updates come back to a value that the key had before: the same CID, ADDED again.
    const accountNumber = kind < 0.85 ? '1' : String(Math.floor(chance() * 1e9));
    event = { key: pick, cid: world.state.alter(pick, { accountNumber }, { log: true }).cid };
  }
  const times = chance() < 0.1 ? 2 : 1;
  traffic.changes += 1;
  const occurred = traffic.changes;
  for (let copy = 0; copy < times; copy++) {
    traffic.deliveries.push({ ...event, occurred, dueMs: nowMs + chance() * 30_000 });
  }
}

/** Commits what has arrived, the later event of a key winning, as ingest does. */
async function deliver(traffic: Traffic): Promise<void> {
  const { world, base } = traffic;
  const nowMs = world.clock.now().getTime();
  const due = traffic.deliveries.filter(({ dueMs }) => dueMs <= nowMs).sort((a, b) => a.dueMs - b.dueMs);
  traffic.deliveries = traffic.deliveries.filter(({ dueMs }) => dueMs > nowMs);
  const transitions: CidTransition[] = [];
  for (const { key, cid, occurred } of due) {
    const before = base.get(key);
    if (before !== undefined && before.occurred >= occurred) continue;
    base.set(key, { occurred, cid });
    if (before?.cid === cid) continue;
    if (before !== undefined && before.cid !== null) transitions.push({ change: 'removed', cid: cidFromHex(before.cid), key });
    if (cid !== null) transitions.push({ change: 'added', cid: cidFromHex(cid), key });
  }
  if (transitions.length > 0) await world.commit(transitions);
}

async function trafficWorld(t: Parameters<typeof verifyWorld>[0], seed: number, perSecond: number): Promise<Traffic> {
  const chance = random(seed);
  let traffic: Traffic | null = null;
  const world = await verifyWorld(t, {
    eachSecond: async () => {
      if (traffic === null) return;
      for (let each = 0; each < perSecond; each++) change(traffic);
      await deliver(traffic);
    },
  });
  const first = await world.verify();
  assert.equal(first.kind, 'in-sync');
  traffic = { world, chance, perSecond, keys: new Map(), base: new Map(), deliveries: [], changes: 0 };
  await world.pass(40_000);
  return traffic;
}

/** Makes DICT and the base differ in one CID, seen by the log or not. Returns the CID and how to mend it. */
function plant(traffic: Traffic, log: boolean): { readonly cid: string; readonly mend: () => Promise<void> } {
  const { world } = traffic;
  const [sample] = world.take(1);
  assert.ok(sample);
  world.state.insert(sample, { log });
  const mend = (): Promise<void> => world.commit([{ change: 'added', cid: cidOf(sample), key: sample.entry.key }], 'repair');
  return { cid: cidToHex(cidOf(sample)), mend };
}

describe('verification under traffic', () => {
  for (const [seed, perSecond] of [
    [1, 1],
    [2, 5],
    [3, 20],
  ] as const) {
    it(`never says diverged or inconclusive without cause, and finds what is planted, at ${perSecond} changes a second`, async (t) => {
      const traffic = await trafficWorld(t, seed, perSecond);
      const { world } = traffic;
      for (let round = 1; round <= 12; round++) {
        const planted = round % 4 === 0 ? plant(traffic, round % 8 === 0) : null;
        if (planted !== null) await world.pass(310_000);
        const runId = randomUUID();
        const outcome = await world.verify(runId);
        if (planted === null) {
          assert.equal(outcome.kind, 'in-sync', `round ${round}: ${JSON.stringify(outcome)}`);
        } else {
          assert.ok(outcome.kind === 'diverged', `round ${round}: ${JSON.stringify(outcome)}`);
          const located = await locatedDifferences(world.database, runId, { limit: 10, after: null });
          assert.deepEqual(
            located.map(({ cid, side }) => ({ cid: cidToHex(cid), side })),
            [{ cid: planted.cid, side: 'dict' }],
          );
          await planted.mend();
        }
        await world.pass(10_000);
      }
      const { rows } = await world.database.query<{ questions: number; looks: number }>(
        `SELECT count(*) AS questions, (SELECT count(*) FROM dict_verification_runs) AS looks
         FROM dict_sync_verifications WHERE participant = $1`,
        [SCOPE.participant],
      );
      assert.ok((rows[0]?.questions ?? 0) <= 40, JSON.stringify(rows));
    });
  }
});
