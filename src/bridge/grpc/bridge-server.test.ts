/**
 * How the bridge behaves as a server: deadlines and cancellation reach the wait for a token and the HTTP call, sizes are limited both ways, a
 * slow reader slows the download, TLS lets in whom it should, and the end is in good order.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { create } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { bridgeClientOf, grpcBridge } from '../../../test/support/grpc-bridge.ts';
import { cid, ispb, setUp, stamp, vsync, wholeByCid } from '../../../test/support/scripted-client.ts';
import { answer, problem, type Script } from '../../../test/support/scripted-dict.ts';
import type { DictApi } from '../../dict/api.ts';
import { DictError } from '../../dict/errors.ts';
import { BridgeNotStarted, startBridgeServer } from './bridge-server.ts';
import { KeyType, VerifySyncRequestSchema, type VerifySyncResponse } from './generated/dict/bridge/v1/bridge_pb.ts';
import { bridgeMethods } from './service-definition.ts';
import { dictErrorOf } from './status-details.ts';

const byCid = { participant: ispb, cid };

/** A script that never answers, and tells when the request has come and when its connection is gone. */
function silence(): { readonly script: Script; readonly arrived: Promise<void>; readonly gone: Promise<void> } {
  const arrived = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const script = (response: ServerResponse): void => {
    arrived.resolve();
    response.on('close', () => gone.resolve());
  };
  return { script, arrived: arrived.promise, gone: gone.promise };
}

describe('deadline and cancellation', () => {
  it('of the caller end the HTTP call', async (t) => {
    const { dict, client: here } = await setUp(t, { limits: { callMs: 60_000 } });
    const { client, server } = await grpcBridge(t, here);
    const cancelled = silence();
    dict.play(cancelled.script);
    const abort = new AbortController();
    const call = client.getEntryByCid(byCid, { signal: abort.signal });
    await cancelled.arrived;
    const reason = new Error('no longer wanted');
    abort.abort(reason);
    await assert.rejects(call, reason);
    await cancelled.gone;

    const late = silence();
    dict.play(late.script);
    const hasty = bridgeClientOf(server, { callMs: 500 });
    t.after(() => hasty.close());
    await assert.rejects(hasty.getEntryByCid(byCid), { kind: 'Timeout', message: /no answer of the bridge .* within 500 ms/ });
    await late.gone;
    assert.equal(dict.received.length, 2, 'nothing was repeated');
  });

  it('of the caller end the wait for a token, and nothing is sent', async (t) => {
    const { dict, client: here } = await setUp(t, {
      budget: {
        policies: 'configured',
        // A token in some 17 minutes of the scripted DICT's clock; the first call takes the only one.
        rates: { CIDS_ENTRIES_READ: { capacity: 1, refillTokens: 1, refillPeriodMs: 1e9 } },
        waitMaxMs: 1e9,
      },
    });
    dict.play(answer(200, wholeByCid));
    const { client, server } = await grpcBridge(t, here);
    assert.equal((await client.getEntryByCid(byCid, { priority: 'person' })).found, true);
    const hasty = bridgeClientOf(server, { callMs: 300 });
    t.after(() => hasty.close());
    await assert.rejects(hasty.getEntryByCid(byCid, { priority: 'person' }), { kind: 'Timeout' });
    await assert.rejects(client.getEntryByCid(byCid, { signal: AbortSignal.timeout(300) }), { name: 'TimeoutError' });
    assert.equal(dict.received.length, 1);
  });
});

describe('priority', () => {
  it('of a call decides who gets a token first', async (t) => {
    const { dict, client: here } = await setUp(t, {
      budget: {
        policies: 'configured',
        // One token a second of real time: the clock of the scripted DICT runs a thousand times as fast.
        rates: { CIDS_ENTRIES_READ: { capacity: 1, refillTokens: 1, refillPeriodMs: 1_000_000 } },
        waitMaxMs: 1e9,
      },
    });
    dict.play(answer(200, wholeByCid));
    const { client } = await grpcBridge(t, here);
    await client.getEntryByCid(byCid);
    const order: string[] = [];
    const ask = (priority: 'person' | 'verification' | 'routine') =>
      client.getEntryByCid(byCid, { priority }).then(() => order.push(priority));
    const routine = ask('routine');
    await wait(100);
    await Promise.all([routine, ask('verification'), ask('person')]);
    assert.deepEqual(order, ['person', 'verification', 'routine']);
  });
});

describe('VerifySync', () => {
  it('answers each key type for itself, errors typed', async (t) => {
    const { dict, client: here } = await setUp(t);
    const { server } = await grpcBridge(t, here);
    const result = (keyType: string, verdict: string) =>
      answer(
        201,
        `<CreateSyncVerificationResponse>${stamp}<SyncVerification><Participant>${ispb}</Participant><KeyType>${keyType}</KeyType>
<ParticipantSyncVerifier>${vsync}</ParticipantSyncVerifier><Id>7</Id><Result>${verdict}</Result></SyncVerification></CreateSyncVerificationResponse>`,
      );
    const byType: Script = (response, request) => {
      const keyType = /<KeyType>(\w+)</.exec(String(request.body))?.[1] ?? '';
      const script =
        keyType === 'EMAIL' ? problem(403, 'Forbidden', '<correlationId>c-9</correlationId>') : result(keyType, 'NOK');
      script(response, request);
    };
    dict.play(byType);
    const keyTypes = [KeyType.EVP, KeyType.EMAIL, KeyType.CPF];
    const { results } = await verifySync(t, server.port, keyTypes);
    assert.deepEqual(
      results.map(({ keyType }) => keyType),
      keyTypes,
    );
    const [evp, email, cpf] = results.map(({ outcome }) => outcome);
    assert.ok(evp?.case === 'verification' && cpf?.case === 'verification' && email?.case === 'error');
    assert.equal(evp.value.id, '7');
    const error = dictErrorOf(email.value);
    assert.deepEqual([error?.kind, error?.status, error?.remedy, error?.correlationId], ['Forbidden', 403, 'person', 'c-9']);
    assert.equal(email.value.code, status.PERMISSION_DENIED);
  });

  it('refuses none, the same key type twice, and one that it does not know', async (t) => {
    const { dict, client: here } = await setUp(t);
    const { server } = await grpcBridge(t, here);
    const cases: readonly (readonly [readonly KeyType[], RegExp])[] = [
      [[], /verifiers: 0 of them/],
      [[KeyType.CPF, KeyType.CPF], /verifiers: a key type is there twice/],
      [[KeyType.CPF, KeyType.UNSPECIFIED], /verifiers\[1\]\.key_type: no key type/],
      // An enum's value of a later version of the proto.
      [[99 as KeyType], /verifiers\[0\]\.key_type: no key type/],
    ];
    for (const [keyTypes, complaint] of cases) {
      const refused = { code: status.INVALID_ARGUMENT, details: complaint };
      await assert.rejects(verifySync(t, server.port, keyTypes), refused);
    }
    assert.equal(dict.received.length, 0);
  });

  async function verifySync(t: TestContext, port: number, keyTypes: readonly KeyType[]): Promise<VerifySyncResponse> {
    const verifiers = keyTypes.map((keyType) => ({ keyType, syncVerifier: vsync }));
    const request = create(VerifySyncRequestSchema, { participant: ispb, verifiers });
    return rawCall(t, port, bridgeMethods.verifySync, request);
  }
});

/** A call without our own client around it. */
function rawCall<Request, Response>(
  t: TestContext,
  port: number,
  method: {
    readonly path: string;
    requestSerialize(request: Request): Buffer;
    responseDeserialize(bytes: Buffer): Response;
  },
  request: Request,
): Promise<Response> {
  const client = new Client(`localhost:${port}`, credentials.createInsecure());
  t.after(() => client.close());
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      (message: Request) => method.requestSerialize(message),
      (bytes) => method.responseDeserialize(bytes),
      request,
      new Metadata(),
      (error: ServiceError | null, response) => {
        if (response === undefined) reject(error);
        else resolve(response);
      },
    );
  });
}

describe('sizes', () => {
  it('are limited both ways', async (t) => {
    const { dict, client: here } = await setUp(t);
    const name = 'x'.repeat(400);
    dict.play(answer(200, wholeByCid.replace('Padaria', name)));
    const { client: roomy } = await grpcBridge(t, here, { serverBytesMax: 300 });
    const { client: narrow } = await grpcBridge(t, here, { clientBytesMax: 100 });
    await assert.rejects(roomy.getEntryByCid(byCid), { kind: 'InvalidAnswer', message: /Sent message larger than max/ });
    await assert.rejects(narrow.getEntryByCid(byCid), { kind: 'InvalidAnswer', message: /Received message larger than max/ });
    const long = { participant: ispb, name: 'X'.repeat(400) };
    await assert.rejects(roomy.getPolicy(long), { kind: 'InvalidAnswer', message: /Received message larger than max/ });
  });
});

/** A DICT whose only file is so many pieces, and that tells how many were read and whether its reader went away. */
function fileOf(pieces: number, piece: Buffer) {
  const seen = { read: 0, left: false };
  async function* download(): AsyncIterable<Uint8Array> {
    try {
      for (let index = 0; index < pieces; index += 1) {
        seen.read += 1;
        yield piece;
      }
    } finally {
      seen.left = true;
    }
  }
  return { seen, download };
}

describe('DownloadCidSetFile', () => {
  const url = 'http://files.example/file';

  async function bridgeWith(t: TestContext, downloadCidSetFile: DictApi['downloadCidSetFile']) {
    const { client: here } = await setUp(t);
    return grpcBridge(t, { ...here, downloadCidSetFile });
  }

  it('hands every byte on, in order, whatever the sizes of the pieces', async (t) => {
    const whole = Buffer.alloc(1_000_003);
    for (let at = 0; at < whole.length; at += 1) whole[at] = (at * 7 + (at >> 9)) % 251;
    const { client } = await bridgeWith(t, async function* () {
      yield whole.subarray(0, 1);
      yield whole.subarray(1, 300_001);
      yield whole.subarray(300_001, 300_001);
      yield whole.subarray(300_001);
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of client.downloadCidSetFile({ url, bytesMax: 2_000_000 })) {
      assert.ok(chunk.length >= 1 && chunk.length <= 65_536);
      chunks.push(chunk);
    }
    assert.ok(Buffer.concat(chunks).equals(whole));
  });

  it('starts after the bytes that the caller has already', async (t) => {
    const asked: unknown[] = [];
    const { client } = await bridgeWith(t, async function* (request) {
      asked.push(request);
      yield Buffer.from('def');
    });
    const got: string[] = [];
    for await (const chunk of client.downloadCidSetFile({ url, bytesMax: 6, from: 3 })) got.push(String(Buffer.from(chunk)));
    assert.deepEqual([got, asked], [['def'], [{ url, bytesMax: 6, from: 3 }]]);
    const beyond = client.downloadCidSetFile({ url, bytesMax: 6, from: 7 })[Symbol.asyncIterator]().next();
    await assert.rejects(beyond, { name: 'TypeError', message: /^offset: not a whole number from 0 to 6/ });
  });

  it('reads no further than a slow reader, and stops when it leaves', async (t) => {
    const { seen, download } = fileOf(10_000, Buffer.alloc(65_536, 'a'));
    const { client } = await bridgeWith(t, download);
    for await (const chunk of client.downloadCidSetFile({ url, bytesMax: 1e9 })) {
      assert.equal(chunk.length, 65_536);
      await settled(() => seen.read);
      break;
    }
    // What lies between the two ends: windows of HTTP/2 and streams of 16 messages on either side.
    assert.ok(seen.read < 200, `${seen.read} of 10,000 pieces were read for one`);
    while (!seen.left) await wait(10);
  });

  it('ends in the error that the download met, after what came before it', async (t) => {
    const { client } = await bridgeWith(t, async function* () {
      yield Buffer.from('abc');
      throw new DictError('ConnectionLost', 0, 'downloadCidSetFile: the connection broke (ECONNRESET)');
    });
    const got: string[] = [];
    const read = async (): Promise<void> => {
      for await (const chunk of client.downloadCidSetFile({ url, bytesMax: 10 })) got.push(String(Buffer.from(chunk)));
    };
    await assert.rejects(read(), { kind: 'ConnectionLost', message: /ECONNRESET/ });
    assert.deepEqual(got, ['abc']);
  });

  it('breaks off by the caller’s signal, with its reason', async (t) => {
    const { seen, download } = fileOf(10_000, Buffer.alloc(65_536, 'a'));
    const { client } = await bridgeWith(t, download);
    const abort = new AbortController();
    const reason = new Error('paused');
    const read = async (): Promise<void> => {
      for await (const _ of client.downloadCidSetFile({ url, bytesMax: 1e9 }, { signal: abort.signal })) abort.abort(reason);
    };
    await assert.rejects(read(), reason);
    while (!seen.left) await wait(10);
  });

  async function settled(read: () => number): Promise<void> {
    for (let before = -1, rounds = 0; before !== read() && rounds < 100; rounds += 1) {
      before = read();
      await wait(200);
    }
  }
});

describe('a fault of the bridge', () => {
  it('is told without its words, and logged', async (t) => {
    const { client: here } = await setUp(t);
    const lines: string[] = [];
    const keep = (_fields: object, message: string): void => {
      lines.push(message);
    };
    const log = { debug: keep, info: keep, warn: keep, error: keep, child: () => log };
    const getPolicy = (): Promise<never> => Promise.reject(new Error('secret words'));
    const { client } = await grpcBridge(t, { ...here, getPolicy }, { log });
    const failed = { kind: 'InternalServerError', status: 0, message: /a fault of the bridge; its log says more$/ };
    await assert.rejects(client.getPolicy({ participant: ispb, name: 'X' }), failed);
    assert.deepEqual(lines, ['a fault of the bridge']);
  });
});

describe('start and end', () => {
  const { Check } = healthService;
  const healthOf = async (t: TestContext, port: number, service: string): Promise<unknown> =>
    Check === undefined ? null : rawCall(t, port, Check, { service });

  it('is SERVING, lets calls under way end, and breaks off what takes longer than it may', async (t) => {
    const { dict, client: here } = await setUp(t, { limits: { callMs: 60_000 } });
    const { client, server } = await grpcBridge(t, here);
    for (const service of ['', 'dict.bridge.v1.BridgeService']) {
      assert.deepEqual(await healthOf(t, server.port, service), { status: 'SERVING' });
    }
    await assert.rejects(healthOf(t, server.port, 'unknown'), { code: status.NOT_FOUND });

    const held = Promise.withResolvers<ServerResponse>();
    dict.play((response) => held.resolve(response));
    const underWay = client.getEntryByCid(byCid);
    const response = await held.promise;
    const closed = server.close(60_000);
    await assert.rejects(healthOf(t, server.port, ''), { code: status.UNAVAILABLE });
    response.writeHead(200, { 'content-type': 'application/xml' }).end(wholeByCid);
    assert.equal((await underWay).found, true);
    await closed;
    await assert.rejects(client.createCidSetFile({ participant: ispb, keyType: 'CPF' }), { kind: 'Unreachable' });

    const stuck = await grpcBridge(t, here);
    const quiet = silence();
    dict.play(quiet.script);
    const cut = stuck.client.createCidSetFile({ participant: ispb, keyType: 'CPF' });
    const rejected = assert.rejects(cut, { kind: 'ConnectionLost', remedy: 'retry' });
    await quiet.arrived;
    await stuck.server.close(100);
    await rejected;
    await quiet.gone;
  });

  it('tells watchers of its health that it ends', async (t) => {
    const { client: here } = await setUp(t);
    const { server } = await grpcBridge(t, here);
    const { Watch } = healthService;
    assert.ok(Watch !== undefined);
    const watcher = new Client(`localhost:${server.port}`, credentials.createInsecure());
    t.after(() => watcher.close());
    const stream = watcher.makeServerStreamRequest(Watch.path, Watch.requestSerialize, Watch.responseDeserialize, {
      service: '',
    });
    stream.on('error', () => undefined);
    t.after(() => stream.cancel());
    const [serving] = await once(stream, 'data');
    assert.deepEqual(serving, { status: 'SERVING' });
    const next = once(stream, 'data');
    const closed = server.close(100);
    const [notServing] = await next;
    assert.deepEqual(notServing, { status: 'NOT_SERVING' });
    await closed;
  });

  it('refuses a port that is taken', async (t) => {
    const { client: here } = await setUp(t);
    const { server } = await grpcBridge(t, here);
    const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, child: () => log };
    const clock = { now: () => new Date(), sleep: () => Promise.resolve() };
    const again = startBridgeServer(
      { dict: here, entries: null, log, clock },
      { host: '127.0.0.1', port: server.port, credentials: ServerCredentials.createInsecure(), messageBytesMax: 1_000 },
    );
    await assert.rejects(again, BridgeNotStarted);
  });
});
