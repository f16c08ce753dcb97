/**
 * One operation fails in every call, for as long as the run lasts: the run ends, by name, with nothing repaired that was not proved, and
 * when the fault is over the next run finds what there was to find.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FAULT_CATALOGUE } from '../../src/simulator/fault.ts';
import type { Operation } from '../../src/simulator/operation.ts';
import { type Expected, faultWorld, type Status } from '../support/fault-world.ts';

type Row = readonly [fault: string, status: Status, says: RegExp, base: Expected['base']];

const rows: Readonly<Partial<Record<Operation, readonly Row[]>>> = {
  createSyncVerification: [
    ['closed-before', 'FAILED', /^unavailable: ConnectionLost after 3 tries/, 'untouched'],
    ['closed-after', 'FAILED', /^unavailable: ConnectionLost after 3 tries/, 'untouched'],
    ['stall', 'FAILED', /^unavailable: Timeout after 3 tries: .*no answer within 2000 ms/, 'untouched'],
    ['reset', 'FAILED', /^unavailable: ConnectionLost after 3 tries/, 'untouched'],
    ['unknown-fields', 'COMPLETED', /^completed/, 'equal'],
    ['other-body', 'FAILED', /^unavailable: AnswerSignatureInvalid \(HTTP 201\) after 1 try/, 'untouched'],
    ['rate-limited', 'FAILED', /^unavailable: RateLimited \(HTTP 429\) after 8 tries/, 'untouched'],
    ['internal-error', 'FAILED', /^unavailable: InternalServerError \(HTTP 500\) after 3 tries/, 'untouched'],
    ['unavailable', 'FAILED', /^unavailable: ServiceUnavailable \(HTTP 503\) after 3 tries/, 'untouched'],
  ],
  listCidSetEvents: [
    ['closed-before', 'FAILED', /compareCidSetFile failed: ConnectionLost/, 'untouched'],
    ['unknown-fields', 'COMPLETED', /^completed/, 'equal'],
    ['unsigned', 'FAILED', /compareCidSetFile failed: AnswerSignatureInvalid/, 'untouched'],
    // Pages without events have nothing unknown in them, and the file tells the rest.
    ['unknown-values', 'COMPLETED', /^completed/, 'equal'],
    ['internal-error', 'FAILED', /compareCidSetFile failed: InternalServerError/, 'untouched'],
    ['forbidden', 'FAILED', /compareCidSetFile failed: Forbidden/, 'untouched'],
  ],
  getEntryByCid: [
    ['closed-before', 'PARTIAL', /DICT does not answer: ConnectionLost|DICT answered ConnectionLost/, 'untouched'],
    ['unknown-fields', 'COMPLETED', /^completed/, 'equal'],
    ['unsigned', 'PARTIAL', /open: DICT answered AnswerSignatureInvalid \(200\)/, 'untouched'],
    ['other-signer', 'PARTIAL', /open: DICT answered AnswerSignatureInvalid \(200\)/, 'untouched'],
    ['unknown-values', 'PARTIAL', /open: DICT answered InvalidAnswer \(200\)/, 'untouched'],
    // An entry that does not hash to its CID proves nothing; DICT's own 404 still does: the orphan is one.
    ['wrong-attributes', 'PARTIAL', /open: attributes/, 'in part'],
    ['forbidden', 'PARTIAL', /open: DICT answered Forbidden \(403\)/, 'untouched'],
    ['proxy-not-found', 'PARTIAL', /open: DICT answered InvalidAnswer \(404\)/, 'untouched'],
    ['rate-limited', 'PARTIAL', /RateLimited/, 'untouched'],
    ['internal-error', 'PARTIAL', /InternalServerError/, 'untouched'],
    ['unavailable', 'PARTIAL', /ServiceUnavailable/, 'untouched'],
    ['unavailable-for-years', 'PARTIAL', /asks to be left alone for 86400 s/, 'untouched'],
  ],
  createCidSetFile: [
    ['closed-after', 'FAILED', /no CID set file after 3 requests \(3 lost\)/, 'untouched'],
    ['unsigned', 'FAILED', /requestCidSetFile failed: AnswerSignatureInvalid/, 'untouched'],
    ['rate-limited', 'FAILED', /requestCidSetFile failed: RateLimited/, 'untouched'],
    ['internal-error', 'FAILED', /no CID set file after 3 requests \(3 lost\)/, 'untouched'],
    ['unavailable-for-years', 'FAILED', /asks to be left alone for 86400 s/, 'untouched'],
  ],
  getCidSetFile: [
    ['closed-before', 'FAILED', /requestCidSetFile failed: ConnectionLost/, 'untouched'],
    ['unknown-values', 'FAILED', /CID set file \d+ was still ARCHIVED after 6\d\d s/, 'untouched'],
    ['altered', 'FAILED', /requestCidSetFile failed: AnswerSignatureInvalid/, 'untouched'],
    ['unavailable', 'FAILED', /requestCidSetFile failed: ServiceUnavailable/, 'untouched'],
  ],
  downloadCidSetFile: [
    ['reset', 'FAILED', /downloadCidSetFile failed: |file refused: truncated/, 'untouched'],
    ['stall', 'FAILED', /downloadCidSetFile failed: |file refused: truncated/, 'untouched'],
    ['proxy-not-found', 'FAILED', /AVAILABLE by DICT's word, and was not found for 6\d\d s/, 'untouched'],
    ['unavailable', 'FAILED', /downloadCidSetFile failed: ServiceUnavailable/, 'untouched'],
  ],
};

for (const [operation, faults] of Object.entries(rows)) {
  it(`every call of ${operation}`, { timeout: 900_000 }, async (t) => {
    const world = await faultWorld(t, { keys: 60, settings: { approvalThreshold: 10_000, criticalThreshold: 10_000 } });
    for (const [name, status, says, base] of faults) {
      await t.test(`meets ${name}: ${status}, ${says.source}`, async () => {
        const entry = FAULT_CATALOGUE.find((each) => each.name === name);
        assert.ok(entry, `${name} is in the catalogue`);
        const fault = { ...entry.fault, times: 1_000_000, when: entry.when ?? 'before' };
        const ended = await world.endure({
          plant: /File/.test(operation) ? 'hidden' : 'logged',
          // The names of a record are text to the compiler.
          fault: () => world.state.addFault({ ...fault, operation: operation as Operation }),
          expected: { status, says, base },
        });
        assert.match(ended.words, says);
      });
    }
  });
}
