/**
 * Why a TLS connection to DICT did not come to stand, and what somebody can do about it: nobody should have to know OpenSSL's words.
 * Read from the codes of Node and OpenSSL; failures that are none of TLS are named in dict-transport.ts.
 */

import type { X509Certificate } from 'node:crypto';
import { DictError } from '../dict/errors.ts';

/** The other side, and what we showed it. */
export interface TlsAttempt {
  /** Host and port. */
  readonly host: string;
  /** Null: none was presented. */
  readonly certificate: X509Certificate | null;
  readonly now: Date;
}

/** What OpenSSL calls a chain that leads nowhere it trusts. */
const untrusted: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REVOKED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
]);
const outOfTime: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);

/** Alerts by which a server says that it does not accept the client's certificate. */
const refusal =
  /_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN|REQUIRED)|UNKNOWN_CA|ACCESS_DENIED)$/;
/** How servers up to TLS 1.2 refuse a client without a certificate, among other things. */
const handshakeFailure = /_HANDSHAKE_FAILURE$/;
const noCommonGround =
  /^ERR_SSL_.*(WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|NO_PROTOCOLS_AVAILABLE|INSUFFICIENT_SECURITY|INTERNAL_ERROR|ILLEGAL_PARAMETER|DECODE_ERROR|DECRYPT_ERROR|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|UNRECOGNIZED_NAME|NO_CIPHERS?_(AVAILABLE|MATCH)|DH_KEY_TOO_SMALL|EE_KEY_TOO_SMALL|CA_MD_TOO_WEAK|CA_KEY_TOO_SMALL|WRONG_SIGNATURE_TYPE|UNSAFE_LEGACY_RENEGOTIATION_DISABLED)/;

/** The failure by its name, or null where TLS is not what failed. */
export function tlsFailure(operation: string, error: unknown, attempt: TlsAttempt): DictError | null {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const { host, certificate } = attempt;
  const named = (kind: string, what: string): DictError =>
    new DictError(kind, 0, `${operation}: ${what} (${code})`, { cause: error });
  if (untrusted.has(code)) {
    return named(
      'ServerCertificateUntrusted',
      `${host} shows a certificate that is not trusted here: if it is DICT’s, put the Central Bank’s authority into the file of DICT_VSYNC_DICT_TLS_AUTHORITY`,
    );
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return named(
      'ServerNameMismatch',
      `${host} shows a certificate for other names${namesIn(error)}: check the host in DICT_URL`,
    );
  }
  if (outOfTime.has(code)) {
    return named(
      'ServerCertificateExpired',
      `${host} shows a certificate that is not valid at this time: check this machine’s clock; if it is right, only who runs ${host} can mend it`,
    );
  }
  if (refusal.test(code) || (handshakeFailure.test(code) && certificate === null)) {
    return named('ClientCertificateRefused', `${host} refuses our certificate: ${aboutOurs(attempt)}`);
  }
  if (handshakeFailure.test(code) || noCommonGround.test(code)) {
    return named(
      'TlsFailed',
      `${host} and we find no common way of TLS 1.2 or newer: check host and port in DICT_URL, and the kind of key in our certificate`,
    );
  }
  return null;
}

/** What may be wrong with the certificate that we present. */
export function aboutOurs({ certificate, now }: TlsAttempt): string {
  if (certificate === null) {
    return 'none is presented; set DICT_VSYNC_DICT_TLS_CERTIFICATE and DICT_VSYNC_DICT_TLS_KEY, or DICT_VSYNC_DICT_TLS_PKCS12';
  }
  const { validFromDate, validToDate } = certificate;
  if (validToDate <= now) return `it expired at ${validToDate.toISOString()}; put a renewed one in its place`;
  if (validFromDate > now) return `it is valid from ${validFromDate.toISOString()} only; check this machine’s clock`;
  return `it has to be the one that the Central Bank knows of this participant, with the certificates between it and its authority in the same file (it is valid until ${validToDate.toISOString()})`;
}

/** The names that the certificate is for; they are public. */
function namesIn(error: unknown): string {
  // Node attaches the certificate to this error.
  const { cert } = error as { readonly cert?: { readonly subjectaltname?: unknown } };
  return typeof cert?.subjectaltname === 'string' ? ` (${cert.subjectaltname.slice(0, 200)})` : '';
}
