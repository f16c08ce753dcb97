/**
 * Signatures as an attacker who holds a trusted key, or a sloppy program, would make them: any SignedInfo, any KeyInfo, the digests
 * and the signature value true for what stands there. So a test sees that it is the form that is refused, not a wrong digest.
 */

import { createHash, createSign } from 'node:crypto';
import { issuerSerialOf } from '../../src/platform/certificate.ts';
import { parseXml, type XmlElement } from '../../src/platform/xml.ts';
import { canonicalXml } from '../../src/platform/xml-canonical.ts';
import { SIGNATURE_WORDS } from '../../src/platform/xml-signature.ts';
import type { SigningKey } from './signing-keys.ts';

const DS = SIGNATURE_WORDS.namespace;

/** Parts of a signature; each is put in as it is. */
export interface ForgedParts {
  /** The root, without a signature; `@` stands where the signature goes. */
  readonly document?: string;
  readonly canonicalisation?: string;
  readonly method?: string;
  /** Whole references, instead of the two that are right; `{key}` and `{document}` stand for the true digests. */
  readonly references?: string;
  /** Behind the references. */
  readonly more?: string;
  readonly keyInfo?: string;
  /** Behind the KeyInfo. */
  readonly objects?: string;
  /** Attributes of the Signature element. */
  readonly attributes?: string;
  /** Hash of the signature value. */
  readonly hash?: string;
  /** Changes the signature element's text at the end. */
  readonly edit?: (signature: string) => string;
}

/** `<name Algorithm="…"/>` of XMLDSig. */
export function algorithm(name: string, uri: string, inner = ''): string {
  return `<ds:${name} Algorithm="${uri}">${inner}</ds:${name}>`;
}

/** A reference to `uri` with those transforms. */
export function reference(
  uri: string,
  transforms: readonly string[],
  digest: string,
  method: string = SIGNATURE_WORDS.digest,
): string {
  const steps = transforms.map((step) => algorithm('Transform', step)).join('');
  return `<ds:Reference URI="${uri}"><ds:Transforms>${steps}</ds:Transforms>${algorithm('DigestMethod', method)}<ds:DigestValue>${digest}</ds:DigestValue></ds:Reference>`;
}

/** The two references that are right. */
export const RIGHT_REFERENCES = {
  key: reference('#key-info-id', [SIGNATURE_WORDS.canonicalisation], '{key}'),
  document: reference('', [SIGNATURE_WORDS.enveloped, SIGNATURE_WORDS.canonicalisation], '{document}'),
} as const;

/** The KeyInfo that is right for a key. */
export function rightKeyInfo({ certificate }: SigningKey): string {
  const { issuer, serial } = issuerSerialOf(certificate);
  const escaped = issuer.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<ds:KeyInfo Id="key-info-id"><ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>${escaped}</ds:X509IssuerName><ds:X509SerialNumber>${serial}</ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data></ds:KeyInfo>`;
}

/** A document with a signature of these parts, true for what it covers. */
export function forged(key: SigningKey, parts: ForgedParts = {}): string {
  const document = parts.document ?? '<Request>@<Participant>12345678</Participant></Request>';
  const keyInfo = parts.keyInfo ?? rightKeyInfo(key);
  const digests = {
    '{key}': keyInfo === '' ? '' : digestOf(keyInfo),
    '{document}': digestOf(document.replace('@', '')),
  };
  let signedInfo = `<ds:SignedInfo>${parts.canonicalisation ?? algorithm('CanonicalizationMethod', SIGNATURE_WORDS.canonicalisation)}${parts.method ?? algorithm('SignatureMethod', SIGNATURE_WORDS.signature)}${parts.references ?? RIGHT_REFERENCES.key + RIGHT_REFERENCES.document}${parts.more ?? ''}</ds:SignedInfo>`;
  for (const [mark, digest] of Object.entries(digests)) signedInfo = signedInfo.replaceAll(mark, digest);
  const value = createSign(parts.hash ?? 'sha256')
    .update(canonicalXml(inner(signedInfo)))
    .sign(key.privateKey, 'base64');
  const signature = `<ds:Signature xmlns:ds="${DS}"${parts.attributes ?? ''}>${signedInfo}<ds:SignatureValue>${value}</ds:SignatureValue>${keyInfo}${parts.objects ?? ''}</ds:Signature>`;
  return document.replace('@', () => (parts.edit ?? ((text) => text))(signature));
}

function digestOf(text: string): string {
  return createHash('sha256')
    .update(canonicalXml(inner(text)))
    .digest('base64');
}

/** The element that this text is, where the prefix of XMLDSig is declared around it. */
function inner(text: string): XmlElement {
  return parseXml(text.replace(/^<ds:([A-Za-z0-9]+)/, `<ds:$1 xmlns:ds="${DS}"`));
}
