/** Connections to DICT over time: kept as long as the server keeps them and no longer, no more than allowed, and never waited for without end. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { cid, ispb, setUp, stamp } from '../../test/support/scripted-client.ts';
import { answer, type Script, scriptedDict } from '../../test/support/scripted-dict.ts';
import { demandingServer, identity, tlsClient } from '../../test/support/tls-sides.ts';
import { DictError } from '../dict/errors.ts';
import { createDictClient } from './dict-client.ts';

const request = { participant: ispb, keyType: 'CPF' } as const;
const page = `<ListCidSetEventsResponse>${stamp}<HasMoreElements>false</HasMoreElements><Participant>${ispb}</Participant><KeyType>CPF</KeyType></ListCidSetEventsResponse>`;

interface PlainServer {
  readonly apiUrl: string;
  /** Connections made to it so far. */
  readonly connections: number;
}

/** A server of HTTP that does with its sockets whatever the test says. */
async function plainServer(t: TestContext, serve: (socket: Socket) => void): Promise<PlainServer> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    apiUrl: `http://127.0.0.1:${address.port}/api/v2/`,
    get connections() {
      return sockets.length;
    },
  };
}

function clientOf(t: TestContext, apiUrl: string, limits: { callMs: number; connections?: number }) {
  const client = createDictClient({
    apiUrl,
    filesHosts: ['127.0.0.1'],
    clock: { now: () => new Date(), sleep: (ms) => wait(ms) },
    random: () => 0.5,
    retry: { triesMax: 1 },
    budget: { policies: 'configured' },
    limits,
  });
  t.after(() => client.close());
  return client;
}

const failsAs =
  (kind: string, message: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof DictError, String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, message);
    return true;
  };

describe('a kept connection', () => {
  /** A server that closes idle connections without a word when its announced time is over. */
  const announcedMs = 3_000;
  const closing = (socket: Socket): void => {
    let end: NodeJS.Timeout | undefined;
    socket.on('data', () => {
      clearTimeout(end);
      socket.write(
        `HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: ${page.length}\r\nKeep-Alive: timeout=${announcedMs / 1_000}\r\n\r\n${page}`,
      );
      end = setTimeout(() => socket.destroy(), announcedMs);
    });
    socket.on('close', () => clearTimeout(end));
  };

  it('is used again, but never as late as the server has announced to close it', async (t) => {
    // Around the moment at which the server hangs up, where a connection that is used breaks.
    const lastPausesMs = [0, 900, 2_950, 2_990, 3_000, 3_010, 3_100];
    await Promise.all(
      lastPausesMs.map(async (lastPauseMs) => {
        const server = await plainServer(t, closing);
        const client = clientOf(t, server.apiUrl, { callMs: 20_000 });
        const pausesMs = [0, 0, 0, 0, lastPauseMs];
        for (const pauseMs of pausesMs) {
          await wait(pauseMs);
          assert.deepEqual((await client.listCidSetEvents(request)).events, []);
        }
        assert.ok(server.connections < pausesMs.length, `${server.connections} connections`);
        if (lastPauseMs >= 2_900) assert.equal(server.connections, 2, 'the first one was left alone well before its end');
      }),
    );
  });

  it('is one of as many as are allowed, however many calls there are', async (t) => {
    let open = 0;
    let most = 0;
    const server = await plainServer(t, (socket) => {
      socket.on('data', () => {
        open += 1;
        most = Math.max(most, open);
        setTimeout(() => {
          open -= 1;
          socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: ${page.length}\r\n\r\n${page}`);
        }, 20);
      });
    });
    const client = clientOf(t, server.apiUrl, { callMs: 20_000, connections: 3 });
    await Promise.all(Array.from({ length: 24 }, () => client.listCidSetEvents(request, { priority: 'person' })));
    assert.deepEqual([server.connections, most], [3, 3]);
  });

  it('is kept over TLS too, so that certificates are proven once for many calls', async (t) => {
    const dict = await scriptedDict(t, demandingServer());
    const sockets = new Set<unknown>();
    dict.play((response, asked) => {
      sockets.add(response.socket);
      answer(200, page)(response, asked);
    });
    const client = tlsClient(t, dict.apiUrl, identity(t));
    for (let calls = 0; calls < 20; calls += 1) await client.listCidSetEvents(request, { priority: 'person' });
    assert.equal(dict.received.length, 20);
    assert.ok(sockets.size < 20, `${sockets.size} connections`);
  });
});

describe('a call ends', () => {
  /** Writes a piece whenever some time has passed, for ever. */
  const dribbling =
    (first: string, piece: string): ((socket: Socket) => void) =>
    (socket) => {
      socket.once('data', () => {
        socket.write(first);
        const timer = setInterval(() => socket.write(piece), 20);
        socket.on('close', () => clearInterval(timer));
      });
    };
  const endless: readonly (readonly [string, (socket: Socket) => void])[] = [
    ['while the head of the answer comes letter by letter', dribbling('HTTP/1.1 200 OK\r\nX-Slow: ', 'a')],
    [
      'while the body comes letter by letter',
      dribbling('HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: 100000\r\n\r\n', ' '),
    ],
    [
      'while the body comes in chunks without end',
      dribbling('HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nTransfer-Encoding: chunked\r\n\r\n', '1\r\n \r\n'),
    ],
    [
      'when nothing comes after the head',
      (socket) => void socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n')),
    ],
    ['when nothing comes at all', () => {}],
  ];
  for (const [what, serve] of endless) {
    it(`in its time ${what}`, async (t) => {
      const server = await plainServer(t, serve);
      const client = clientOf(t, server.apiUrl, { callMs: 400 });
      await assert.rejects(client.listCidSetEvents(request), failsAs('Timeout', /no answer within 400 ms|fell silent/));
    });
  }

  it('at a head that is too large, however fast it comes', async (t) => {
    const server = await plainServer(t, (socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\n');
        for (let line = 0; line < 2_000; line += 1) socket.write(`X-${line}: ${'a'.repeat(100)}\r\n`);
      });
    });
    const client = clientOf(t, server.apiUrl, { callMs: 20_000 });
    await assert.rejects(client.listCidSetEvents(request), failsAs('InvalidAnswer', /not HTTP/));
  });
});

describe('what is sent', () => {
  it('is never compressed, while answers may be', async (t) => {
    const { dict, client } = await setUp(t);
    const verified: Script = answer(
      201,
      `<CreateSyncVerificationResponse>${stamp}<SyncVerification><Id>1</Id><Participant>${ispb}</Participant><KeyType>CPF</KeyType><ParticipantSyncVerifier>${cid}</ParticipantSyncVerifier><Result>OK</Result></SyncVerification></CreateSyncVerificationResponse>`,
    );
    dict.play(verified);
    await client.createSyncVerification({ ...request, participantSyncVerifier: cid });
    const [{ headers, body } = assert.fail()] = dict.received;
    assert.deepEqual(
      [headers['content-encoding'], headers['accept-encoding'], headers['content-type']],
      [undefined, 'gzip', 'application/xml; charset=UTF-8'],
    );
    assert.equal(Number(headers['content-length']), body.length);
    assert.match(body.toString('utf8'), /^<\?xml .*<CreateSyncVerificationRequest>/s);
  });
});
