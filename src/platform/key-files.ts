/**
 * Keys and certificates from PEM files: what signs, and whom to trust. Every complaint names the file and never repeats what is in it.
 * What secures connections, PKCS#12 included, is tls-files.ts; reading again when a file changes is reloaded-files.ts.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import * as path from 'node:path';
import { type CertificateStore, certificateStore } from './certificate.ts';
import { type XmlSigner, xmlSigner } from './xml-signature.ts';

/** A file of keys or certificates cannot be used; the message says which and why. */
export class KeyFileRefused extends Error {
  override readonly name = 'KeyFileRefused';
}

export interface SigningFiles {
  /** PEM, PKCS#8 or PKCS#1. */
  readonly keyFile: string;
  readonly passphrase: string | null;
  /** PEM; the first certificate in it is the one that belongs to the key. */
  readonly certificateFile: string;
}

/** @throws KeyFileRefused when a file cannot be read, is no PEM, or key and certificate do not fit. */
export function signerFromFiles({ keyFile, passphrase, certificateFile }: SigningFiles): XmlSigner {
  const [certificate] = certificatesIn(certificateFile);
  const key = privateKeyIn(keyFile, passphrase);
  if (certificate === undefined) throw new KeyFileRefused(`${certificateFile}: there is no certificate in it`);
  try {
    return xmlSigner(key, certificate);
  } catch (cause) {
    if (cause instanceof TypeError) throw new KeyFileRefused(`${keyFile}: ${cause.message}`, { cause });
    throw cause;
  }
}

/** @throws KeyFileRefused when the file holds no private key in PEM that the passphrase opens. */
export function privateKeyIn(file: string, passphrase: string | null): KeyObject {
  const text = bytesOf(file).toString('latin1');
  return using(file, 'no private key in PEM that the passphrase opens', () =>
    createPrivateKey({ key: text, format: 'pem', ...(passphrase === null ? {} : { passphrase }) }),
  );
}

const CERTIFICATE_FILE = /\.(?:pem|crt|cer)$/i;

/**
 * The certificates of one PEM file, or of all .pem, .crt and .cer files right in a directory, as those that sign XML.
 *
 * @throws KeyFileRefused when there is none, or one cannot be used.
 */
export function trustFromFiles(place: string): CertificateStore {
  const certificates = certificatesAt(place);
  try {
    return certificateStore(certificates);
  } catch (cause) {
    if (cause instanceof TypeError) throw new KeyFileRefused(`${place}: ${cause.message}`, { cause });
    throw cause;
  }
}

/**
 * The certificates of one PEM file, or of all such files in a directory.
 *
 * @throws KeyFileRefused when there is none, or one cannot be read.
 */
export function certificatesAt(place: string): readonly X509Certificate[] {
  const files = using(place, 'it cannot be read', () =>
    statSync(place).isDirectory()
      ? readdirSync(place)
          .filter((name) => CERTIFICATE_FILE.test(name))
          .sort()
          .map((name) => path.join(place, name))
      : [place],
  );
  const certificates = files.flatMap(certificatesIn);
  if (certificates.length === 0) throw new KeyFileRefused(`${place}: there is no certificate in it`);
  return certificates;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

/** @throws KeyFileRefused when the file cannot be read, or one is malformed. */
export function certificatesIn(file: string): readonly X509Certificate[] {
  const pieces = bytesOf(file).toString('latin1').match(CERTIFICATE) ?? [];
  return pieces.map((pem) => using(file, 'a certificate in it is malformed', () => new X509Certificate(pem)));
}

const FILE_BYTES_MAX = 4 * 1024 * 1024;

/** @throws KeyFileRefused when the file cannot be read or is far too large. */
export function bytesOf(file: string): Buffer {
  return using(file, 'it cannot be read', () => {
    if (statSync(file).size > FILE_BYTES_MAX) throw new KeyFileRefused(`${file}: it is larger than ${FILE_BYTES_MAX} bytes`);
    return readFileSync(file);
  });
}

/** The system's and OpenSSL's errors keep their reason as cause; their texts differ between versions. */
/** Runs it; whatever it throws becomes a complaint about that file. */
export function using<Result>(file: string, complaint: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof KeyFileRefused) throw cause;
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new KeyFileRefused(`${file}: ${complaint}${code}`, { cause });
  }
}
