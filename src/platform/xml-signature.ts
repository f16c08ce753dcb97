/**
 * XML signatures in the one shape that DICT knows (its manual's security chapter): `Signature` enveloped as the first child of the
 * root, exclusive canonicalisation, RSA with SHA-256, two references (the KeyInfo, then the document without its signature), and a
 * KeyInfo that names the certificate by issuer and serial and holds nothing else.
 *
 * This file has the shape and signs; xml-signature-verification.ts accepts that shape alone. Everything else that XMLDSig can
 * say (other algorithms, transforms, embedded keys, objects, manifests) is left out on purpose: attacks live there.
 */

import { createHash, type KeyObject, sign, type X509Certificate } from 'node:crypto';
import { issuerSerialOf, refuseWeakKey } from './certificate.ts';
import { element, parseXml, writeXml, type XmlElement, type XmlLimits, type XmlSource } from './xml.ts';
import { canonicalXml } from './xml-canonical.ts';

/** The words of the shape. */
export const SIGNATURE_WORDS = {
  namespace: 'http://www.w3.org/2000/09/xmldsig#',
  canonicalisation: 'http://www.w3.org/2001/10/xml-exc-c14n#',
  enveloped: 'http://www.w3.org/2000/09/xmldsig#enveloped-signature',
  signature: 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha256',
  digest: 'http://www.w3.org/2001/04/xmlenc#sha256',
  keyInfoId: 'key-info-id',
} as const;

/** Puts a signature into a document, which otherwise stays as it is, letter by letter. */
export type XmlSigner = (document: string) => string;

const declaration = ` xmlns:ds="${SIGNATURE_WORDS.namespace}"`;

/** What is signed is of our own making: a page of 1,000 entries is larger than what a stranger may send. */
const OWN_DOCUMENT_LIMITS: XmlLimits = { bytesMax: 16 * 1024 * 1024, depthMax: 32, elementsMax: 200_000 };

/**
 * A signer for this key and its certificate. The signer throws XmlInvalid for what is no XML, and TypeError for a document that
 * already holds something of XMLDSig.
 *
 * @throws TypeError when key and certificate do not belong together, or are not RSA of at least 2048 bits.
 */
export function xmlSigner(privateKey: KeyObject, certificate: X509Certificate): XmlSigner {
  refuseWeakKey(certificate);
  if (!certificate.checkPrivateKey(privateKey)) throw new TypeError('the signing key does not belong to the signing certificate');
  const { issuer, serial } = issuerSerialOf(certificate);
  const issuerSerial = ds('X509IssuerSerial', [ds('X509IssuerName', issuer), ds('X509SerialNumber', serial)]);
  const keyInfoSource = {
    ...ds('KeyInfo', [ds('X509Data', [issuerSerial])]),
    attributes: { 'xmlns:ds': SIGNATURE_WORDS.namespace, Id: SIGNATURE_WORDS.keyInfoId },
  };
  const keyInfo = canonicalXml(parseXml(writeXml(keyInfoSource)));
  const keyInfoDigest = sha256Base64(keyInfo);
  return (document) => {
    const root = parseXml(document, OWN_DOCUMENT_LIMITS);
    refuseSigned(root);
    const signedInfo = signedInfoXml(keyInfoDigest, sha256Base64(canonicalXml(root)));
    const value = sign('sha256', Buffer.from(signedInfo), privateKey).toString('base64');
    const inside = `${signedInfo}<ds:SignatureValue>${value}</ds:SignatureValue>${keyInfo}`.replaceAll(declaration, '');
    return withFirstChild(document, `<ds:Signature${declaration}>${inside}</ds:Signature>`);
  };
}

/** SHA-256 of a text's UTF-8 bytes, as XMLDSig writes it. */
export function sha256Base64(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('base64');
}

function ds(name: string, content: string | readonly XmlSource[]): XmlSource {
  return { ...element(name, content), prefix: 'ds' };
}

/** Written in its canonical form, so that the text is what is signed. */
function signedInfoXml(keyInfoDigest: string, documentDigest: string): string {
  const { canonicalisation, signature, enveloped, keyInfoId } = SIGNATURE_WORDS;
  const transform = (algorithm: string): string => algorithmXml('Transform', algorithm);
  return (
    `<ds:SignedInfo${declaration}>${algorithmXml('CanonicalizationMethod', canonicalisation)}${algorithmXml('SignatureMethod', signature)}` +
    referenceXml(`#${keyInfoId}`, transform(canonicalisation), keyInfoDigest) +
    referenceXml('', transform(enveloped) + transform(canonicalisation), documentDigest) +
    '</ds:SignedInfo>'
  );
}

function algorithmXml(name: string, algorithm: string): string {
  return `<ds:${name} Algorithm="${algorithm}"></ds:${name}>`;
}

function referenceXml(uri: string, transforms: string, digest: string): string {
  const method = algorithmXml('DigestMethod', SIGNATURE_WORDS.digest);
  return `<ds:Reference URI="${uri}"><ds:Transforms>${transforms}</ds:Transforms>${method}<ds:DigestValue>${digest}</ds:DigestValue></ds:Reference>`;
}

function refuseSigned(element: XmlElement): void {
  if (element.name === 'Signature' || element.namespace === SIGNATURE_WORDS.namespace) {
    throw new TypeError('a document to be signed already holds a signature');
  }
  element.children.forEach(refuseSigned);
}

/** What stands before the root, then the root's start tag. The document is known to be well-formed. */
const START_TAG = /^\uFEFF?(?:<\?[^?]*\?>)?(?:[ \t\r\n]|<!--[\s\S]*?-->)*<[^ \t\r\n/>]+(?:[^>"']|"[^"]*"|'[^']*')*>/;

function withFirstChild(document: string, child: string): string {
  const start = START_TAG.exec(document)?.[0];
  if (start === undefined) throw new TypeError('a document without a start tag');
  const rest = document.slice(start.length);
  if (!start.endsWith('/>')) return start + child + rest;
  const name = /<([^ \t\r\n/>!?]+)[^<]*$/.exec(start)?.[1] ?? '';
  return `${start.slice(0, -2)}>${child}</${name}>${rest}`;
}
