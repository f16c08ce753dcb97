/**
 * Signatures of answers that must not be believed: made with keys that this process makes for itself when they are first needed, or
 * taken from another document of DICT's. Each is well formed, so that only looking at the right thing refuses it.
 */

import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { issuedCertificate, simpleName } from '../platform/certificate-issuing.ts';
import { childOf, parseXml, type XmlElement } from '../platform/xml.ts';
import { canonicalXml } from '../platform/xml-canonical.ts';
import { type XmlSigner, xmlSigner } from '../platform/xml-signature.ts';
import type { SignatureFault } from './answer-mark.ts';

interface Stranger {
  readonly privateKey: KeyObject;
  readonly sign: XmlSigner;
}

let stranger: Stranger | null = null;

/** A key that nobody trusts, with a certificate that looks like any other. */
function theStranger(): Stranger {
  if (stranger !== null) return stranger;
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const name = simpleName('Desconhecido', 'assinatura');
  const certificate = issuedCertificate({
    subject: name,
    publicKey,
    issuer: name,
    issuerKey: privateKey,
    serial: 0x5f3759dfn,
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: new Date('2050-01-01T00:00:00Z'),
    authority: false,
  });
  stranger = { privateKey, sign: xmlSigner(privateKey, certificate) };
  return stranger;
}

/** The document as such a signature leaves it. `dict` signs for DICT. */
export function falselySigned(document: string, fault: SignatureFault, dict: XmlSigner): string {
  switch (fault) {
    case 'unsigned':
      return document;
    case 'altered':
      return altered(dict(document));
    case 'unknown-certificate':
      return theStranger().sign(document);
    case 'other-signer':
      return otherSigner(dict(document));
    case 'other-body':
      return otherBody(document, dict);
  }
}

/** One more digit at the end of the last text: what was signed is not what stands there. The signature itself stands first. */
function altered(signed: string): string {
  const last = [...signed.matchAll(/[^<>\s](?=<\/)/g)].at(-1);
  if (last === undefined) throw new TypeError('simulator: there is no text that could be altered');
  const at = last.index + 1;
  return `${signed.slice(0, at)}0${signed.slice(at)}`;
}

const SIGNATURE_VALUE = /(<ds:SignatureValue>)[^<]*(<\/ds:SignatureValue>)/;

/** DICT's issuer and serial, DICT's digests, and a value made with another key. */
function otherSigner(signed: string): string {
  const signature = childOf(parseXml(signed), 'Signature');
  const signedInfo: XmlElement | undefined = signature === undefined ? undefined : childOf(signature, 'SignedInfo');
  if (signedInfo === undefined) throw new TypeError('simulator: the signer has left no SignedInfo');
  const value = sign('sha256', Buffer.from(canonicalXml(signedInfo)), theStranger().privateKey).toString('base64');
  return signed.replace(SIGNATURE_VALUE, (_, open: string, close: string) => open + value + close);
}

const SIGNATURE = /<ds:Signature[ >][\s\S]*<\/ds:Signature>/;

/** The signature of a document that differs in nothing but a comment's worth of text, put in front of this one. */
function otherBody(document: string, dict: XmlSigner): string {
  const root = /<\?xml[^?]*\?>\s*<([^\s/>]+)/.exec(document)?.[1] ?? '';
  const namespaces =
    /^[^>]*?((?:\s+xmlns(?::[\w.-]+)?="[^"]*")*)/.exec(document.slice(document.indexOf(`<${root}`) + root.length + 1))?.[1] ?? '';
  const other = SIGNATURE.exec(dict(`<${root}${namespaces}>outro</${root}>`))?.[0] ?? '';
  const own = dict(document);
  return own.replace(SIGNATURE, () => other);
}
