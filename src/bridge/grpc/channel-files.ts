/**
 * The files that gRPC's own TLS needs: a certificate with its key to show, and the authority that the other side's certificate has to come
 * from. Read once at the start; a new certificate is taken up by a restart. TLS to DICT is another matter, and not here.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { ChannelCredentials, credentials, ServerCredentials } from '@grpc/grpc-js';
import { KeyFileRefused } from '../../platform/key-files.ts';

/** Paths of PEM files; null where not configured. */
export interface ChannelFiles {
  readonly certificateFile: string | null;
  readonly keyFile: string | null;
  readonly keyPassphrase: string | null;
  readonly authorityFile: string | null;
}

/** Said, because Node's own minimum may be lowered by its options; the library has no word for it. */
const MIN_VERSION = { minVersion: 'TLSv1.2' } as const;

/** The library's own for a certificate and its key, and with a lowest version of TLS. */
class VersionedCredentials extends ServerCredentials {
  constructor(requestCert: boolean, context: SecureContextOptions) {
    super({ requestCert, ...MIN_VERSION }, { ...context, ...MIN_VERSION });
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

/** How a server speaks: without a certificate in clear, with an authority only to clients that show a certificate of it. */
export type ServerSecurity = 'plain' | 'tls' | 'mutual-tls';

/** @throws KeyFileRefused when a file cannot be used. */
export function serverCredentials(files: ChannelFiles): {
  readonly credentials: ServerCredentials;
  readonly security: ServerSecurity;
} {
  const own = ownPair(files);
  if (own === null) {
    if (files.authorityFile !== null) {
      throw new KeyFileRefused(
        `${files.authorityFile}: clients cannot be asked for certificates by a bridge that has none itself`,
      );
    }
    return { credentials: ServerCredentials.createInsecure(), security: 'plain' };
  }
  const authority = files.authorityFile === null ? null : certificateIn(files.authorityFile);
  const context = { cert: own.certificate, key: own.key, ...(authority === null ? {} : { ca: authority }) };
  return {
    credentials: new VersionedCredentials(authority !== null, context),
    security: authority === null ? 'tls' : 'mutual-tls',
  };
}

/**
 * How a client speaks: in clear to grpc://, with TLS to grpcs://, where without an authority the system's are trusted.
 *
 * @throws KeyFileRefused when a file cannot be used.
 */
export function clientCredentials(files: ChannelFiles, secure: boolean): ChannelCredentials {
  if (!secure) return credentials.createInsecure();
  const authority = files.authorityFile === null ? null : certificateIn(files.authorityFile);
  const own = ownPair(files);
  const context = {
    ...MIN_VERSION,
    ...(authority === null ? {} : { ca: authority }),
    ...(own === null ? {} : { cert: own.certificate, key: own.key }),
  };
  return ChannelCredentials.createFromSecureContext(createSecureContext(context));
}

function ownPair(files: ChannelFiles): { readonly key: Buffer; readonly certificate: Buffer } | null {
  const { certificateFile, keyFile, keyPassphrase } = files;
  if (certificateFile === null || keyFile === null) return null;
  const certificate = certificateIn(certificateFile);
  const key = keyIn(keyFile, keyPassphrase);
  if (!new X509Certificate(certificate).checkPrivateKey(key)) {
    throw new KeyFileRefused(`${keyFile}: it is not the key of the certificate in ${certificateFile}`);
  }
  return { key: Buffer.from(key.export({ type: 'pkcs8', format: 'pem' })), certificate };
}

/** grpc-js takes no passphrase: the key is opened here. */
function keyIn(file: string, passphrase: string | null): KeyObject {
  const pem = pemOf(file);
  try {
    return createPrivateKey({ key: pem, format: 'pem', ...(passphrase === null ? {} : { passphrase }) });
  } catch (cause) {
    throw new KeyFileRefused(`${file}: no private key in PEM that the passphrase opens`, { cause });
  }
}

/** The file's bytes, with a certificate first; others of its chain may follow. */
function certificateIn(file: string): Buffer {
  const pem = pemOf(file);
  try {
    new X509Certificate(pem);
  } catch (cause) {
    throw new KeyFileRefused(`${file}: there is no certificate in it`, { cause });
  }
  return pem;
}

const FILE_BYTES_MAX = 1024 * 1024;

function pemOf(file: string): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new KeyFileRefused(`${file}: it cannot be read${code}`, { cause });
  }
  if (content.length > FILE_BYTES_MAX || !content.includes('-----BEGIN ')) throw new KeyFileRefused(`${file}: no PEM file`);
  return content;
}
