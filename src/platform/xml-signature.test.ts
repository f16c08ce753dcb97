/** Signing and verifying: the form that DICT asks for, documents that come through unchanged, and no change that goes unnoticed. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { randomXml, seededRandom } from '../../test/support/random-xml.ts';
import { LARGE_SERIAL, signingKey } from '../../test/support/signing-keys.ts';
import { certificateStore } from './certificate.ts';
import { element, parseXml, writeXml, type XmlElement, XmlInvalid } from './xml.ts';
import { canonicalXml } from './xml-canonical.ts';
import { xmlSigner } from './xml-signature.ts';
import { SignatureRefused, verifiedXml } from './xml-signature-verification.ts';

const AT = new Date('2026-11-27T12:00:00Z');
const key = signingKey();
const sign = xmlSigner(key.privateKey, key.certificate);
const store = certificateStore([key.certificate]);
const LIMITS = { bytesMax: 1024 * 1024, depthMax: 32, elementsMax: 20_000 };

function verified(document: string): XmlElement {
  return verifiedXml(parseXml(document, LIMITS), store, AT).root;
}

describe('xmlSigner', () => {
  it('puts the one shape that DICT knows before everything else in the root', () => {
    const text = sign(
      writeXml(element('CreateCidSetFileRequest', [element('Participant', '12345678'), element('KeyType', 'CPF')])),
    );
    const shape = text
      .replace(/<ds:DigestValue>[A-Za-z0-9+/]{43}=</g, '<ds:DigestValue>…<')
      .replace(/<ds:SignatureValue>[A-Za-z0-9+/]{342}==</, '<ds:SignatureValue>…<')
      .replace(/(<ds:X509IssuerName>)[^<]*/, '$1…')
      .replaceAll('><', '>\n<');
    assert.equal(
      shape,
      `<?xml version="1.0" encoding="UTF-8"?>
<CreateCidSetFileRequest>
<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
<ds:SignedInfo>
<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">
</ds:CanonicalizationMethod>
<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256">
</ds:SignatureMethod>
<ds:Reference URI="#key-info-id">
<ds:Transforms>
<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">
</ds:Transform>
</ds:Transforms>
<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256">
</ds:DigestMethod>
<ds:DigestValue>…</ds:DigestValue>
</ds:Reference>
<ds:Reference URI="">
<ds:Transforms>
<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature">
</ds:Transform>
<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#">
</ds:Transform>
</ds:Transforms>
<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256">
</ds:DigestMethod>
<ds:DigestValue>…</ds:DigestValue>
</ds:Reference>
</ds:SignedInfo>
<ds:SignatureValue>…</ds:SignatureValue>
<ds:KeyInfo Id="key-info-id">
<ds:X509Data>
<ds:X509IssuerSerial>
<ds:X509IssuerName>…</ds:X509IssuerName>
<ds:X509SerialNumber>${LARGE_SERIAL}</ds:X509SerialNumber>
</ds:X509IssuerSerial>
</ds:X509Data>
</ds:KeyInfo>
</ds:Signature>
<Participant>12345678</Participant>
<KeyType>CPF</KeyType>
</CreateCidSetFileRequest>`,
    );
  });

  it('refuses what is signed already, what is no XML, and keys that do not fit', () => {
    assert.throws(() => sign(sign('<a/>')), TypeError);
    assert.throws(() => sign('<a><Signature/></a>'), TypeError);
    assert.throws(() => sign('<a>'), XmlInvalid);
    assert.throws(() => xmlSigner(signingKey().privateKey, key.certificate), /does not belong/);
    const weak = signingKey({ modulusLength: 1024 });
    assert.throws(() => xmlSigner(weak.privateKey, weak.certificate), /at least 2048 bits/);
  });

  it('changes nothing but the place behind the start tag of the root', () => {
    for (const [before, after] of [
      ['<a>', '</a>'],
      ['<?xml version="1.0"?>\n<!-- <a> -->\n<a b=">" c=\'"/>\'\n>', '\r\n<![CDATA[<a>]]></a>\n<!-- end -->'],
      ['\uFEFF<p:a xmlns:p="urn:x" d="&#13;">', 'ç\u2028\u0085&#13;</p:a >'],
    ]) {
      const text = sign(`${before}${after}`);
      assert.ok(text.startsWith(`${before}<ds:Signature `) && text.endsWith(`</ds:Signature>${after}`), text);
      assert.deepEqual(verified(text).text, parseXml(`${before}${after}`).text);
    }
    assert.match(sign('<x:a xmlns:x="urn:x" b="/" />'), /^<x:a xmlns:x="urn:x" b="\/" ><ds:Signature .*<\/ds:Signature><\/x:a>$/);
  });
});

describe('verifiedXml', () => {
  it('hands on any document as it was signed, without the signature', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const text = randomXml(seededRandom(seed));
        const root = parseXml(text, LIMITS);
        fc.pre(!text.includes('xmldsig'));
        assert.equal(canonicalXml(verified(sign(text))), canonicalXml(root));
      }),
    );
  });

  it('notices any letter changed', () => {
    const root = element('R', [element('Name', 'João & Maria\r\u2028'), element('Key', '+5511987654321')], { a: '1' });
    const text = sign(writeXml(root));
    const meant = canonicalXml(parseXml(writeXml(root)));
    fc.assert(
      fc.property(
        fc.nat(text.length - 1),
        fc.constantFrom('', 'x', ' ', '\n', '<', '&', '"', '1', '\u2028', 'Á', '/'),
        (at, letter) => {
          const changed = text.slice(0, at) + letter + text.slice(at + 1);
          try {
            // Some changes change nothing that XML tells apart, such as a blank inside a tag: then the meaning is the same.
            assert.equal(canonicalXml(verified(changed)), meant);
          } catch (error) {
            assert.ok(error instanceof SignatureRefused || error instanceof XmlInvalid, String(error));
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('accepts another prefix, blanks between elements and line ends inside base64', () => {
    const text = sign('<R><A>1</A></R>');
    const value = /<ds:SignatureValue>([^<]*)/.exec(text)?.[1] ?? assert.fail();
    const folded = (value.match(/.{1,76}/g) ?? []).join('&#13;\n');
    assert.equal(verified(text.replace(value, `\n${folded}\n`)).children.length, 1);
    assert.equal(verified(text.replace('</ds:SignedInfo>', '</ds:SignedInfo>\n  ')).children.length, 1);
    assert.throws(() => verified(text.replace('<ds:Reference', '\n<ds:Reference')), SignatureRefused);
  });
});
