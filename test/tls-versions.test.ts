/**
 * TLS older than 1.2 is refused by our own word, as a client of DICT, in gRPC on both sides, and as the simulated DICT: also in a process whose Node would speak it, as
 * `NODE_OPTIONS=--tls-min-v1.0 --tls-cipher-list=DEFAULT@SECLEVEL=0` makes it. Node's own minimum would else hide that ours is gone. The same
 * two settings are made here from within, so this stands in a file, and so in a process, of its own.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import { after, before, describe, it, type TestContext } from 'node:test';
import tls, { type ConnectionOptions, type TLSSocket } from 'node:tls';
import { createDictClient } from '../src/bridge/dict-client.ts';
import type { ChannelFiles } from '../src/bridge/grpc/channel-files.ts';
import { DictError } from '../src/dict/errors.ts';
import { systemClock } from '../src/platform/clock.ts';
import { type TlsIdentity, tlsIdentityFromFiles } from '../src/platform/tls-files.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { bridgeClientOf, grpcBridge } from './support/grpc-bridge.ts';
import { ispb } from './support/scripted-client.ts';
import { scriptedDict } from './support/scripted-dict.ts';
import { temporaryFiles } from './support/temporary-files.ts';
import { authority, demandingServer, identity, participantCertificate, tlsClient } from './support/tls-sides.ts';

const request = { participant: ispb, keyType: 'CPF' } as const;
const own = { ca: authority.pem.certificate, cert: participantCertificate.pem.certificate, key: participantCertificate.pem.key };
const usual = { version: tls.DEFAULT_MIN_VERSION, ciphers: tls.DEFAULT_CIPHERS };

before(() => {
  tls.DEFAULT_MIN_VERSION = 'TLSv1';
  // Below this level OpenSSL allows the digests that the old versions sign with.
  tls.DEFAULT_CIPHERS = 'DEFAULT:@SECLEVEL=0';
});
after(() => {
  tls.DEFAULT_MIN_VERSION = usual.version;
  tls.DEFAULT_CIPHERS = usual.ciphers;
});

/** The version that a client of plain Node ends up with, which asks for nothing but `more`. */
async function spoken(t: TestContext, url: string, more: ConnectionOptions = {}): Promise<string | null> {
  const { hostname: host, port } = new URL(url);
  const socket = tls.connect({ host, port: Number(port), ...own, ...more });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket.getProtocol();
}

describe('a DICT that speaks nothing newer than TLS 1.1', () => {
  const old = { maxVersion: 'TLSv1.1' } as const;

  it('would be spoken to by this Node', async (t) => {
    const dict = await scriptedDict(t, demandingServer(undefined, old));
    assert.equal(await spoken(t, dict.apiUrl), 'TLSv1.1');
  });

  const identities: readonly (readonly [with_: string, of: (t: TestContext) => TlsIdentity | null])[] = [
    ['a certificate of ours', (t) => identity(t)],
    ['none of ours', (t) => identity(t, null)],
    ['the authorities that Node trusts', () => tlsIdentityFromFiles({ own: null, passphrase: null, authority: null })],
    ['no files at all', () => null],
  ];
  for (const [what, of] of identities) {
    it(`is not spoken to by a client with ${what}: neither its API nor its files`, async (t) => {
      const dict = await scriptedDict(t, { ...demandingServer(undefined, old), requestCert: false });
      const chosen = of(t);
      const client = chosen === null ? withoutFiles(t, dict.apiUrl) : tlsClient(t, dict.apiUrl, chosen);
      const file = client.downloadCidSetFile({ url: `https://${dict.host}/x`, bytesMax: 100 });
      for (const ask of [() => client.listCidSetEvents(request), () => file[Symbol.asyncIterator]().next()]) {
        const failure: unknown = await ask().catch((error: unknown) => error);
        assert.ok(failure instanceof DictError, String(failure));
        assert.equal(failure.kind, 'TlsFailed');
        assert.match(failure.message, /no common way of TLS 1\.2 or newer: check host and port in DICT_URL/);
      }
      assert.deepEqual(dict.received, []);
    });
  }
});

/** A client that was told nothing of TLS. */
function withoutFiles(t: TestContext, apiUrl: string): ReturnType<typeof tlsClient> {
  const client = createDictClient({
    apiUrl,
    filesHosts: [new URL(apiUrl).host],
    clock: systemClock,
    random: () => 0.5,
    retry: { triesMax: 1 },
    budget: { policies: 'configured' },
  });
  t.after(() => client.close());
  return client;
}

describe('gRPC', () => {
  const files = (t: TestContext): ChannelFiles => {
    const { write } = temporaryFiles(t);
    const { certificate, key } = authority.issue().pem;
    return {
      certificateFile: write('own.pem', certificate),
      keyFile: write('own-key.pem', key),
      keyPassphrase: null,
      authorityFile: write('authority.pem', authority.pem.certificate),
    };
  };

  it('is served over TLS 1.2 and 1.3, and none older', async (t) => {
    const dict = await scriptedDict(t);
    const { server } = await grpcBridge(t, withoutFiles(t, dict.apiUrl), { serverFiles: files(t), clientFiles: files(t) });
    const url = `https://127.0.0.1:${server.port}`;
    const speaking = (more: ConnectionOptions = {}) => spoken(t, url, { ALPNProtocols: ['h2'], ...more });
    await assert.rejects(speaking({ maxVersion: 'TLSv1.1' }), /alert protocol version/);
    assert.deepEqual([await speaking({ maxVersion: 'TLSv1.2' }), await speaking()], ['TLSv1.2', 'TLSv1.3']);
  });

  it('is not spoken over TLS 1.1 with a server that has nothing newer', async (t) => {
    const versions: (string | null)[] = [];
    const server = createSecureServer({ ...demandingServer(undefined, { maxVersion: 'TLSv1.1' }), ALPNProtocols: ['h2'] });
    server.on('secureConnection', (socket: TLSSocket) => versions.push(socket.getProtocol()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    assert.equal(await spoken(t, `https://127.0.0.1:${address.port}`, { ALPNProtocols: ['h2'] }), 'TLSv1.1');
    const client = bridgeClientOf({ port: address.port }, { clientFiles: files(t), callMs: 2_000 });
    t.after(() => client.close());
    await assert.rejects(client.createCidSetFile(request), { name: 'DictError', remedy: 'retry' });
    assert.deepEqual(versions, ['TLSv1.1'], 'that of plain Node alone');
  });
});

describe('the simulated DICT', () => {
  it('speaks TLS 1.2 and 1.3, and none older, with API and files', async (t) => {
    const server = authority.issue();
    const files = { certificate: server.pem.certificate, key: server.pem.key, authority: authority.pem.certificate };
    const simulator = await startSimulator({ tls: files });
    t.after(() => simulator.close());
    for (const url of [simulator.apiUrl, simulator.filesUrl]) {
      await assert.rejects(spoken(t, url, { maxVersion: 'TLSv1.1' }), /alert protocol version/);
      assert.deepEqual([await spoken(t, url, { maxVersion: 'TLSv1.2' }), await spoken(t, url)], ['TLSv1.2', 'TLSv1.3']);
    }
  });
});
