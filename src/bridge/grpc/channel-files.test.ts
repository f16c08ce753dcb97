/** TLS between a client and the bridge: who is let in, who is not, and what is said about files that cannot be used. */

import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { grpcBridge, NO_FILES } from '../../../test/support/grpc-bridge.ts';
import { setUp } from '../../../test/support/scripted-client.ts';
import { answer } from '../../../test/support/scripted-dict.ts';
import { participant } from '../../dict/participant.ts';
import { issuedCertificate, simpleName } from '../../platform/certificate-issuing.ts';
import { KeyFileRefused } from '../../platform/key-files.ts';
import { type ChannelFiles, clientCredentials, serverCredentials } from './channel-files.ts';

interface Authority {
  readonly name: ReturnType<typeof simpleName>;
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
}

function keyPair() {
  return generateKeyPairSync('rsa', { modulusLength: 2048 });
}

let serial = 1n;

function issue(
  to: string,
  publicKey: KeyObject,
  by: Pick<Authority, 'name' | 'key'>,
  more: { hosts?: string[]; authority?: boolean },
) {
  serial += 1n;
  return issuedCertificate({
    subject: simpleName('Participante de Teste', to),
    publicKey,
    issuer: by.name,
    issuerKey: by.key,
    serial,
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: new Date('2049-01-01T00:00:00Z'),
    authority: more.authority ?? false,
    ...(more.hosts === undefined ? {} : { hosts: more.hosts }),
  });
}

function authority(commonName: string): Authority {
  const { privateKey, publicKey } = keyPair();
  const name = simpleName('Participante de Teste', commonName);
  return { name, key: privateKey, certificate: issue(commonName, publicKey, { name, key: privateKey }, { authority: true }) };
}

const passphrase = 'uma senha';
const files = new Map<string, string>();
let directory = '';

/** The path of a file written before the tests. */
function file(name: string): string {
  return files.get(name) ?? assert.fail(`no file ${name}`);
}

function write(name: string, content: string): void {
  const place = path.join(directory, name);
  writeFileSync(place, content, { mode: 0o600 });
  files.set(name, place);
}

function writePair(name: string, by: Authority, hosts?: string[]): void {
  const { privateKey, publicKey } = keyPair();
  write(`${name}.crt`, issue(name, publicKey, by, hosts === undefined ? {} : { hosts }).toString());
  write(`${name}.key`, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  const closed = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase }).toString();
  write(`${name}.closed.key`, closed);
}

before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'dict-vsync-channel-'));
  const [ours, other] = [authority('autoridade'), authority('outra')];
  write('authority.crt', ours.certificate.toString());
  write('other.crt', other.certificate.toString());
  write('text', 'no PEM');
  writePair('server', ours, ['localhost']);
  writePair('elsewhere', ours, ['bridge.example']);
  writePair('client', ours);
  writePair('stranger', other);
});
after(() => rmSync(directory, { recursive: true, force: true }));

function pair(name: string, authorityFile: string | null): ChannelFiles {
  return { ...NO_FILES, certificateFile: file(`${name}.crt`), keyFile: file(`${name}.key`), authorityFile };
}

const file1234 = readFileSync(new URL('../../../test/contract/examples/CreateCidSetFileResponse.xml', import.meta.url), 'utf8');

/** The Id of the file that a client is told of; its call is one that is never repeated. */
async function ask(t: TestContext, serverFiles: ChannelFiles, clientFiles: ChannelFiles | undefined): Promise<string> {
  const { dict, client: here } = await setUp(t);
  dict.play(answer(201, file1234));
  const { client } = await grpcBridge(t, here, { serverFiles, ...(clientFiles === undefined ? {} : { clientFiles }) });
  return (await client.createCidSetFile({ participant: participant('12345678'), keyType: 'PHONE' })).id;
}

describe('TLS of gRPC', () => {
  const trusting = (): ChannelFiles => ({ ...NO_FILES, authorityFile: file('authority.crt') });
  const notReached = { name: 'DictError', remedy: 'retry', status: 0 };

  it('lets in a client that trusts the bridge’s authority, and a key with a passphrase is opened', async (t) => {
    const closed = { ...pair('server', null), keyFile: file('server.closed.key'), keyPassphrase: passphrase };
    assert.equal(serverCredentials(closed).security, 'tls');
    assert.equal(await ask(t, closed, trusting()), '1234');
  });

  it('lets in who shows a certificate of the authority that the bridge demands', async (t) => {
    const mutual = pair('server', file('authority.crt'));
    assert.equal(serverCredentials(mutual).security, 'mutual-tls');
    assert.equal(await ask(t, mutual, pair('client', file('authority.crt'))), '1234');
  });

  const refused: readonly (readonly [string, () => ChannelFiles, () => ChannelFiles | undefined])[] = [
    ['a client without a certificate where one is demanded', () => pair('server', file('authority.crt')), trusting],
    [
      'a client with a certificate of another authority',
      () => pair('server', file('authority.crt')),
      () => pair('stranger', file('authority.crt')),
    ],
    ['a client in clear', () => pair('server', null), () => undefined],
    ['by the client: a bridge of another authority', () => pair('stranger', null), trusting],
    ['by the client: a bridge with a certificate for another host', () => pair('elsewhere', null), trusting],
    ['by the client: a bridge of an authority that the system does not know', () => pair('server', null), () => NO_FILES],
  ];

  for (const [what, serverFiles, clientFiles] of refused) {
    it(`refuses ${what}`, async (t) => {
      await assert.rejects(ask(t, serverFiles(), clientFiles()), notReached);
    });
  }

  const wrong: readonly (readonly [string, () => unknown, RegExp])[] = [
    [
      'a file that is not there',
      () => clientCredentials({ ...NO_FILES, authorityFile: '/none' }, true),
      /\/none: it cannot be read \(ENOENT\)/,
    ],
    ['a file that is no PEM', () => clientCredentials({ ...NO_FILES, authorityFile: file('text') }, true), /text: no PEM file/],
    [
      'a wrong passphrase',
      () => serverCredentials({ ...pair('server', null), keyFile: file('server.closed.key'), keyPassphrase: 'x' }),
      /no private key in PEM that the passphrase opens/,
    ],
    [
      'an authority for clients without a certificate of one’s own',
      () => serverCredentials({ ...NO_FILES, authorityFile: file('authority.crt') }),
      /clients cannot be asked for certificates by a bridge that has none itself/,
    ],
    [
      'a certificate file that holds none',
      () => serverCredentials({ ...pair('server', null), certificateFile: file('server.key') }),
      /server\.key: there is no certificate in it/,
    ],
    [
      'a key of another certificate',
      () => clientCredentials({ ...pair('client', null), keyFile: file('server.key') }, true),
      /server\.key: it is not the key of the certificate in .*client\.crt/,
    ],
  ];

  for (const [what, use, complaint] of wrong) {
    it(`complains about ${what}`, () => {
      assert.throws(use, (error) => error instanceof KeyFileRefused && complaint.test(error.message));
    });
  }
});
