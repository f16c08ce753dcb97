/**
 * Everything that our client sends and that our simulator answers, for every operation and in every reading of the contract,
 * recorded on the wire and held against the official OpenAPI document.
 */

import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { createDictClient } from '../../src/bridge/dict-client.ts';
import { createDictTrafficClient } from '../../src/bridge/dict-traffic-client.ts';
import { DictError } from '../../src/dict/errors.ts';
import { KEY_TYPES } from '../../src/dict/key-type.ts';
import { participant } from '../../src/dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../../src/dict/sample-entries.ts';
import { scaledClock } from '../../src/platform/clock.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';
import { type Exchange, recordingProxy } from '../support/recording-proxy.ts';
import { dictSide, participantSide } from '../support/signed-sides.ts';
import { judge } from './exchange-judge.ts';
import { loadContract } from './openapi.ts';

const contract = loadContract();
const psp = participant('00038166');
const other = participant('12345678');
const zeros = '0'.repeat(64);

interface Stage {
  readonly simulator: Simulator;
  readonly dict: ReturnType<typeof createDictClient>;
  readonly traffic: ReturnType<typeof createDictTrafficClient>;
  readonly exchanges: readonly Exchange[];
}

async function setUp(t: TestContext, options: SimulatorOptions = {}): Promise<Stage> {
  const clock = scaledClock(1000);
  const simulator = await startSimulator({ clock, policies: null, ...options });
  t.after(() => simulator.close());
  const { url, exchanges } = await recordingProxy(t, simulator.apiUrl);
  const signatures = options.signatures == null ? {} : { signatures: participantSide };
  const shared = { apiUrl: url, clock, random: Math.random, retry: { triesMax: 1 }, ...signatures };
  const dict = createDictClient({ ...shared, filesHosts: ['127.0.0.1'] });
  const traffic = createDictTrafficClient(shared);
  t.after(() => Promise.all([dict.close(), traffic.close()]));
  return { simulator, dict, traffic, exchanges };
}

function entriesOf(first: number, count = 1, of = psp): SampleEntry[] {
  return KEY_TYPES.flatMap((keyType) => [...sampleEntries({ seed: 3, participant: of, keyType, first, count })]);
}

function sample(first: number, of = psp): SampleEntry {
  const [entry] = sampleEntries({ seed: 3, participant: of, keyType: 'PHONE', first, count: 1 });
  assert.ok(entry);
  return entry;
}

/** Every operation once or more, each of which succeeds. */
async function tellTheWholeStory({ simulator, dict, traffic }: Stage): Promise<void> {
  const { state } = simulator;
  await dict.listCidSetEvents({ participant: psp, keyType: 'PHONE' });
  for (const { entry, requestId } of entriesOf(0, 2)) await traffic.createEntry({ entry, requestId, reason: 'USER_REQUESTED' });
  const { entry } = sample(0);
  const account = { ...entry.account, branch: null, accountNumber: '00012' };
  await traffic.updateEntry({ key: entry.key, account, owner: entry.owner, reason: 'BRANCH_TRANSFER' });
  await traffic.getEntry({ participant: other, key: entry.key, payerId: '11144477735', endToEndId: `E${'1'.repeat(31)}` });
  await traffic.deleteEntry({ participant: psp, key: sample(1).entry.key, reason: 'ACCOUNT_CLOSURE' });
  for (const keyType of KEY_TYPES) {
    const { vsync } = state.vsync({ participant: psp, keyType });
    assert.equal((await dict.createSyncVerification({ participant: psp, keyType, participantSyncVerifier: vsync })).result, 'OK');
    assert.equal(
      (await dict.createSyncVerification({ participant: psp, keyType, participantSyncVerifier: zeros })).result,
      'NOK',
    );
  }
  for (const { cid, requestId } of state.activeEntries({ participant: psp })) {
    const found = await dict.getEntryByCid({ participant: psp, cid });
    assert.equal(found.found && found.requestId, requestId);
  }
  const claimId = state.registerClaim({
    type: 'PORTABILITY',
    claimer: { ...entry, account: { ...entry.account, participant: other } },
  });
  const claimed = state.entryByKey(entry.key);
  assert.ok(claimed);
  const open = await dict.getEntryByCid({ participant: psp, cid: claimed.cid });
  assert.notEqual(open.found && open.entry.openClaimCreationDate, null);
  await traffic.confirmClaim({ participant: psp, claimId, reason: 'USER_REQUESTED' });
  await traffic.completeClaim({ participant: other, claimId, requestId: sample(9).requestId });
  await readTheFile(dict);
  await readTheLog(dict);
  assert.ok((await dict.listPolicies({ participant: psp })).length > 0);
  assert.equal((await dict.getPolicy({ participant: psp, name: 'CIDS_FILES_WRITE' })).name, 'CIDS_FILES_WRITE');
}

async function readTheFile(dict: Stage['dict']): Promise<void> {
  let file = await dict.createCidSetFile({ participant: psp, keyType: 'CNPJ' });
  for (let polls = 0; polls < 1_000 && file.status !== 'AVAILABLE'; polls += 1) {
    file = await dict.getCidSetFile({ participant: psp, id: file.id });
  }
  assert.ok(file.url !== null && file.bytes !== null, 'the file came');
  let bytes = 0;
  for await (const chunk of dict.downloadCidSetFile({ url: file.url, bytesMax: file.bytes })) bytes += chunk.byteLength;
  assert.equal(bytes, file.bytes);
}

async function readTheLog(dict: Stage['dict']): Promise<void> {
  const all = { participant: psp, keyType: 'PHONE', startTime: new Date(0), endTime: new Date(Date.now() + 86_400_000) } as const;
  // The log lags 5 s of the simulator's clock behind.
  for (let polls = 0; polls < 1_000; polls += 1) {
    const page = await dict.listCidSetEvents({ ...all, limit: 3 });
    if (page.events.length === 3 && page.hasMoreElements) return;
  }
  assert.fail('the log never listed its events');
}

function judged(exchanges: readonly Exchange[]): { findings: string[]; seen: Set<string> } {
  const judgements = exchanges.map((exchange) => ({ ...judge(contract, exchange), status: exchange.status }));
  return {
    findings: [...new Set(judgements.flatMap(({ findings }) => findings))],
    seen: new Set(judgements.map(({ operation, status }) => `${operation} ${status}`)),
  };
}

const everyOperation = [
  'createEntry 201',
  'updateEntry 200',
  'getEntry 200',
  'deleteEntry 200',
  'confirmClaim 200',
  'completeClaim 200',
  'createSyncVerification 201',
  'createCidSetFile 201',
  'getCidSetFile 200',
  'listCidSetEvents 200',
  'getEntryByCid 200',
  'bucketStates 200',
  'getPolicy 200',
];

/** What a reading of the unsaid does that the letter of the schemas forbids. */
const absentElements =
  /^listCidSetEvents: 200: \/ must have required property '(?:StartTime|EndTime|SyncVerifierStart|SyncVerifierEnd)'$/;

/** The contract declares `Signature` and leaves what stands in it to XMLDSig. */
const insideSignature = /\/Signature\/(?:SignedInfo|SignatureValue|KeyInfo) is not in the contract$/;

describe('every operation, as sent and as answered, is as the contract says', () => {
  const readings: readonly [string, SimulatorOptions, RegExp?][] = [
    ['by default', {}],
    ['with elements in the order of the schemas', { readings: { elementOrder: 'schema' } }],
    ['with an empty log that leaves elements out', { readings: { emptyEventList: 'absent' } }, absentElements],
    ['with Ids beyond 2^53 and upper-case digests', { readings: { ids: 'above-2^53', hexCase: 'upper' } }],
    ['uncompressed', { gzip: false }],
    ['signed', { signatures: dictSide }, insideSignature],
  ];
  for (const [what, options, allowed] of readings) {
    it(what, async (t) => {
      const stage = await setUp(t, options);
      await tellTheWholeStory(stage);
      const { findings, seen } = judged(stage.exchanges);
      assert.deepEqual(
        findings.filter((finding) => allowed?.test(finding) !== true),
        [],
      );
      for (const operation of everyOperation) assert.ok(seen.has(operation), `${operation} was not seen`);
    });
  }
});

describe('every error is a problem document as the contract says', () => {
  const failsAs = async (asked: Promise<unknown>, kind: string): Promise<void> => {
    await assert.rejects(asked, (error) => error instanceof DictError && error.kind === kind);
  };

  it('refusals', async (t) => {
    const { simulator, dict, traffic, exchanges } = await setUp(t);
    const { state } = simulator;
    const mine = sample(0);
    state.seedEntries([mine]);
    const cid = state.entryByKey(mine.entry.key)?.cid ?? '';
    assert.equal((await dict.getEntryByCid({ participant: psp, cid: zeros })).found, false);
    await failsAs(dict.getEntryByCid({ participant: other, cid }), 'Forbidden');
    await failsAs(dict.getCidSetFile({ participant: psp, id: '99' }), 'NotFound');
    await failsAs(dict.getPolicy({ participant: psp, name: 'NO_SUCH_POLICY' }), 'NotFound');
    state.setBlocked(mine.entry.key, true);
    await failsAs(dict.getEntryByCid({ participant: psp, cid }), 'EntryBlocked');
    state.setBlocked(mine.entry.key, false);
    const gone = { participant: psp, reason: 'USER_REQUESTED' } as const;
    await failsAs(traffic.deleteEntry({ ...gone, key: sample(5).entry.key }), 'NotFound');
    await failsAs(traffic.confirmClaim({ ...gone, claimId: sample(5).requestId }), 'NotFound');
    const again = { entry: mine.entry, requestId: sample(6).requestId, reason: 'USER_REQUESTED' } as const;
    await failsAs(traffic.createEntry(again), 'EntryAlreadyExists');
    const { findings, seen } = judged(exchanges);
    assert.deepEqual(findings, []);
    for (const refusal of ['getEntryByCid 404', 'getEntryByCid 403', 'getCidSetFile 404', 'createEntry 400']) {
      assert.ok(seen.has(refusal), `${refusal} was not seen`);
    }
  });

  it('invalid requests, with their violations', async (t) => {
    const { traffic, exchanges } = await setUp(t);
    const { entry, requestId } = sample(0);
    const invalid = { ...entry, key: '61988887777' };
    await assert.rejects(traffic.createEntry({ entry: invalid, requestId, reason: 'USER_REQUESTED' }), (error) => {
      assert.ok(error instanceof DictError);
      assert.equal(error.kind, 'EntryInvalid');
      assert.ok(error.violations.some(({ reason, property }) => reason !== '' && property !== null));
      return true;
    });
    assert.deepEqual(judged(exchanges).findings, []);
  });

  it('limits and faults', async (t) => {
    // A token a day: at the usual rate the next one is 6 ms away on this clock, and a busy machine takes longer for a call.
    const SYNC_VERIFICATIONS_WRITE = { capacity: 50, refillTokens: 1, refillPeriodSec: 86_400 };
    const { simulator, dict, exchanges } = await setUp(t, { policies: { SYNC_VERIFICATIONS_WRITE } });
    const { state } = simulator;
    const ask = (): Promise<unknown> =>
      dict.createSyncVerification({ participant: psp, keyType: 'CPF', participantSyncVerifier: zeros });
    await ask();
    for (const error of ['InternalServerError', 'ServiceUnavailable'] as const) {
      state.addFault({ operation: 'createSyncVerification', times: 1, error });
      await failsAs(ask(), error);
    }
    state.setTokens(psp, 'SYNC_VERIFICATIONS_WRITE', 0);
    await failsAs(ask(), 'RateLimited');
    const { findings, seen } = judged(exchanges);
    assert.deepEqual(findings, []);
    for (const status of [429, 500, 503]) assert.ok(seen.has(`createSyncVerification ${status}`));
  });
});

describe('the judge of exchanges', () => {
  it('finds what is planted', async (t) => {
    const { dict, exchanges } = await setUp(t);
    await dict.createSyncVerification({ participant: psp, keyType: 'CPF', participantSyncVerifier: zeros });
    await dict.listCidSetEvents({ participant: psp, keyType: 'CPF', limit: 200 });
    const verification = exchanges.find(({ method }) => method === 'POST');
    const listing = exchanges.find(({ path }) => path.includes('cids/events'));
    assert.ok(verification && listing);
    const body = verification.requestBody.toString();
    const planted: readonly [Exchange, RegExp][] = [
      [{ ...verification, path: '/api/v2/sync-verification/' }, /is not in the contract/],
      [{ ...verification, path: '/api/v1/sync-verifications/' }, /is not in the contract/],
      [{ ...verification, requestHeaders: { 'content-type': 'application/xml' } }, /content type application\/xml$/],
      [{ ...verification, requestHeaders: { ...verification.requestHeaders, 'content-encoding': 'gzip' } }, /compressed/],
      [{ ...verification, requestBody: Buffer.from(body.replace('<KeyType>CPF</KeyType>', '')) }, /required property 'KeyType'/],
      [{ ...verification, requestBody: Buffer.from(body.replace('00038166', '38166')) }, /Participant must match pattern/],
      [{ ...verification, requestBody: Buffer.from(body.replace('CPF', 'ÇPF'), 'latin1') }, /not UTF-8/],
      [{ ...verification, status: 202 }, /status 202 is not in the contract/],
      [{ ...verification, status: 400 }, /media type application\/xml, not application\/problem\+xml/],
      [{ ...listing, path: listing.path.replace('Limit=200', 'Limit=201') }, /Limit must be <= 200/],
      [{ ...listing, path: listing.path.replace('KeyType=CPF', 'KeyType=RG') }, /KeyType must be equal to one of/],
      [{ ...listing, path: `${listing.path}&Page=2` }, /query parameter Page is not in the contract/],
      [{ ...listing, path: listing.path.replace('Participant=00038166&', '') }, /query parameter Participant is missing/],
      [{ ...listing, requestBody: Buffer.from('<a/>') }, /a body where the contract has none/],
    ];
    for (const [exchange, finding] of planted) assert.match(judge(contract, exchange).findings.join('\n'), finding);
  });
});
