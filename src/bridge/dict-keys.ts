/**
 * The participant's keys and certificates as the bridge uses them, from files that may be renewed while it runs: what signs, whom it
 * trusts, and what secures its connections.
 */

import { signerFromFiles, trustFromFiles } from '../platform/key-files.ts';
import { type ReloadDeps, reloaded } from '../platform/reloaded-files.ts';
import { type OwnCertificateFiles, tlsIdentityFromFiles, tlsPlaces } from '../platform/tls-files.ts';
import type { SignatureDemand, Signatures } from './answer-signature.ts';
import type { TlsSource } from './dict-transport.ts';

export interface SignatureFiles {
  readonly signingKey: string | null;
  readonly signingKeyPassphrase: string | null;
  readonly signingCertificate: string | null;
  /** A PEM file, or a directory of such. */
  readonly trustStore: string | null;
  readonly answersSigned: SignatureDemand;
  readonly errorsSigned: SignatureDemand;
}

export interface TlsSettings {
  readonly tlsCertificate: string | null;
  readonly tlsKey: string | null;
  /** Instead of the two. */
  readonly tlsPkcs12: string | null;
  readonly tlsPassphrase: string | null;
  readonly tlsAuthority: string | null;
}

/**
 * Signs and trusts by what the files hold at the time of each call.
 *
 * @throws KeyFileRefused when one cannot be used at the start.
 */
export function signaturesFromFiles(deps: ReloadDeps, files: SignatureFiles): Signatures {
  const { signingKey, signingKeyPassphrase: passphrase, signingCertificate, trustStore } = files;
  const signer =
    signingKey === null || signingCertificate === null
      ? null
      : reloaded(deps, {
          places: [signingKey, signingCertificate],
          read: () => signerFromFiles({ keyFile: signingKey, certificateFile: signingCertificate, passphrase }),
        });
  const trust = trustStore === null ? null : reloaded(deps, { places: [trustStore], read: () => trustFromFiles(trustStore) });
  return {
    get sign() {
      return signer === null ? null : signer();
    },
    get trust() {
      return trust === null ? null : trust();
    },
    answers: files.answersSigned,
    errors: files.errorsSigned,
  };
}

/**
 * What connections are secured with. Renewed files lead to new connections; those under way end as they began.
 *
 * @throws KeyFileRefused when a file cannot be used at the start.
 */
export function tlsFromFiles(deps: ReloadDeps, settings: TlsSettings): TlsSource {
  const files = { own: ownFiles(settings), passphrase: settings.tlsPassphrase, authority: settings.tlsAuthority };
  return reloaded(deps, { places: tlsPlaces(files), read: () => tlsIdentityFromFiles(files) });
}

function ownFiles({ tlsCertificate, tlsKey, tlsPkcs12 }: TlsSettings): OwnCertificateFiles | null {
  if (tlsPkcs12 !== null) return { form: 'pkcs12', file: tlsPkcs12 };
  if (tlsCertificate === null || tlsKey === null) return null;
  return { form: 'pem', certificateFile: tlsCertificate, keyFile: tlsKey };
}
