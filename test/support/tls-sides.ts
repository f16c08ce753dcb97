/** A DICT that demands TLS on both sides and participants that connect to it, with certificates of one authority or of strangers. */

import type { ServerOptions } from 'node:https';
import type { TestContext } from 'node:test';
import { createDictClient, type DictReadClientOptions } from '../../src/bridge/dict-client.ts';
import type { DictApi } from '../../src/dict/api.ts';
import { scaledClock } from '../../src/platform/clock.ts';
import { type TlsIdentity, tlsIdentityFromFiles } from '../../src/platform/tls-files.ts';
import { temporaryFiles } from './temporary-files.ts';
import { type Issued, tlsAuthority } from './tls-authority.ts';

export const authority = tlsAuthority('authority');
export const stranger = tlsAuthority('stranger');
export const participantCertificate: Issued = authority.issue();

/** A server's side: its certificate, and that clients have to show one of the authority. */
export function demandingServer(server: Issued = authority.issue(), more: ServerOptions = {}): ServerOptions {
  const { certificate: cert, key } = server.pem;
  return { cert, key, ca: authority.pem.certificate, requestCert: true, rejectUnauthorized: true, ...more };
}

/** A participant's side, from files. */
export function identity(
  t: TestContext,
  own: Issued | null = participantCertificate,
  trusted: readonly Issued[] = [authority],
): TlsIdentity {
  const { write } = temporaryFiles(t);
  return tlsIdentityFromFiles({
    own:
      own === null
        ? null
        : {
            form: 'pem',
            certificateFile: write('client.pem', own.pem.certificate),
            keyFile: write('client-key.pem', own.pem.key),
          },
    passphrase: null,
    authority: write('authority.pem', trusted.map(({ pem }) => pem.certificate).join('')),
  });
}

/** A client with that identity, which tries once and closes with the test. */
export function tlsClient(
  t: TestContext,
  apiUrl: string,
  tls: TlsIdentity,
  more: Partial<DictReadClientOptions> = {},
): DictApi & { close(): Promise<void> } {
  const client = createDictClient({
    apiUrl,
    filesHosts: [new URL(apiUrl).host],
    clock: scaledClock(1_000),
    random: () => 0.5,
    retry: { triesMax: 1 },
    budget: { policies: 'configured' },
    tls: () => tls,
    ...more,
  });
  t.after(() => client.close());
  return client;
}
