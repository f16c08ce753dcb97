/** A DICT that asks to be left alone is left alone, by every operation and for as long as it asks, in each form in which it can say so. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Behaviour } from '../../src/simulator/behaviour.ts';
import type { Operation } from '../../src/simulator/operation.ts';
import { type FaultWorld, faultWorld } from '../support/fault-world.ts';

const ASKED_SEC = 900;

const forms: Readonly<Record<string, (world: FaultWorld) => string>> = {
  seconds: () => String(ASKED_SEC),
  'an HTTP date': (world) => new Date(world.clock.now().getTime() + ASKED_SEC * 1_000 + 999).toUTCString(),
};

for (const operation of [
  'createSyncVerification',
  'listCidSetEvents',
  'getEntryByCid',
  'createCidSetFile',
  'getCidSetFile',
] as const) {
  it(`after a 503 to ${operation} nothing of it is asked before the time has come`, { timeout: 600_000 }, async (t) => {
    const calls: { readonly operation: Operation; readonly atMs: number }[] = [];
    let world: FaultWorld | null = null;
    const behaviour: Behaviour = {
      before: (call) => {
        if (world !== null) calls.push({ operation: call.operation, atMs: world.clock.now().getTime() });
        return null;
      },
    };
    const made = await faultWorld(t, { keys: 40, simulator: { behaviour }, settings: { byCidConcurrency: 1 } });
    world = made;
    for (const [form, headerOf] of Object.entries(forms)) {
      await t.test(`given as ${form}`, async () => {
        calls.length = 0;
        const ended = await made.endure({
          plant: /File/.test(operation) ? 'hidden' : 'logged',
          fault: () => made.state.addFault({ operation, times: 1, error: 'ServiceUnavailable', retryAfter: headerOf(made) }),
          expected: { status: 'COMPLETED', base: 'equal' },
        });
        assert.equal(ended.status, 'COMPLETED');
        const own = calls.filter((call) => call.operation === operation).map(({ atMs }) => atMs);
        const [refused, next] = own;
        assert.ok(refused !== undefined && next !== undefined, 'it was asked again');
        // A date was written before the call, by what the run did until then.
        const atLeastMs = ASKED_SEC * 1_000 - (form === 'seconds' ? 0 : 60_000);
        assert.ok(next - refused >= atLeastMs, `asked again after ${(next - refused) / 1_000} s`);
      });
    }
  });
}
