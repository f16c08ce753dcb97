/**
 * What a participant's TLS connections are made with, from files: its own certificate and key (PEM or PKCS#12) and the authorities
 * that it trusts. Left out: the connections themselves, and the server's side, which only the simulator has.
 */

import { X509Certificate } from 'node:crypto';
import { Duplex } from 'node:stream';
import { createSecureContext, getCACertificates, type SecureContext, type SecureContextOptions, TLSSocket } from 'node:tls';
import { bytesOf, certificatesAt, certificatesIn, KeyFileRefused, privateKeyIn, using } from './key-files.ts';

export type OwnCertificateFiles =
  | {
      readonly form: 'pem';
      /** The certificate that belongs to the key, then those between it and its authority. */
      readonly certificateFile: string;
      readonly keyFile: string;
    }
  | { readonly form: 'pkcs12'; readonly file: string };

export interface TlsFiles {
  /** Null: no certificate is presented. */
  readonly own: OwnCertificateFiles | null;
  /** Of the key or the PKCS#12 file. */
  readonly passphrase: string | null;
  /** A PEM file, or a directory of such; null: the authorities that Node knows. */
  readonly authority: string | null;
}

export interface TlsIdentity {
  readonly context: SecureContext;
  /** What is presented to servers. */
  readonly certificate: X509Certificate | null;
  /** Where the server's chain has to end, to be checked beside OpenSSL's own check; null: OpenSSL's is enough. */
  readonly anchors: readonly X509Certificate[] | null;
}

/** The places to look at for changes. */
export function tlsPlaces({ own, authority }: TlsFiles): readonly string[] {
  return [...ownPlaces(own), ...(authority === null ? [] : [authority])];
}

function ownPlaces(own: OwnCertificateFiles | null): readonly string[] {
  if (own === null) return [];
  return own.form === 'pem' ? [own.certificateFile, own.keyFile] : [own.file];
}

/** @throws KeyFileRefused naming the file that cannot be used, and why. */
export function tlsIdentityFromFiles({ own, passphrase, authority }: TlsFiles): TlsIdentity {
  const trusted = authority === null ? null : certificatesAt(authority);
  const common: SecureContextOptions = {
    minVersion: 'TLSv1.2',
    // An authority is trusted because an operator put it there, be it a root or not.
    allowPartialTrustChain: true,
    ...(trusted === null ? {} : { ca: trusted.map(String) }),
  };
  if (own === null) return { context: createSecureContext(common), certificate: null, anchors: null };
  if (own.form === 'pem') return { ...pemIdentity(common, own, passphrase), anchors: null };
  // Node trusts whatever certificate lies in a PKCS#12 file beside the key, also where `ca` says whom to trust.
  const anchors = trusted ?? getCACertificates('default').map((pem) => new X509Certificate(pem));
  return { ...pkcs12Identity(common, own.file, passphrase), anchors };
}

type OwnIdentity = Pick<TlsIdentity, 'context' | 'certificate'>;

function pemIdentity(
  common: SecureContextOptions,
  { certificateFile, keyFile }: { readonly certificateFile: string; readonly keyFile: string },
  passphrase: string | null,
): OwnIdentity {
  const chain = certificatesIn(certificateFile);
  const [certificate] = chain;
  if (certificate === undefined) throw new KeyFileRefused(`${certificateFile}: there is no certificate in it`);
  const key = privateKeyIn(keyFile, passphrase);
  if (!certificate.checkPrivateKey(key)) {
    throw new KeyFileRefused(`${keyFile}: the key does not belong to the first certificate in ${certificateFile}`);
  }
  const context = using(certificateFile, 'certificate and key cannot be used for TLS', () =>
    createSecureContext({ ...common, cert: chain.map(String).join(''), key: key.export({ type: 'pkcs8', format: 'pem' }) }),
  );
  return { context, certificate };
}

function pkcs12Identity(common: SecureContextOptions, file: string, passphrase: string | null): OwnIdentity {
  const pfx = bytesOf(file);
  try {
    const context = createSecureContext({ ...common, pfx, ...(passphrase === null ? {} : { passphrase }) });
    const certificate = presentedBy(context);
    if (certificate === undefined) throw new KeyFileRefused(`${file}: there is no certificate with its key in it`);
    return { context, certificate };
  } catch (cause) {
    if (cause instanceof KeyFileRefused) throw cause;
    throw new KeyFileRefused(`${file}: ${pkcs12Complaint(cause)}`, { cause });
  }
}

/** OpenSSL names these failures in words alone. */
function pkcs12Complaint(cause: unknown): string {
  const words = cause instanceof Error ? cause.message : '';
  if (/mac verify failure/i.test(words)) return 'the passphrase does not open it';
  if (/unsupported/i.test(words)) {
    return 'it is encrypted in a way that is out of use: write it anew (openssl pkcs12 -legacy -in OLD -out PEM, then openssl pkcs12 -export -in PEM -out NEW)';
  }
  return 'it is no PKCS#12 file with a certificate and its key';
}

/** Node reads the certificate out of PKCS#12 only for a socket; this one goes nowhere. */
function presentedBy(secureContext: SecureContext): X509Certificate | undefined {
  const nowhere = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const socket = new TLSSocket(nowhere, { secureContext });
  try {
    return socket.getX509Certificate();
  } finally {
    socket.destroy();
  }
}

/** A chain is this long at most. */
const CHAIN_MAX = 10;

/** Whether a chain that OpenSSL has accepted (the server's certificate first) leads to one of these by signatures. */
export function leadsTo(anchors: readonly X509Certificate[], chain: readonly X509Certificate[]): boolean {
  let [current] = chain;
  for (let depth = 0; current !== undefined && depth < CHAIN_MAX; depth += 1) {
    const certificate: X509Certificate = current;
    // A server's own certificate vouches for no other.
    if (depth > 0 && !certificate.ca) return false;
    if (anchors.some((anchor) => anchor.raw.equals(certificate.raw) || issued(anchor, certificate))) return true;
    current = chain.find((other) => !other.raw.equals(certificate.raw) && issued(other, certificate));
  }
  return false;
}

function issued(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
