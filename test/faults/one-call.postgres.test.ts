/**
 * Every fault of the catalogue in one call of every operation that the product uses: what passes is sat out, what says something for
 * good ends that run by name or is left open, and the run after it brings both sides together.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type CatalogueEntry, FAULT_CATALOGUE, fits } from '../../src/simulator/fault.ts';
import type { Operation } from '../../src/simulator/operation.ts';
import { type Expected, faultWorld } from '../support/fault-world.ts';

/** Faults after which asking again helps, and those that the product does not even notice. */
const PASSING: ReadonlySet<string> = new Set([
  'closed-before',
  'closed-after',
  'stall',
  'reset',
  'dribble',
  'length-too-long',
  'unknown-fields',
  'rate-limited',
  'internal-error',
  'bad-gateway',
  'unavailable',
  'unavailable-silently',
  'prefixed-problem',
]);

/** What the rest is called by the product. */
const NAMES: Readonly<Record<string, RegExp>> = {
  'length-too-short': /InvalidAnswer.*the answer is not gzip/,
  unsigned: /AnswerSignatureInvalid.*the document is not signed/,
  altered: /AnswerSignatureInvalid.*the document is not what was signed/,
  'unknown-certificate': /AnswerSignatureInvalid.*the certificate it names is not in the trust store/,
  'other-signer': /AnswerSignatureInvalid.*the signature is not that of the certificate it names/,
  'other-body': /AnswerSignatureInvalid.*the document is not what was signed/,
  'unknown-values': /InvalidAnswer.*Result is not one of OK, NOK/,
  'bad-request': /BadRequest.*\(correlation id [0-9a-f]{32}\)/,
  forbidden: /Forbidden.*\(correlation id [0-9a-f]{32}\)/,
  'proxy-not-found': /InvalidAnswer.*HTTP 404 without a problem document/,
  'unavailable-for-years': /ServiceUnavailable.*DICT asks to be left alone for 86400 s/,
};

const COMPLETED: Expected = { status: 'COMPLETED', base: 'equal' };

function failed(entry: CatalogueEntry, before: RegExp): Expected {
  const name = NAMES[entry.name];
  assert.ok(name, `${entry.name} has a name`);
  return { status: 'FAILED', says: new RegExp(`${before.source}.*${name.source}`), base: 'untouched' };
}

/** Null: either end is right, as long as all is well afterwards. */
function expectedOf(operation: Operation, entry: CatalogueEntry): Expected | null {
  if (PASSING.has(entry.name)) return COMPLETED;
  switch (operation) {
    case 'createSyncVerification':
      return failed(entry, /^unavailable: /);
    case 'createCidSetFile':
    case 'getCidSetFile':
      // A status that nobody knows is one that is not there yet.
      return entry.name === 'unknown-values' ? COMPLETED : failed(entry, /requestCidSetFile failed: /);
    case 'downloadCidSetFile':
      // A file server's 404 may pass. Whether gzip that ends early is bad content or a bad transfer cannot be told.
      return entry.name === 'proxy-not-found' ? COMPLETED : null;
    default:
      // The log has the file behind it, and what one by-CID read did not tell is read again in the next round.
      return COMPLETED;
  }
}

const operations: readonly Operation[] = [
  'createSyncVerification',
  'listCidSetEvents',
  'getEntryByCid',
  'createCidSetFile',
  'getCidSetFile',
  'downloadCidSetFile',
];

for (const operation of operations) {
  it(`one call of ${operation}`, { timeout: 900_000 }, async (t) => {
    const world = await faultWorld(t, { keys: 80, settings: { approvalThreshold: 10_000, criticalThreshold: 10_000 } });
    // Latency is tried where the clock runs: delays.postgres.test.ts.
    for (const entry of FAULT_CATALOGUE.filter((each) => fits(each, operation) && each.name !== 'latency')) {
      await t.test(`that meets ${entry.name}`, async () => {
        const before = world.clock.now().getTime();
        const ended = await world.endure({
          plant: /File/.test(operation) ? 'hidden' : 'logged',
          fault: () => world.state.addFault({ ...entry.fault, operation, times: 1, when: entry.when ?? 'before' }),
          expected: expectedOf(operation, entry),
        });
        assert.ok(ended.words.length > 0);
        if (entry.name === 'unavailable' && operation !== 'downloadCidSetFile') {
          assert.ok(ended.endedAtMs - before >= 30_000 + 600_000, 'Retry-After is obeyed');
        }
      });
    }
  });
}
