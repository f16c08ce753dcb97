/**
 * Verification of XML signatures of the one shape in xml-signature.ts. A document passes only if its signature is the first child
 * of the root, the only thing of XMLDSig in it, exactly of that shape, made with a certificate of the local store, and covers
 * everything else; what is handed on is the document that was digested, without the signature.
 *
 * So there is no key from the document, no transform to run but two known ones, no second reference to confuse with the first, no
 * network. xml.ts has refused DOCTYPE and processing instructions before. Messages never repeat content.
 */

import { timingSafeEqual, verify, type X509Certificate } from 'node:crypto';
import type { CertificateStore } from './certificate.ts';
import type { XmlElement } from './xml.ts';
import { isNamespaceDeclaration } from './xml.ts';
import { canonicalXml } from './xml-canonical.ts';
import { SIGNATURE_WORDS, sha256Base64 } from './xml-signature.ts';

/** Why a signature was refused. */
export type SignatureFault =
  /** There is none, or an empty placeholder. */
  | 'unsigned'
  /** It is not the first child of the root. */
  | 'misplaced'
  /** There is more than one, or something else of XMLDSig beside it. */
  | 'several'
  /** The id of its KeyInfo is used by another element too. */
  | 'duplicate-id'
  /** It has another form than the one allowed. */
  | 'shape'
  /** It uses another algorithm or transform than those allowed. */
  | 'algorithm'
  /** It refers to other parts of the document than those two, or in another order. */
  | 'reference'
  /** Its certificate is not in the trust store. */
  | 'unknown-certificate'
  /** Its certificate is not valid at this time. */
  | 'certificate-time'
  /** The signature value is not that of the certificate's key. */
  | 'signature'
  /** What was signed was changed since. */
  | 'digest';

/** The document's signature does not hold; the message says why. */
export class SignatureRefused extends Error {
  override readonly name = 'SignatureRefused';
  readonly fault: SignatureFault;

  constructor(fault: SignatureFault, message: string) {
    super(`XML signature: ${message}`);
    this.fault = fault;
  }
}

export interface VerifiedXml {
  /** The root without its signature: nothing in it is unsigned. */
  readonly root: XmlElement;
  readonly certificate: X509Certificate;
}

/**
 * Verifies a document as read by xml.ts.
 *
 * @param at the time at which the certificate has to be valid.
 * @throws SignatureRefused
 */
export function verifiedXml(root: XmlElement, store: CertificateStore, at: Date): VerifiedXml {
  const signature = signatureOf(root);
  refuseOthers(root, signature);
  const parts = partsOf(signature);
  const certificate = certificateOf(parts, store, at);
  const within = [root, signature];
  const signedInfo = canonicalXml(parts.signedInfo, { within });
  if (!verify('sha256', Buffer.from(signedInfo), certificate.publicKey, parts.value)) {
    throw new SignatureRefused('signature', 'the signature is not that of the certificate it names');
  }
  refuseDigest('the KeyInfo', canonicalXml(parts.keyInfo, { within }), parts.keyInfoDigest);
  refuseDigest('the document', canonicalXml(root, { without: signature }), parts.documentDigest);
  const others = (part: XmlElement | string): boolean => part !== signature;
  return {
    root: { ...root, children: root.children.filter(others), content: root.content.filter(others) },
    certificate,
  };
}

/** The signature where it has to stand. */
function signatureOf(root: XmlElement): XmlElement {
  const first = root.content.find((part) => typeof part !== 'string' || !isBlank(part));
  if (typeof first === 'object' && first.name === 'Signature') {
    const empty = first.content.every((part) => typeof part === 'string' && isBlank(part));
    if (empty) throw new SignatureRefused('unsigned', 'the document holds an empty placeholder instead of a signature');
    if (first.namespace === SIGNATURE_WORDS.namespace) return first;
  }
  if (root.namespace !== SIGNATURE_WORDS.namespace && !holdsSignature(root)) {
    throw new SignatureRefused('unsigned', 'the document is not signed');
  }
  throw new SignatureRefused('misplaced', 'the signature is not the first child of the root');
}

function holdsSignature(element: XmlElement): boolean {
  return element.children.some((child) => isOfSignatures(child) || holdsSignature(child));
}

function isOfSignatures(element: XmlElement): boolean {
  return element.namespace === SIGNATURE_WORDS.namespace || element.name === 'Signature';
}

/** Nothing else of XMLDSig, and nothing that could be taken for its KeyInfo. */
function refuseOthers(element: XmlElement, signature: XmlElement): void {
  if (element === signature) return;
  if (isOfSignatures(element)) throw new SignatureRefused('several', 'the document holds more of XMLDSig than one signature');
  for (const [name, value] of Object.entries(element.attributes)) {
    if (/^(?:.*:)?id$/i.test(name) && value.trim() === SIGNATURE_WORDS.keyInfoId) {
      throw new SignatureRefused('duplicate-id', 'another element has the id of the KeyInfo');
    }
  }
  for (const child of element.children) refuseOthers(child, signature);
}

interface Parts {
  readonly signedInfo: XmlElement;
  readonly keyInfo: XmlElement;
  readonly value: Uint8Array;
  readonly keyInfoDigest: Uint8Array;
  readonly documentDigest: Uint8Array;
  readonly issuer: string;
  readonly serial: string;
}

function partsOf(signature: XmlElement): Parts {
  refuseAttributes(signature, {});
  const [signedInfo, value, keyInfo] = childrenOf(signature, ['SignedInfo', 'SignatureValue', 'KeyInfo']);
  refuseAttributes(signedInfo, {});
  refuseAttributes(value, {});
  refuseAttributes(keyInfo, { Id: SIGNATURE_WORDS.keyInfoId });
  const [method, signatureMethod, keyInfoReference, documentReference] = signedInfoParts(signedInfo);
  refuseAlgorithm(method, SIGNATURE_WORDS.canonicalisation);
  refuseAlgorithm(signatureMethod, SIGNATURE_WORDS.signature);
  const { canonicalisation, enveloped, keyInfoId } = SIGNATURE_WORDS;
  const [data] = childrenOf(keyInfo, ['X509Data']);
  refuseAttributes(data, {});
  const [issuerSerial] = childrenOf(data, ['X509IssuerSerial']);
  refuseAttributes(issuerSerial, {});
  const [issuer, serial] = childrenOf(issuerSerial, ['X509IssuerName', 'X509SerialNumber']);
  return {
    signedInfo,
    keyInfo,
    value: bytesOf(value),
    keyInfoDigest: digestOf(keyInfoReference, `#${keyInfoId}`, [canonicalisation]),
    documentDigest: digestOf(documentReference, '', [enveloped, canonicalisation]),
    issuer: textOf(issuer),
    serial: textOf(serial).trim(),
  };
}

/** A wrong number of references is named as such: leaving one out is how a body goes unsigned. */
function signedInfoParts(signedInfo: XmlElement) {
  const references = signedInfo.children.filter(({ name }) => name === 'Reference').length;
  if (references !== 2) throw new SignatureRefused('reference', `${references} references; two are needed`);
  return childrenOf(signedInfo, ['CanonicalizationMethod', 'SignatureMethod', 'Reference', 'Reference']);
}

function digestOf(reference: XmlElement, uri: string, algorithms: readonly string[]): Uint8Array {
  const { URI, ...rest } = reference.attributes;
  if (URI !== uri)
    throw new SignatureRefused('reference', 'the references are not to the KeyInfo and then to the whole document');
  refuseAttributes({ ...reference, attributes: rest }, {});
  const [transforms, method, value] = childrenOf(reference, ['Transforms', 'DigestMethod', 'DigestValue']);
  refuseAttributes(transforms, {});
  const steps = transforms.children;
  if (steps.length !== algorithms.length)
    throw new SignatureRefused('algorithm', 'there are other transforms than those allowed');
  const names = algorithms.map(() => 'Transform');
  for (const [index, step] of childrenOf(transforms, names).entries()) refuseAlgorithm(step, algorithms[index] ?? '');
  refuseAlgorithm(method, SIGNATURE_WORDS.digest);
  refuseAttributes(value, {});
  const digest = bytesOf(value);
  if (digest.length !== 32) throw new SignatureRefused('shape', 'a digest is not of 32 bytes');
  return digest;
}

type Elements<Names extends readonly string[]> = { readonly [Index in keyof Names]: XmlElement };

/** The children, if they are exactly these of XMLDSig, in this order, with nothing but blanks between them. */
function childrenOf<const Names extends readonly string[]>(element: XmlElement, names: Names): Elements<Names> {
  const { children, content } = element;
  const same =
    children.length === names.length &&
    children.every((child, index) => child.name === names[index] && child.namespace === SIGNATURE_WORDS.namespace) &&
    content.every((part) => typeof part !== 'string' || isBlank(part));
  if (!same) throw new SignatureRefused('shape', `${element.name} does not hold what it has to, and nothing else`);
  // As many as there are names, one for each: compared above.
  return children as Elements<Names>;
}

/** Exactly these attributes, declarations of namespaces aside. */
function refuseAttributes(element: XmlElement, expected: Readonly<Record<string, string>>): void {
  const found = Object.entries(element.attributes).filter(([name]) => !isNamespaceDeclaration(name));
  const same = found.length === Object.keys(expected).length && found.every(([name, value]) => expected[name] === value);
  if (!same) throw new SignatureRefused('shape', `${element.name} has other attributes than it has to have`);
}

function refuseAlgorithm(element: XmlElement, algorithm: string): void {
  const { Algorithm, ...rest } = element.attributes;
  if (Algorithm !== algorithm) throw new SignatureRefused('algorithm', `${element.name} is not the one allowed`);
  refuseAttributes({ ...element, attributes: rest }, {});
  childrenOf(element, []);
}

/** The text of an element that holds nothing else. */
function textOf(element: XmlElement): string {
  if (element.children.length > 0) throw new SignatureRefused('shape', `${element.name} holds more than text`);
  return element.text;
}

function bytesOf(element: XmlElement): Uint8Array {
  const text = textOf(element).replace(/[ \t\r\n]+/g, '');
  const bytes = Buffer.from(text, 'base64');
  // Node passes over what is not base64: only what is written again alike was base64.
  if (bytes.length === 0 || bytes.toString('base64') !== text) {
    throw new SignatureRefused('shape', `${element.name} is not base64`);
  }
  return bytes;
}

function isBlank(text: string): boolean {
  return /^[ \t\r\n]*$/.test(text);
}

function certificateOf(parts: Parts, store: CertificateStore, at: Date): X509Certificate {
  const certificate = store.find(parts.issuer, parts.serial);
  if (certificate === null)
    throw new SignatureRefused('unknown-certificate', 'the certificate it names is not in the trust store');
  if (at < certificate.validFromDate || at > certificate.validToDate) {
    throw new SignatureRefused(
      'certificate-time',
      `its certificate is valid from ${certificate.validFrom} to ${certificate.validTo}`,
    );
  }
  return certificate;
}

function refuseDigest(what: string, canonical: string, expected: Uint8Array): void {
  if (timingSafeEqual(Buffer.from(sha256Base64(canonical), 'base64'), expected)) return;
  throw new SignatureRefused('digest', `${what} is not what was signed`);
}
