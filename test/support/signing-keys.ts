/**
 * Keys and certificates for tests of signatures, made once per process: RSA of 2048 bits, issued by a demonstration authority whose
 * name has everything that has gone wrong elsewhere (commas, accents, an e-mail address, two attributes in one part), with serials
 * beyond 64 bits.
 */

import { generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto';
import { issuedCertificate, type NameParts, simpleName } from '../../src/platform/certificate-issuing.ts';
import { DER_TAGS } from '../../src/platform/der.ts';

export interface SigningKey {
  readonly privateKey: KeyObject;
  readonly certificate: X509Certificate;
}

/** An authority's name with unusual attributes, first part first. */
const UNUSUAL_NAME: NameParts = [
  [{ oid: '2.5.4.6', value: 'BR', tag: DER_TAGS.printableString }],
  [{ oid: '2.5.4.10', value: 'Autoridade, "Cia" & Irmãos <SA> + #1; \\' }],
  [
    { oid: '2.5.4.11', value: ' Operações  do DICT ' },
    { oid: '2.5.4.3', value: 'AC=1' },
  ],
  [{ oid: '1.2.840.113549.1.9.1', value: 'ac@example.com', tag: DER_TAGS.ia5String }],
  [{ oid: '2.5.4.5', value: '00038166', tag: DER_TAGS.printableString }],
  [{ oid: '2.5.4.97', value: 'CNPJBR-00038166000105' }],
];

/** Above 64 bits, with its highest bit set, so that DER puts a zero before it. */
export const LARGE_SERIAL = 0x9f2ab4c6d8e0f1a3b5c7d9ebfd0f21436587a9cbn;

const authority = generateKeyPairSync('rsa', { modulusLength: 2048 });

/** A key with a certificate of the authority, valid from 2020 to 2050 unless told otherwise. */
export function signingKey(
  options: {
    readonly issuer?: NameParts;
    readonly serial?: bigint;
    readonly notAfter?: Date;
    readonly modulusLength?: number;
    readonly commonName?: string;
  } = {},
): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: options.modulusLength ?? 2048 });
  return { privateKey, certificate: certificateFor(publicKey, options) };
}

/** A certificate of the authority for this key. */
export function certificateFor(publicKey: KeyObject, options: Parameters<typeof signingKey>[0] = {}): X509Certificate {
  return issuedCertificate({
    subject: simpleName('Participante de Teste', options.commonName ?? 'assinatura'),
    publicKey,
    issuer: options.issuer ?? UNUSUAL_NAME,
    issuerKey: authority.privateKey,
    serial: options.serial ?? LARGE_SERIAL,
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: options.notAfter ?? new Date('2050-01-01T00:00:00Z'),
    authority: false,
  });
}
