/**
 * The bridge and a gRPC client that shares nothing with it: Google's for Python calls every method of a real bridge process, by what server
 * reflection tells alone, in clear and over mutual TLS, and reads health and the details of errors.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { participant } from '../src/dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../src/dict/sample-entries.ts';
import { signerFromFiles, trustFromFiles } from '../src/platform/key-files.ts';
import { demoKeyFiles, initDemoKeys } from '../src/simulator/demo-keys.ts';
import { type Simulator, startSimulator } from '../src/simulator/simulator.ts';
import { startBridgeProcess } from './support/bridge-process.ts';
import { ownDirectory } from './support/program-run.ts';
import { type PythonClient, pythonClientMissing, startPythonClient } from './support/python-client.ts';

const scope = { participant: participant('00038166'), keyType: 'CPF' } as const;
const samples: readonly SampleEntry[] = [...sampleEntries({ seed: 23, ...scope, count: 3_000 })];

type Answer = Readonly<Record<string, unknown>>;

interface World {
  readonly simulator: Simulator;
  readonly python: PythonClient;
  /** The only answer of a call that has to succeed. */
  one(call: string, request: Answer): Promise<Answer>;
}

/** A DICT that signs, a bridge process with its keys, and the foreign client of that; `more` is for the bridge. */
async function world(
  t: TestContext,
  secured: boolean,
  more: (simulator: Simulator) => Readonly<Record<string, string>> = () => ({}),
): Promise<World> {
  const cwd = ownDirectory(t);
  const pki = path.join(cwd, 'pki');
  initDemoKeys(pki, new Date());
  const { dictSigning, participantSigning } = demoKeyFiles(pki);
  const sign = signerFromFiles({ ...dictSigning, passphrase: null });
  const trust = trustFromFiles(participantSigning.certificateFile);
  const file = { requestedMs: 0, processingMs: 0 };
  const simulator = await startSimulator({ policies: null, logLagMs: 0, file, signatures: { sign, trust } });
  t.after(() => simulator.close());
  simulator.state.seedEntries(samples);
  const [authority = '', server = '', serverKey = '', client = '', clientKey = ''] = [
    ...['authority.pem', 'server.pem', 'server-key.pem', 'client.pem', 'client-key.pem'],
  ].map((name) => path.join(pki, name));
  const tls = {
    DICT_VSYNC_BRIDGE_TLS_CERTIFICATE: server,
    DICT_VSYNC_BRIDGE_TLS_KEY: serverKey,
    DICT_VSYNC_BRIDGE_TLS_AUTHORITY: authority,
  };
  const bridge = await startBridgeProcess(t, {
    cwd,
    env: {
      DICT_URL: simulator.apiUrl,
      DICT_VSYNC_DICT_SIGNING_KEY: participantSigning.keyFile,
      DICT_VSYNC_DICT_SIGNING_CERTIFICATE: participantSigning.certificateFile,
      DICT_VSYNC_DICT_TRUST_STORE: dictSigning.certificateFile,
      ...(secured ? tls : {}),
      ...more(simulator),
    },
  });
  const python = startPythonClient(t, `localhost:${bridge.port}`, secured ? [authority, clientKey, client] : []);
  const one = async (call: string, request: Answer): Promise<Answer> => {
    const { answers, ...failure } = await python.ask({ call, request: { participant: scope.participant, ...request } });
    assert.ok(Array.isArray(answers) && answers.length === 1, JSON.stringify(failure));
    return objectOf(answers[0]);
  };
  return { simulator, python, one };
}

function objectOf(value: unknown): Answer {
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), JSON.stringify(value));
  return { ...value };
}

function listOf(value: unknown): readonly Answer[] {
  assert.ok(Array.isArray(value), JSON.stringify(value));
  return value.map(objectOf);
}

const skip = pythonClientMissing() ?? false;

describe('a gRPC client in Python', { skip }, () => {
  for (const secured of [false, true]) {
    it(`calls every method ${secured ? 'over mutual TLS' : 'in clear'}, by reflection alone`, async (t) => {
      const { simulator, python, one } = await world(t, secured);
      const { services } = await python.ask({ call: 'services' });
      assert.deepEqual(services, ['dict.bridge.v1.BridgeService', 'grpc.health.v1.Health']);
      assert.deepEqual(await python.ask({ call: 'health', service: 'dict.bridge.v1.BridgeService' }), { status: 'SERVING' });
      assert.deepEqual(await python.ask({ call: 'health', service: 'nobody' }), { code: 'NOT_FOUND' });
      // Strict clients refuse a whole file over the wrong name of a map's implicit entry.
      for (const [message, maps] of [
        ['google.rpc.ErrorInfo', { metadata: 'MetadataEntry' }],
        ['grpc.health.v1.HealthListResponse', { statuses: 'StatusesEntry' }],
      ]) {
        assert.deepEqual(await python.ask({ call: 'maps', message }), { maps });
      }

      const { vsync } = simulator.state.vsync(scope);
      const verifiers = [
        { key_type: 'KEY_TYPE_CPF', sync_verifier: vsync },
        { key_type: 'KEY_TYPE_EVP', sync_verifier: 'f'.repeat(64) },
      ];
      const { results } = await one('VerifySync', { verifiers, priority: 'PRIORITY_VERIFICATION' });
      assert.deepEqual(
        listOf(results).map(({ key_type, verification }) => [key_type, objectOf(verification)['result']]),
        [
          ['KEY_TYPE_CPF', 'RESULT_OK'],
          ['KEY_TYPE_EVP', 'RESULT_NOK'],
        ],
      );

      const requested = objectOf((await one('RequestCidSetFile', { key_type: 'KEY_TYPE_CPF' }))['file']);
      const file = await availableFile(one, requested['id']);
      assert.deepEqual(await downloaded(python, file), { bytes: Number(file['bytes']), sha256: file['sha256'] });

      const [first] = simulator.state.activeEntries(scope);
      assert.ok(first);
      const altered = simulator.state.alter(first.entry.key, { name: 'João & Maria' }, { log: true });
      const page = await one('ListCidSetEvents', { key_type: 'KEY_TYPE_CPF', limit: 200 });
      assert.deepEqual(
        listOf(page['events']).map(({ type, cid }) => [type, cid]),
        [
          ['TYPE_REMOVED', first.cid],
          ['TYPE_ADDED', altered.cid],
        ],
      );
      assert.equal(page['sync_verifier_end'], simulator.state.vsync(scope).vsync);

      const found = objectOf((await one('GetEntryByCid', { cid: altered.cid }))['found']);
      const entry = objectOf(found['entry']);
      assert.deepEqual([entry['key'], objectOf(entry['owner'])['name']], [first.entry.key, 'João & Maria']);
      assert.equal(found['request_id'], first.requestId);
      assert.equal((await one('GetEntryByCid', { cid: first.cid }))['found'], undefined, 'no entry has the CID of before');

      const unlisted = await python.ask({
        call: 'ListEntries',
        request: { participant: scope.participant, page_number: 1, page_size: 10 },
      });
      assert.equal(unlisted['code'], 'UNIMPLEMENTED');
      assert.match(String(unlisted['message']), /no directory that lists entries/);
    });
  }

  it('lists entries page by page where the bridge has a directory that does', async (t) => {
    const { simulator, one } = await world(t, true, ({ listingUrl }) => ({ DICT_LISTING_URL: listingUrl }));
    const pages: Answer[] = [];
    for (const page_number of [1, 2, 3]) pages.push(await one('ListEntries', { page_number, page_size: 1_000 }));
    assert.deepEqual(
      pages.map(({ entries, total_count, has_next_page }) => [listOf(entries).length, total_count, has_next_page]),
      [
        [1_000, '3000', true],
        [1_000, '3000', true],
        // What is false is left out of JSON.
        [1_000, '3000', undefined],
      ],
    );
    const told = pages
      .flatMap(({ entries }) => listOf(entries))
      .map(({ key, owner }) => [key, objectOf(owner)['name']].join(' '));
    const there = [...simulator.state.activeEntries(scope)].map(({ entry }) => [entry.key, entry.owner.name].join(' '));
    assert.deepEqual(told.toSorted(), there.toSorted());

    const [first] = simulator.state.activeEntries(scope);
    assert.ok(first);
    const updated_since = new Date().toISOString();
    simulator.state.alter(first.entry.key, { name: 'João & Maria <Conceição>' });
    const [since, ...none] = listOf((await one('ListEntries', { page_number: 1, page_size: 10, updated_since }))['entries']);
    assert.deepEqual(
      [since?.['key'], objectOf(since?.['owner'])['name'], none],
      [first.entry.key, 'João & Maria <Conceição>', []],
    );
    assert.equal(since?.['request_id'], undefined, 'none says which RequestId it was created with');
  });

  it('reads the state of token buckets', async (t) => {
    const { simulator, python } = await world(t, false);
    const failure = await python.ask({
      call: 'GetPolicies',
      request: { participant: scope.participant, name: 'NO_SUCH_POLICY' },
    });
    assert.equal(failure['code'], 'NOT_FOUND');
    await simulator.close();
    const limited = await startSimulator();
    t.after(() => limited.close());
    const bridge = await startBridgeProcess(t, { cwd: ownDirectory(t), env: { DICT_URL: limited.apiUrl } });
    const other = startPythonClient(t, `127.0.0.1:${bridge.port}`);
    const all = await other.ask({ call: 'GetPolicies', request: { participant: scope.participant } });
    const policies = listOf(objectOf(listOf(all['answers'])[0])['policies']);
    const byCid = policies.find(({ name }) => name === 'CIDS_ENTRIES_READ');
    assert.deepEqual([byCid?.['capacity'], byCid?.['refill_tokens'], byCid?.['refill_period_sec']], ['36000', '1200', '60']);
    const single = await other.ask({
      call: 'GetPolicies',
      request: { participant: scope.participant, name: 'CIDS_ENTRIES_READ' },
    });
    assert.deepEqual(objectOf(listOf(objectOf(listOf(single['answers'])[0])['policies'])[0])['capacity'], '36000');
  });

  it('reads what was wrong out of the details of an error', async (t) => {
    const { simulator, python } = await world(t, false);
    const ask = (call: string, request: Answer, timeout = 30) =>
      python.ask({ call, request: { participant: scope.participant, ...request }, timeout });

    const unknown = await ask('GetCidSetFile', { id: '999999' });
    assert.equal(unknown['code'], 'NOT_FOUND');
    const details = new Map(listOf(unknown['details']).map(({ type, value }) => [type, objectOf(value)]));
    const problem = details.get('dict.bridge.v1.DictProblem');
    assert.deepEqual([problem?.['kind'], problem?.['http_status'], problem?.['remedy']], ['NotFound', 404, 'REMEDY_FINAL']);
    const info = details.get('google.rpc.ErrorInfo');
    assert.deepEqual([info?.['reason'], info?.['domain']], ['NOT_FOUND', 'dict.bridge.v1']);
    assert.equal(details.get('google.rpc.RequestInfo')?.['request_id'], problem?.['correlation_id']);

    const wrong = await ask('ListCidSetEvents', { key_type: 'KEY_TYPE_CPF', limit: 201 });
    assert.equal(wrong['code'], 'INVALID_ARGUMENT');
    const [bad] = listOf(wrong['details']);
    assert.equal(bad?.['type'], 'google.rpc.BadRequest');
    assert.equal(listOf(objectOf(bad?.['value'])['field_violations'])[0]?.['field'], 'limit');

    simulator.state.addFault({ operation: 'createCidSetFile', error: 'ServiceUnavailable', times: 1 });
    const busy = await ask('RequestCidSetFile', { key_type: 'KEY_TYPE_CPF' });
    assert.equal(busy['code'], 'UNAVAILABLE');
    const retry = listOf(busy['details']).find(({ type }) => type === 'google.rpc.RetryInfo');
    assert.match(String(objectOf(retry?.['value'])['retry_delay']), /^[0-9]+s$/);

    simulator.state.addFault({ operation: 'createCidSetFile', delayMs: 60_000, times: 1 });
    const late = await ask('RequestCidSetFile', { key_type: 'KEY_TYPE_CPF' }, 1);
    assert.equal(late['code'], 'DEADLINE_EXCEEDED');
    simulator.state.clearFaults();
  });
});

/** Asks until the file is available, a few times. */
async function availableFile(one: World['one'], id: unknown): Promise<Answer> {
  for (let looks = 0; looks < 50; looks += 1) {
    const file = objectOf((await one('GetCidSetFile', { id }))['file']);
    if (file['status'] === 'AVAILABLE') return file;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return assert.fail(`file ${String(id)} is never available`);
}

/** Length and digest of what the stream of a file came to. */
async function downloaded(python: PythonClient, file: Answer): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const { answers } = await python.ask({ call: 'DownloadCidSetFile', request: { url: file['url'], bytes_max: 10_000_000 } });
  const chunks = listOf(answers).map(({ chunk }) => Buffer.from(String(chunk), 'base64'));
  assert.ok(chunks.length > 1, 'the file comes in several pieces');
  const whole = Buffer.concat(chunks);
  return { bytes: whole.length, sha256: createHash('sha256').update(whole).digest('hex') };
}
