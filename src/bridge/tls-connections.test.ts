/** TLS to DICT as it is asked for: proven on both sides, and each way in which it can fail named, with what somebody can do about it. */

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { ispb, stamp } from '../../test/support/scripted-client.ts';
import { answer, scriptedDict } from '../../test/support/scripted-dict.ts';
import { type Issued, tlsAuthority } from '../../test/support/tls-authority.ts';
import {
  authority,
  demandingServer,
  identity,
  participantCertificate,
  stranger,
  tlsClient,
} from '../../test/support/tls-sides.ts';
import type { DictApi } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import type { TlsIdentity } from '../platform/tls-files.ts';

const LONG_AGO = new Date('2001-01-01T00:00:00Z');
const YEARS_AGO = new Date('2021-01-01T00:00:00Z');
const FAR_AHEAD = new Date('2051-01-01T00:00:00Z');
const request = { participant: ispb, keyType: 'CPF' } as const;
const emptyPage = answer(
  200,
  `<ListCidSetEventsResponse>${stamp}<HasMoreElements>false</HasMoreElements><Participant>${ispb}</Participant><KeyType>CPF</KeyType></ListCidSetEventsResponse>`,
);

async function failureOf(asked: Promise<unknown>): Promise<DictError> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof DictError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: 'the call came through' });
}

/** The failure of a call, for which the server must have received nothing. */
async function refused(t: TestContext, server: Parameters<typeof scriptedDict>[1], tls: TlsIdentity): Promise<DictError> {
  const dict = await scriptedDict(t, server);
  dict.play(emptyPage);
  const failure = await failureOf(tlsClient(t, dict.apiUrl, tls).listCidSetEvents(request));
  assert.equal(dict.received.length, 0, 'nothing reaches the server');
  return failure;
}

describe('mutual TLS', () => {
  for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
    it(`shows our certificate and reads what comes back, over ${version}`, async (t) => {
      const dict = await scriptedDict(t, demandingServer(undefined, { minVersion: version, maxVersion: version }));
      const shown: unknown[] = [];
      dict.play((response, asked) => {
        // A server of TLS has sockets of TLS.
        const socket = response.socket as TLSSocket;
        shown.push(socket.getProtocol(), socket.getPeerX509Certificate()?.fingerprint256, socket.isSessionReused());
        emptyPage(response, asked);
      });
      const client = tlsClient(t, dict.apiUrl, identity(t));
      assert.deepEqual((await client.listCidSetEvents(request)).events, []);
      assert.deepEqual(shown, [version, participantCertificate.certificate.fingerprint256, false]);
    });
  }

  it('accepts a chain over certificates in between, and a trusted authority that is no root', async (t) => {
    const between = tlsAuthority('between', authority);
    const server = between.issue();
    const chain = { ...server, pem: { ...server.pem, certificate: server.pem.certificate + between.pem.certificate } };
    const dict = await scriptedDict(t, demandingServer(chain));
    dict.play(emptyPage);
    for (const trusted of [authority, between]) {
      const client = tlsClient(t, dict.apiUrl, identity(t, participantCertificate, [trusted]));
      assert.deepEqual((await client.listCidSetEvents(request)).events, []);
    }
  });

  it('names the host that it asks for, and wants the certificate to be for that name', async (t) => {
    for (const [hosts, accepted] of [
      [['localhost'], true],
      [['127.0.0.1', 'dict.example'], false],
    ] as const) {
      const dict = await scriptedDict(t, demandingServer(authority.issue({ hosts })));
      const asked: unknown[] = [];
      dict.play((response, received) => {
        // As above.
        asked.push((response.socket as TLSSocket & { readonly servername?: unknown }).servername);
        emptyPage(response, received);
      });
      const client = tlsClient(t, dict.apiUrl.replace('127.0.0.1', 'localhost'), identity(t));
      const outcome = await client.listCidSetEvents(request).then(
        () => 'read',
        (error: unknown) => (error instanceof DictError ? error.kind : String(error)),
      );
      assert.deepEqual([outcome, asked], accepted ? ['read', ['localhost']] : ['ServerNameMismatch', []]);
    }
  });

  it('carries files from another host over the same certificates', async (t) => {
    const [api, files] = [await scriptedDict(t, demandingServer()), await scriptedDict(t, demandingServer())];
    const shown: unknown[] = [];
    files.play((response) => {
      // As above.
      shown.push((response.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256);
      response.writeHead(200).end('a file');
    });
    const client = tlsClient(t, api.apiUrl, identity(t), { filesHosts: [files.host] });
    const pieces: Uint8Array[] = [];
    for await (const piece of client.downloadCidSetFile({ url: `https://${files.host}/x`, bytesMax: 100 })) pieces.push(piece);
    assert.equal(Buffer.concat(pieces).toString(), 'a file');
    assert.deepEqual(shown, [participantCertificate.certificate.fingerprint256]);
  });

  it('shows none where none is demanded', async (t) => {
    const { cert, key } = demandingServer();
    const dict = await scriptedDict(t, { cert, key });
    dict.play(emptyPage);
    assert.deepEqual((await tlsClient(t, dict.apiUrl, identity(t, null)).listCidSetEvents(request)).events, []);
  });
});

describe('a server that is not DICT', () => {
  const servers: readonly (readonly [string, Issued, string, RegExp])[] = [
    [
      'with a certificate of another authority',
      stranger.issue(),
      'ServerCertificateUntrusted',
      /not trusted here: .*DICT_VSYNC_DICT_TLS_AUTHORITY \(UNABLE_TO_GET_ISSUER_CERT_LOCALLY\)/,
    ],
    ['with a certificate that nobody issued', stranger, 'ServerCertificateUntrusted', /not trusted here/],
    [
      'with the certificate of another host',
      authority.issue({ hosts: ['files.example', '127.0.0.2'] }),
      'ServerNameMismatch',
      /for other names \(DNS:files\.example, IP Address:127\.0\.0\.2\): check the host in DICT_URL/,
    ],
    [
      'with a certificate that has expired',
      authority.issue({ notAfter: YEARS_AGO }),
      'ServerCertificateExpired',
      /not valid at this time: check this machine’s clock.*\(CERT_HAS_EXPIRED\)/,
    ],
    [
      'with a certificate of the future',
      authority.issue({ notBefore: FAR_AHEAD, notAfter: new Date('2052-01-01T00:00:00Z') }),
      'ServerCertificateExpired',
      /\(CERT_NOT_YET_VALID\)/,
    ],
  ];
  for (const [what, server, kind, message] of servers) {
    it(`${what} gets no request: ${kind}`, async (t) => {
      const failure = await refused(t, demandingServer(server), identity(t));
      assert.deepEqual([failure.kind, failure.status, failure.remedy], [kind, 0, 'person']);
      assert.match(failure.message, message);
    });
  }

  it('gets none either where the environment tells Node to accept everything', async (t) => {
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      const failure = await refused(t, demandingServer(stranger.issue()), identity(t));
      assert.equal(failure.kind, 'ServerCertificateUntrusted');
    } finally {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    }
  });

  it('gets no download: files are asked for over the same TLS', async (t) => {
    const dict = await scriptedDict(t, demandingServer(stranger.issue()));
    const client = tlsClient(t, dict.apiUrl, identity(t));
    const file = client.downloadCidSetFile({ url: `https://${dict.host}/x`, bytesMax: 100 });
    assert.equal((await failureOf(file[Symbol.asyncIterator]().next())).kind, 'ServerCertificateUntrusted');
    assert.equal(dict.received.length, 0);
  });
});

describe('no common ground', () => {
  it('is what a server of TLS 1.1 has with us', async (t) => {
    const old = demandingServer(undefined, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' });
    const failure = await refused(t, old, identity(t));
    assert.deepEqual([failure.kind, failure.remedy], ['TlsFailed', 'person']);
    assert.match(failure.message, /no common way of TLS 1\.2 or newer: check host and port in DICT_URL/);
  });

  it('is what a port of plain http has', async (t) => {
    const dict = await scriptedDict(t);
    const failure = await failureOf(tlsClient(t, dict.apiUrl.replace('http:', 'https:'), identity(t)).listCidSetEvents(request));
    assert.equal(failure.kind, 'TlsFailed');
  });

  it('is found out in the time of a connection where the server says nothing at all', async (t) => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    assert.ok(typeof address === 'object' && address !== null);
    t.after(() => silent.close());
    const client = tlsClient(t, `https://127.0.0.1:${address.port}/api/v2/`, identity(t), {
      limits: { connectMs: 300, callMs: 30_000 },
    });
    const failure = await failureOf(client.listCidSetEvents(request));
    assert.deepEqual([failure.kind, failure.remedy], ['Unreachable', 'retry']);
    assert.match(failure.message, /UND_ERR_CONNECT_TIMEOUT/);
  });
});

describe('our certificate', () => {
  for (const version of ['TLSv1.3', 'TLSv1.2'] as const) {
    it(`is missed where there is none, over ${version}`, async (t) => {
      const server = demandingServer(undefined, { minVersion: version, maxVersion: version });
      const failure = await refused(t, server, identity(t, null));
      assert.deepEqual([failure.kind, failure.remedy], ['ClientCertificateRefused', 'person']);
      assert.match(failure.message, /refuses our certificate: none is presented; set DICT_VSYNC_DICT_TLS_CERTIFICATE and/);
    });
  }

  const ours: readonly (readonly [string, Issued, RegExp])[] = [
    [
      'of another authority',
      stranger.issue(),
      /may be refusing our certificate: it has to be the one that the Central Bank knows/,
    ],
    [
      'that has expired',
      authority.issue({ notBefore: LONG_AGO, notAfter: YEARS_AGO }),
      /may be refusing our certificate: it expired at 2021-01-01T00:00:00\.000Z; put a renewed one in its place/,
    ],
    [
      'of the future',
      authority.issue({ notBefore: FAR_AHEAD, notAfter: new Date('2052-01-01') }),
      /it is valid from 2051-01-01T/,
    ],
  ];
  for (const [what, own, message] of ours) {
    // A server on Node breaks the connection off without an alert; servers on OpenSSL are in test/tls-interoperation.test.ts.
    it(`${what} is suspected where a server hangs up on it without a word`, async (t) => {
      const failure = await refused(t, demandingServer(), identity(t, own));
      assert.ok(failure.kind === 'Unreachable' || failure.kind === 'ConnectionLost', failure.kind);
      assert.match(failure.message, message);
    });
  }

  it('is not suspected where nobody listens', async (t) => {
    const nobody = createServer();
    await new Promise<void>((resolve) => nobody.listen(0, '127.0.0.1', resolve));
    const address = nobody.address();
    assert.ok(typeof address === 'object' && address !== null);
    await new Promise((resolve) => nobody.close(resolve));
    const client = tlsClient(t, `https://127.0.0.1:${address.port}/api/v2/`, identity(t));
    const failure = await failureOf(client.listCidSetEvents(request));
    assert.deepEqual([failure.kind, failure.message], ['Unreachable', 'listCidSetEvents: DICT cannot be reached (ECONNREFUSED)']);
  });

  it('is not suspected of what breaks after it has been accepted', async (t) => {
    const dict = await scriptedDict(t, demandingServer());
    dict.play(emptyPage, (response) => void response.socket?.destroy());
    const client = tlsClient(t, dict.apiUrl, identity(t));
    await client.listCidSetEvents(request);
    const failure = await failureOf(client.listCidSetEvents(request));
    assert.equal(failure.kind, 'ConnectionLost');
    assert.doesNotMatch(failure.message, /certificate/);
  });

  it('costs no token where it is refused: nothing was asked', async (t) => {
    const dict = await scriptedDict(t, demandingServer());
    const budget = {
      policies: 'configured',
      waitMaxMs: 1_000,
      rates: { CIDS_FILES_WRITE: { capacity: 2, refillTokens: 1, refillPeriodMs: 86_400_000 } },
    } as const;
    const client: DictApi = tlsClient(t, dict.apiUrl, identity(t, null), { budget });
    for (let calls = 0; calls < 4; calls += 1) {
      assert.equal((await failureOf(client.createCidSetFile(request))).kind, 'ClientCertificateRefused');
    }
  });
});
