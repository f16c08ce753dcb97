/**
 * Certificate authorities for tests of TLS, and what they issue: for servers and clients, valid or not. Keys are made once per process
 * and shared by certificates where a test does not care, because RSA keys are slow to make.
 */

import { generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto';
import { issuedCertificate, type NameParts, simpleName } from '../../src/platform/certificate-issuing.ts';

export interface Issued {
  readonly subject: NameParts;
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
  /** In PEM. */
  readonly pem: { readonly certificate: string; readonly key: string };
}

export interface Order {
  /** Default: localhost and 127.0.0.1. */
  readonly hosts?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Whether it may issue others. */
  readonly authority?: boolean;
  /** Default: one that all certificates share. */
  readonly keys?: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
}

export interface Authority extends Issued {
  issue(order?: Order): Issued;
}

/** Fresh keys; making them takes a tenth of a second. */
export const rsaKeys = () => generateKeyPairSync('rsa', { modulusLength: 2048 });
const shared = rsaKeys();
const LONG_AGO = new Date('2020-01-01T00:00:00Z');
const FAR_AHEAD = new Date('2050-01-01T00:00:00Z');
let lastSerial = 1_000n;

/** An authority; with `issuer`, one below another. */
export function tlsAuthority(name: string, issuer?: Issued): Authority {
  const keys = rsaKeys();
  const subject = simpleName('Autoridade de Teste', name);
  const own = certified({
    subject,
    issuer: issuer?.subject ?? subject,
    issuerKey: issuer?.key ?? keys.privateKey,
    order: { authority: true, hosts: [], keys },
  });
  const issue = (order: Order = {}): Issued =>
    certified({ subject: simpleName('Teste', 'localhost'), issuer: subject, issuerKey: keys.privateKey, order });
  return { ...own, issue };
}

interface Certification {
  readonly subject: NameParts;
  readonly issuer: NameParts;
  readonly issuerKey: KeyObject;
  readonly order: Order;
}

function certified({ subject, issuer, issuerKey, order }: Certification): Issued {
  const { publicKey, privateKey } = order.keys ?? shared;
  lastSerial += 1n;
  const certificate = issuedCertificate({
    subject,
    publicKey,
    issuer,
    issuerKey,
    serial: lastSerial,
    notBefore: order.notBefore ?? LONG_AGO,
    notAfter: order.notAfter ?? FAR_AHEAD,
    authority: order.authority ?? false,
    hosts: order.hosts ?? ['localhost', '127.0.0.1'],
  });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { subject, certificate, key: privateKey, pem: { certificate: certificate.toString(), key } };
}
