/**
 * Certificates that sign XML: issuer and serial as XMLDSig names them, and the local store in which they are looked up by both.
 * A certificate is trusted because an operator put it there: no chain is built, and nothing is fetched.
 */

import type { X509Certificate } from 'node:crypto';
import { DER_TAGS, DerInvalid, derNumber, derValues } from './der.ts';
import { nameKey, nameText, nameTextKey } from './distinguished-name.ts';

/** Who issued a certificate and under which number. */
export interface IssuerSerial {
  /** RFC 2253. */
  readonly issuer: string;
  /** Decimal; serials have up to 160 bits. */
  readonly serial: string;
}

export interface CertificateStore {
  /** The certificate of that issuer and serial, or null. */
  find(issuer: string, serial: string): X509Certificate | null;
}

/** RSA below this is not accepted: neither to sign nor to verify. */
const MODULUS_BITS_MIN = 2048;

/** Issuer and serial, read from the certificate's own bytes: Node's texts of both are not those of XMLDSig. */
export function issuerSerialOf(certificate: X509Certificate): IssuerSerial {
  const { issuer, serial } = issuerAndSerial(certificate);
  return { issuer: nameText(issuer), serial };
}

function issuerAndSerial(certificate: X509Certificate) {
  const [outer] = derValues(certificate.raw);
  const [toBeSigned] = derValues(outer?.contents ?? new Uint8Array());
  const fields = derValues(toBeSigned?.contents ?? new Uint8Array());
  // Version 1 certificates lack the first field, which is the version.
  const [serial, , issuer] = fields[0]?.tag === DER_TAGS.integer ? fields : fields.slice(1);
  if (serial === undefined || issuer === undefined) throw new DerInvalid('DER: a certificate without serial or issuer');
  return { serial: derNumber(serial).toString(), issuer };
}

/**
 * A store of these certificates.
 *
 * @throws TypeError when one has no RSA key of at least 2048 bits, or when two differ and yet have the same issuer and serial.
 */
export function certificateStore(certificates: readonly X509Certificate[]): CertificateStore {
  const byKey = new Map<string, X509Certificate>();
  for (const certificate of certificates) {
    refuseWeakKey(certificate);
    const { issuer, serial } = issuerAndSerial(certificate);
    const key = `${serial} ${nameKey(issuer)}`;
    const other = byKey.get(key);
    if (other !== undefined && !other.raw.equals(certificate.raw)) {
      throw new TypeError(`two certificates in the trust store have the serial ${serial} of the same issuer ${nameText(issuer)}`);
    }
    byKey.set(key, certificate);
  }
  return {
    find: (issuer, serial) => {
      const name = nameTextKey(issuer);
      if (name === null || !/^-?[0-9]{1,60}$/.test(serial)) return null;
      return byKey.get(`${BigInt(serial)} ${name}`) ?? null;
    },
  };
}

/** @throws TypeError when the certificate's key is not RSA of at least 2048 bits. */
export function refuseWeakKey(certificate: X509Certificate): void {
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  const bits = asymmetricKeyDetails?.modulusLength ?? 0;
  if (asymmetricKeyType === 'rsa' && bits >= MODULUS_BITS_MIN) return;
  const { issuer, serial } = issuerSerialOf(certificate);
  throw new TypeError(`the certificate ${serial} of ${issuer} has no RSA key of at least ${MODULUS_BITS_MIN} bits`);
}
