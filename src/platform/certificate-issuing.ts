/**
 * Certificates issued here, for the simulator's demonstration and for tests: X.509 version 3 over RSA with SHA-256. node:crypto
 * signs but cannot build them. Not for production: there is no revocation, and serials are the caller's.
 */

import { type KeyObject, sign, X509Certificate } from 'node:crypto';
import { DER_TAGS, der, derInteger, derOid } from './der.ts';

/** One attribute of a name. */
export interface NameAttribute {
  readonly oid: string;
  readonly value: string;
  /** How the value is written; default UTF8String. BMPString is not offered. */
  readonly tag?: number;
}

/** A name, first part first; each part is one attribute, rarely several. */
export type NameParts = readonly (readonly NameAttribute[])[];

export interface CertificateOrder {
  readonly subject: NameParts;
  /** The public key. */
  readonly publicKey: KeyObject;
  readonly issuer: NameParts;
  readonly issuerKey: KeyObject;
  readonly serial: bigint;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Whether it may sign other certificates. */
  readonly authority: boolean;
  /** Names or IPv4 addresses that a server may present it for. */
  readonly hosts?: readonly string[];
}

const { sequence, set, utf8String, bitString, octetString, boolean, utcTime, generalizedTime } = DER_TAGS;

/** Signs a certificate as ordered. */
export function issuedCertificate(order: CertificateOrder): X509Certificate {
  const algorithm = der(sequence, derOid('1.2.840.113549.1.1.11'), der(DER_TAGS.null));
  const toBeSigned = der(
    sequence,
    der(0xa0, derInteger(2n)),
    derInteger(order.serial),
    algorithm,
    nameDer(order.issuer),
    der(sequence, timeDer(order.notBefore), timeDer(order.notAfter)),
    nameDer(order.subject),
    order.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(sequence, ...extensions(order))),
  );
  const signature = sign('sha256', toBeSigned, order.issuerKey);
  return new X509Certificate(der(sequence, toBeSigned, algorithm, der(bitString, Buffer.alloc(1), signature)));
}

/** A name of common attributes in the order in which authorities write them. */
export function simpleName(organisation: string, commonName: string): NameParts {
  return [
    [{ oid: '2.5.4.6', value: 'BR', tag: DER_TAGS.printableString }],
    [{ oid: '2.5.4.10', value: organisation }],
    [{ oid: '2.5.4.3', value: commonName }],
  ];
}

function nameDer(parts: NameParts): Buffer {
  const sets = parts.map((attributes) =>
    der(set, ...attributes.map(({ oid, value, tag }) => der(sequence, derOid(oid), valueDer(value, tag ?? utf8String)))),
  );
  return der(sequence, ...sets);
}

function valueDer(value: string, tag: number): Buffer {
  return der(tag, Buffer.from(value, tag === utf8String ? 'utf8' : 'latin1'));
}

/** UTCTime up to 2049, as RFC 5280 asks. */
function timeDer(time: Date): Buffer {
  const digits = time.toISOString().replace(/[-:T]|\.[0-9]+/g, '');
  return time.getUTCFullYear() < 2050
    ? der(utcTime, Buffer.from(digits.slice(2), 'ascii'))
    : der(generalizedTime, Buffer.from(digits, 'ascii'));
}

function extensions({ authority, hosts = [] }: CertificateOrder): readonly Buffer[] {
  const yes = der(boolean, Buffer.from([0xff]));
  const usageBits = authority ? [0x01, 0x06] : [0x05, 0xa0];
  const usage = der(bitString, Buffer.from(usageBits));
  const list = [extension('2.5.29.19', true, der(sequence, ...(authority ? [yes] : []))), extension('2.5.29.15', true, usage)];
  if (!authority)
    list.push(extension('2.5.29.37', false, der(sequence, derOid('1.3.6.1.5.5.7.3.1'), derOid('1.3.6.1.5.5.7.3.2'))));
  if (hosts.length > 0) list.push(extension('2.5.29.17', false, der(sequence, ...hosts.map(hostDer))));
  return list;
}

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return der(sequence, derOid(type), ...(critical ? [der(boolean, Buffer.from([0xff]))] : []), der(octetString, value));
}

function hostDer(host: string): Buffer {
  if (!/^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(host)) return der(0x82, Buffer.from(host, 'ascii'));
  return der(0x87, Buffer.from(host.split('.').map(Number)));
}
