/**
 * Values that alone provoke a fault, under the whole product: nothing is planned and nothing is scripted. Every participant 99997CCC and
 * 99998NNN, and every CID of 61 zeros and CCC. Left out: keys, since the product never asks DICT by key; the simulator's own tests have them.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { asCid } from '../../src/cid/cid.ts';
import { participant } from '../../src/dict/participant.ts';
import { FAULT_CATALOGUE } from '../../src/simulator/fault.ts';
import { FILE_VARIANTS, type FileVariant } from '../../src/simulator/file-variant.ts';
import { type Expected, type FaultWorld, faultWorld, type Status } from '../support/fault-world.ts';

type End = readonly [status: Status, says: RegExp, base: Expected['base']];

const read: End = ['COMPLETED', /^completed/, 'equal'];
const failed = (says: RegExp): End => ['FAILED', says, 'untouched'];

const files: Readonly<Record<FileVariant, End>> = {
  proper: read,
  'upper-case': read,
  'no-last-newline': read,
  empty: failed(/file refused: empty/),
  truncated: failed(/file refused: truncated: \d+ of \d+ bytes/),
  cut: failed(/file refused: malformed: line \d+: the last line has 40 of 64 digits/),
  half: failed(/file refused: implausible/),
  foreign: failed(/file refused: foreign/),
  'duplicate-line': failed(/file refused: duplicated/),
  'malformed-line': failed(/file refused: malformed: line \d+: character 103 at column 64/),
  crlf: failed(/file refused: malformed: line 1: character 13/),
  'wrong-sha256': failed(/file refused: digest/),
  'wrong-bytes': failed(/file refused: truncated/),
  'not-found': failed(/AVAILABLE by DICT's word, and was not found for 6\d\d s/),
  unavailable: failed(/no CID set file after 3 requests/),
  error: failed(/no CID set file after 3 requests/),
  'never-ready': failed(/was still PROCESSING after 6\d\d s/),
};

/** By its name: how a synchronisation ends whose every call meets it. */
const everyCall: Readonly<Record<string, End>> = {
  latency: read,
  'closed-before': failed(/^unavailable: ConnectionLost after 3 tries/),
  'closed-after': failed(/^unavailable: ConnectionLost after 3 tries/),
  stall: failed(/^unavailable: Timeout after 3 tries: .*no answer within 2000 ms/),
  reset: failed(/^unavailable: ConnectionLost after 3 tries/),
  dribble: failed(/^unavailable: Timeout after 3 tries: .*no answer within 2000 ms/),
  'length-too-long': failed(/^unavailable: ConnectionLost after 3 tries/),
  'length-too-short': failed(/^unavailable: InvalidAnswer .*the answer is not gzip/),
  unsigned: failed(/^unavailable: AnswerSignatureInvalid .*the document is not signed/),
  altered: failed(/^unavailable: AnswerSignatureInvalid .*the document is not what was signed/),
  'unknown-certificate': failed(/^unavailable: AnswerSignatureInvalid .*not in the trust store/),
  'other-signer': failed(/^unavailable: AnswerSignatureInvalid .*not that of the certificate it names/),
  'other-body': failed(/^unavailable: AnswerSignatureInvalid .*the document is not what was signed/),
  'unknown-fields': read,
  'unknown-values': failed(/^unavailable: InvalidAnswer .*Result is not one of OK, NOK/),
  'wrong-attributes': ['PARTIAL', /open: attributes/, 'in part'],
  'bad-request': failed(/^unavailable: BadRequest \(HTTP 400\) after 1 try: .*\(correlation id [0-9a-f]{32}\)/),
  forbidden: failed(/^unavailable: Forbidden \(HTTP 403\) after 1 try/),
  'proxy-not-found': failed(/^unavailable: InvalidAnswer \(HTTP 404\) .*without a problem document/),
  'rate-limited': failed(/^unavailable: RateLimited \(HTTP 429\)/),
  'internal-error': failed(/^unavailable: InternalServerError \(HTTP 500\) after 3 tries/),
  'bad-gateway': failed(/^unavailable: \w+ \(HTTP 502\) after 3 tries/),
  unavailable: failed(/^unavailable: ServiceUnavailable \(HTTP 503\) after 3 tries/),
  'unavailable-for-years': failed(/^unavailable: ServiceUnavailable .*asks to be left alone for 86400 s/),
  'unavailable-silently': failed(/^unavailable: ServiceUnavailable \(HTTP 503\) after 3 tries/),
  'prefixed-problem': failed(/^unavailable: InternalServerError \(HTTP 500\) after 3 tries/),
};

/** A delay of the simulator is over a little later, as the world's time runs meanwhile. */
async function whileTimeRuns<Result>(world: FaultWorld, work: () => Promise<Result>): Promise<Result> {
  const running = setInterval(() => world.pass(1_000), 50);
  try {
    return await work();
  } finally {
    clearInterval(running);
  }
}

/** How it ended, after a look at everything else that has to hold. */
async function ends(world: FaultWorld, planted: readonly string[], [, says, base]: End): Promise<Status> {
  const before = await world.picture();
  const ended = await whileTimeRuns(world, () => world.synchronise());
  assert.match(ended.words, says);
  const after = await world.assertPromises(before, planted);
  if (base === 'equal') await world.assertEqualSides();
  if (base === 'untouched') assert.deepEqual([after.here, after.vsync], [before.here, before.vsync], 'the base is untouched');
  return ended.status;
}

for (const [number, form] of FILE_VARIANTS.entries()) {
  const ispb = `99998${String(number).padStart(3, '0')}`;
  it(`participant ${ispb} has files that are ${form}: ${files[form][0]}`, { timeout: 300_000 }, async (t) => {
    const world = await faultWorld(t, { participant: participant(ispb) });
    assert.equal(await ends(world, world.plant('hidden'), files[form]), files[form][0]);
  });
}

for (const { code, name } of FAULT_CATALOGUE) {
  const end = everyCall[name];
  it(`participant 99997${code} meets ${name} in every call: ${end?.[0]}`, { timeout: 300_000 }, async (t) => {
    assert.ok(end, `how ${name} ends is known`);
    const world = await faultWorld(t, { participant: participant(`99997${code}`), settled: false });
    assert.equal(await ends(world, world.plant('logged'), end), end[0]);
  });
}

/** What becomes of a CID that only the base has, by what asking DICT about it meets. An orphan only where DICT itself said that it has none. */
const asked: Readonly<Record<string, string>> = {
  latency: 'applied orphaned',
  'closed-before': 'open: DICT answered ConnectionLost',
  'closed-after': 'open: DICT answered ConnectionLost',
  stall: 'open: DICT answered Timeout',
  reset: 'open: DICT answered ConnectionLost',
  dribble: 'open: DICT answered Timeout',
  'length-too-long': 'open: DICT answered ConnectionLost',
  'length-too-short': 'open: DICT answered InvalidAnswer (404)',
  unsigned: 'open: DICT answered AnswerSignatureInvalid (404)',
  altered: 'open: DICT answered AnswerSignatureInvalid (404)',
  'unknown-certificate': 'open: DICT answered AnswerSignatureInvalid (404)',
  'other-signer': 'open: DICT answered AnswerSignatureInvalid (404)',
  'other-body': 'open: DICT answered AnswerSignatureInvalid (404)',
  'unknown-fields': 'applied orphaned',
  // There is none in a NotFound.
  'unknown-values': 'applied orphaned',
  'wrong-attributes': "open: attributes and RequestId of DICT's answer do not hash to its CID",
  'bad-request': 'open: DICT answered BadRequest (400)',
  forbidden: 'open: DICT answered Forbidden (403)',
  'proxy-not-found': 'open: DICT answered InvalidAnswer (404)',
  'rate-limited': 'open: DICT answered RateLimited (429)',
  'internal-error': 'open: DICT answered InternalServerError (500)',
  'bad-gateway': 'open: DICT answered ServiceUnavailable (502)',
  unavailable: 'open: DICT answered ServiceUnavailable (503)',
  'unavailable-for-years': 'open: DICT answered ServiceUnavailable (503) and asks to be left alone for 86400 s',
  'unavailable-silently': 'open: DICT answered ServiceUnavailable (503)',
  'prefixed-problem': 'open: DICT answered InternalServerError (500)',
};

it('CIDs of 61 zeros and a code are orphans only where DICT itself has said so', { timeout: 300_000 }, async (t) => {
  // One at a time: while DICT asks to be left alone, the rest of a batch is not asked about.
  const settings = { attemptsMax: 1, implausibleOrphans: 100, judgeBatch: 1 };
  const world = await faultWorld(t, { keys: 400, keyType: 'EVP', settings });
  const samples = world.take(FAULT_CATALOGUE.length);
  const codes = new Map(samples.map(({ entry }, index) => [entry.key, FAULT_CATALOGUE[index]?.code]));
  const codeOf = (key: string): string => codes.get(key) ?? assert.fail(`no code for ${key}`);
  await world.load(samples, ({ entry }) => asCid(Buffer.from(`${'0'.repeat(61)}${codeOf(entry.key)}`, 'hex')));
  world.pass(3_600_000);
  const before = await world.picture();
  const ended = await whileTimeRuns(world, () => world.synchronise());
  assert.equal(ended.status, 'PARTIAL', ended.words);
  const { rows } = await world.database.query<{ code: string; kind: string | null; state: string; reason: string | null }>(
    `SELECT right(encode(cid, 'hex'), 3) AS code, kind, state, reason FROM dict_divergences`,
  );
  const told = rows.map(({ code, kind, state, reason }) => [
    FAULT_CATALOGUE.find((fault) => fault.code === code)?.name,
    reason === null ? `${state} ${kind}` : `${state}: ${reason}`,
  ]);
  assert.deepEqual(Object.fromEntries(told), asked);
  await world.assertPromises(before, [...codes.keys()]);
});
