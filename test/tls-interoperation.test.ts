/** Our TLS against OpenSSL's own program, in either role: it says by an alert what a server on Node only hangs up on. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { DictApi } from '../src/dict/api.ts';
import { DictError } from '../src/dict/errors.ts';
import { tlsIdentityFromFiles } from '../src/platform/tls-files.ts';
import { startSimulator } from '../src/simulator/simulator.ts';
import { opensslMissing } from './support/foreign-programs.ts';
import { ispb } from './support/scripted-client.ts';
import { temporaryFiles } from './support/temporary-files.ts';
import type { Issued } from './support/tls-authority.ts';
import { authority, identity, participantCertificate, stranger, tlsClient } from './support/tls-sides.ts';

const request = { participant: ispb, keyType: 'CPF' } as const;
const skip = opensslMissing() ?? false;

interface OpenSslServer {
  readonly apiUrl: string;
  /** What it has printed: requests that reached it, too. */
  printed(): string;
}

/** `openssl s_server` that demands a certificate of the authority. */
async function opensslServer(t: TestContext, more: readonly string[]): Promise<OpenSslServer> {
  const { write, directory } = temporaryFiles(t);
  const server = authority.issue();
  write('server.pem', server.pem.certificate);
  write('server-key.pem', server.pem.key);
  write('authority.pem', authority.pem.certificate);
  const files = ['-cert', 'server.pem', '-key', 'server-key.pem', '-CAfile', 'authority.pem'];
  const running = spawn(
    'openssl',
    ['s_server', '-accept', '127.0.0.1:0', ...files, '-Verify', '3', '-verify_return_error', ...more],
    {
      cwd: directory,
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  );
  t.after(() => ended(running));
  let printed = '';
  const hear = (piece: unknown): void => {
    printed += String(piece);
  };
  running.stdout.on('data', hear);
  running.stderr.on('data', hear);
  const port = await listening(running, () => printed);
  return { apiUrl: `https://127.0.0.1:${port}/api/v2/`, printed: () => printed };
}

async function listening(running: ChildProcess, printed: () => string): Promise<string> {
  // Ends with the program, or when it has said where it listens.
  while (running.exitCode === null) {
    const port = /^ACCEPT .*:(\d+)$/m.exec(printed())?.[1];
    if (port !== undefined) return port;
    await Promise.race([running.stdout === null ? once(running, 'exit') : once(running.stdout, 'data'), once(running, 'exit')]);
  }
  throw new Error(`openssl s_server ended: ${printed()}`);
}

async function ended(running: ChildProcess): Promise<void> {
  if (running.exitCode !== null) return;
  running.kill();
  await once(running, 'exit');
}

async function failureOf(client: DictApi): Promise<DictError> {
  const outcome: unknown = await client.listCidSetEvents(request).catch((error: unknown) => error);
  assert.ok(outcome instanceof DictError, String(outcome));
  return outcome;
}

describe('openssl s_server', { skip }, () => {
  const expired = authority.issue({ notBefore: new Date('2020-01-01'), notAfter: new Date('2021-01-01T00:00:00Z') });
  const certificates: readonly (readonly [string, Issued | null, RegExp])[] = [
    ['none', null, /none is presented; set DICT_VSYNC_DICT_TLS_CERTIFICATE/],
    ['one of another authority', stranger.issue(), /it has to be the one that the Central Bank knows of this participant/],
    ['one that has expired', expired, /it expired at 2021-01-01T00:00:00\.000Z; put a renewed one in its place/],
  ];
  for (const version of ['-tls1_3', '-tls1_2']) {
    for (const [what, own, message] of certificates) {
      it(`refuses us by an alert where we show ${what} (${version.slice(1)}), before we have asked anything`, async (t) => {
        const server = await opensslServer(t, [version]);
        const failure = await failureOf(tlsClient(t, server.apiUrl, identity(t, own)));
        assert.equal(failure.kind, 'ClientCertificateRefused', failure.message);
        assert.equal(failure.remedy, 'person');
        assert.match(failure.message, message);
        assert.doesNotMatch(server.printed(), /cids\/events/);
      });
    }

    it(`accepts what it shall (${version.slice(1)})`, async (t) => {
      const server = await opensslServer(t, [version, '-www']);
      // Its answer is a page about the connection: no answer of DICT, but one that came over TLS.
      const failure = await failureOf(tlsClient(t, server.apiUrl, identity(t)));
      assert.equal(failure.kind, 'InvalidAnswer', failure.message);
    });
  }

  it('without session tickets is waited for a moment only', async (t) => {
    const server = await opensslServer(t, ['-tls1_3', '-num_tickets', '0', '-www']);
    assert.equal((await failureOf(tlsClient(t, server.apiUrl, identity(t)))).kind, 'InvalidAnswer');
  });

  it('is not trusted because its authority lies beside our key in a PKCS#12 file', async (t) => {
    const server = await opensslServer(t, []);
    const { write, directory } = temporaryFiles(t);
    const own = {
      certificate: write('c.pem', participantCertificate.pem.certificate),
      key: write('k.pem', participantCertificate.pem.key),
    };
    const beside = write('beside.pem', authority.pem.certificate);
    const file = path.join(directory, 'client.p12');
    const made = ['pkcs12', '-export', '-in', own.certificate, '-inkey', own.key, '-certfile', beside, '-out', file];
    execFileSync('openssl', [...made, '-passout', 'pass:segredo'], { stdio: 'ignore' });
    const settings = { own: { form: 'pkcs12', file }, passphrase: 'segredo' } as const;
    const strange = tlsIdentityFromFiles({ ...settings, authority: write('stranger.pem', stranger.pem.certificate) });
    const nobody = tlsIdentityFromFiles({ ...settings, authority: null });
    for (const refusing of [strange, nobody]) {
      assert.equal((await failureOf(tlsClient(t, server.apiUrl, refusing))).kind, 'ServerCertificateUntrusted');
    }
    const simulator = await startSimulator({
      tls: {
        certificate: authority.issue().pem.certificate,
        key: participantCertificate.pem.key,
        authority: authority.pem.certificate,
      },
    });
    t.after(() => simulator.close());
    const trusting = tlsIdentityFromFiles({ ...settings, authority: beside });
    assert.equal((await tlsClient(t, simulator.apiUrl, trusting).createCidSetFile(request)).status, 'REQUESTED');
  });
});

describe('openssl s_client', { skip }, () => {
  /** What it says of a handshake with the simulator. */
  async function handshake(t: TestContext, own: Issued | null, more: readonly string[]): Promise<string> {
    const { certificate, key } = authority.issue().pem;
    const simulator = await startSimulator({ tls: { certificate, key, authority: authority.pem.certificate } });
    t.after(() => simulator.close());
    const { write } = temporaryFiles(t);
    const trusted = ['-CAfile', write('authority.pem', authority.pem.certificate), '-verify_return_error'];
    const credentials = own === null ? [] : ['-cert', write('c.pem', own.pem.certificate), '-key', write('k.pem', own.pem.key)];
    const { host } = new URL(simulator.apiUrl);
    const running = spawn('openssl', ['s_client', '-connect', host, '-ign_eof', ...trusted, ...credentials, ...more]);
    let printed = '';
    for (const output of [running.stdout, running.stderr]) {
      output.on('data', (piece) => {
        printed += String(piece);
      });
    }
    running.stdin.on('error', () => {});
    running.stdin.end(
      `GET /api/v2/policies/ HTTP/1.1\r\nHost: ${host}\r\nPI-RequestingParticipant: ${ispb}\r\nConnection: close\r\n\r\n`,
    );
    await once(running, 'close');
    return printed;
  }

  it('is answered by the simulator over TLS 1.2 and 1.3', async (t) => {
    for (const version of ['-tls1_2', '-tls1_3']) {
      const printed = await handshake(t, authority.issue(), [version]);
      assert.match(printed, /Verify return code: 0 \(ok\)/);
      assert.match(printed.replaceAll(/[\s\S]*(?=HTTP\/1\.1)/g, ''), /^HTTP\/1\.1 200 OK/m);
    }
  });

  it('is refused below TLS 1.2, without a certificate, and with one of another authority', async (t) => {
    for (const [own, more] of [
      [authority.issue(), ['-tls1_1', '-cipher', 'DEFAULT:@SECLEVEL=0']],
      [null, ['-tls1_2']],
      [null, ['-tls1_3']],
      [stranger.issue(), ['-tls1_2']],
      [stranger.issue(), ['-tls1_3']],
    ] as const) {
      assert.doesNotMatch(await handshake(t, own, more), /^HTTP\/1\.1/m);
    }
  });
});
