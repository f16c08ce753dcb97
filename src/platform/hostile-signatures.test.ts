/** Documents that must not pass for signed: each is refused, and for the reason that it should be refused for. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { algorithm, forged, RIGHT_REFERENCES, reference, rightKeyInfo } from '../../test/support/forged-signature.ts';
import { LARGE_SERIAL, signingKey } from '../../test/support/signing-keys.ts';
import { certificateStore, issuerSerialOf } from './certificate.ts';
import { parseXml, XmlInvalid } from './xml.ts';
import { SIGNATURE_WORDS as WORDS, xmlSigner } from './xml-signature.ts';
import { type SignatureFault, SignatureRefused, verifiedXml } from './xml-signature-verification.ts';

const AT = new Date('2026-11-27T12:00:00Z');
const key = signingKey();
const stranger = signingKey({ serial: LARGE_SERIAL + 1n });
const expired = signingKey({ serial: 3n, notAfter: new Date('2026-11-27T11:59:59Z') });
const store = certificateStore([key.certificate, expired.certificate]);

const body = '<Request><Participant>12345678</Participant><KeyType>CPF</KeyType></Request>';
const signed = xmlSigner(key.privateKey, key.certificate)(body);
const signature = /<ds:Signature .*<\/ds:Signature>/s.exec(signed)?.[0] ?? assert.fail();
const keyInfo = rightKeyInfo(key);
const { key: keyReference, document: documentReference } = RIGHT_REFERENCES;
const { canonicalisation: EXC, enveloped: ENVELOPED } = WORDS;
const C14N = 'http://www.w3.org/TR/2001/REC-xml-c14n-20010315';

/** The signed document with one piece of text changed; the piece has to be there. */
function changed(from: string | RegExp, to: string): string {
  const text = signed.replace(from, () => to);
  assert.notEqual(text, signed, `${from} is not in the signed document`);
  return text;
}

function withParts(keyInfoInner: string): string {
  return forged(key, { keyInfo: `<ds:KeyInfo Id="key-info-id">${keyInfoInner}</ds:KeyInfo>` });
}

const issuerSerial = /<ds:X509IssuerSerial>.*<\/ds:X509IssuerSerial>/.exec(keyInfo)?.[0] ?? assert.fail();
const pemText = key.certificate.raw.toString('base64');
const keyValue =
  '<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>';

type Case = readonly [what: string, document: string, reason: SignatureFault | RegExp];

const unsignedOrMisplaced: readonly Case[] = [
  ['no signature', body, 'unsigned'],
  ['the empty placeholder of the published examples', '<Request><Signature></Signature><A/></Request>', 'unsigned'],
  [
    'a placeholder of XMLDSig with nothing in it',
    `<Request><Signature xmlns="${WORDS.namespace}"> </Signature></Request>`,
    'unsigned',
  ],
  ['a placeholder that holds a comment', '<Request><Signature><!-- signed --></Signature></Request>', 'unsigned'],
  ['a signature in another namespace', signed.replaceAll(WORDS.namespace, 'urn:example'), 'misplaced'],
  ['a signature without its namespace', signed.replace(/ xmlns:ds="[^"]*"/, '').replaceAll('ds:', ''), 'misplaced'],
  ['a signature as last child', body.replace('</Request>', `${signature}</Request>`), 'misplaced'],
  ['a signature as second child', body.replace('<KeyType>', `${signature}<KeyType>`), 'misplaced'],
  ['a signature below the first child', body.replace('<Participant>', `<Participant>${signature}`), 'misplaced'],
  ['text before the signature', signed.replace('<ds:Signature ', 'x<ds:Signature '), 'misplaced'],
  ['the signature as root', signature, 'misplaced'],
  [
    'a root that is XMLDSig, with the document in an object',
    `<ds:Object xmlns:ds="${WORDS.namespace}">${signed}</ds:Object>`,
    'misplaced',
  ],
  ['the signed document inside another root', `<Request>${signed}</Request>`, 'misplaced'],
  ['the signed document inside a forged root, its signature moved up', `<Evil>${signature}${body}</Evil>`, 'digest'],
];

const several: readonly Case[] = [
  ['a second signature behind the first', signed.replace('</ds:Signature>', `</ds:Signature>${signature}`), 'several'],
  [
    'a second, unsigned signature at the end',
    signed.replace('</Request>', '<ds:Signature xmlns:ds="urn:x"/></Request>'),
    'several',
  ],
  ['a second placeholder', forged(key, { document: '<Request>@<Signature/></Request>' }), 'several'],
  ['a signature deep inside what is signed', forged(key, { document: `<R>@<A><B>${signature}</B></A></R>` }), 'several'],
  [
    'an object of XMLDSig in what is signed',
    forged(key, { document: `<R>@<o:Object xmlns:o="${WORDS.namespace}"/></R>` }),
    'several',
  ],
  [
    'a KeyInfo of XMLDSig in what is signed',
    forged(key, { document: `<R>@<o:KeyInfo xmlns:o="${WORDS.namespace}"/></R>` }),
    'several',
  ],
  ['the id of the KeyInfo on the root', forged(key, { document: '<R Id="key-info-id">@</R>' }), 'duplicate-id'],
  ['the id of the KeyInfo on another element', forged(key, { document: '<R>@<A id="key-info-id"/></R>' }), 'duplicate-id'],
  ['the id of the KeyInfo as xml:id', forged(key, { document: '<R>@<A xml:id=" key-info-id "/></R>' }), 'duplicate-id'],
  [
    'the id of the KeyInfo as ID in a namespace',
    forged(key, { document: '<R>@<A xmlns:x="urn:x" x:ID="key-info-id"/></R>' }),
    'duplicate-id',
  ],
];

const algorithms: readonly Case[] = [
  [
    'RSA with SHA-1',
    forged(key, { method: algorithm('SignatureMethod', 'http://www.w3.org/2000/09/xmldsig#rsa-sha1'), hash: 'sha1' }),
    'algorithm',
  ],
  [
    'RSA with SHA-512',
    forged(key, { method: algorithm('SignatureMethod', 'http://www.w3.org/2001/04/xmldsig-more#rsa-sha512'), hash: 'sha512' }),
    'algorithm',
  ],
  [
    'an HMAC keyed with what everybody knows',
    forged(key, { method: algorithm('SignatureMethod', 'http://www.w3.org/2001/04/xmldsig-more#hmac-sha256') }),
    'algorithm',
  ],
  ['an algorithm without a name', forged(key, { method: '<ds:SignatureMethod/>' }), 'algorithm'],
  [
    'the algorithm with a blank behind it',
    forged(key, { method: algorithm('SignatureMethod', `${WORDS.signature} `) }),
    'algorithm',
  ],
  [
    'a shortened output',
    forged(key, { method: algorithm('SignatureMethod', WORDS.signature, '<ds:HMACOutputLength>8</ds:HMACOutputLength>') }),
    'shape',
  ],
  ['inclusive canonicalisation', forged(key, { canonicalisation: algorithm('CanonicalizationMethod', C14N) }), 'algorithm'],
  [
    'canonicalisation with comments',
    forged(key, { canonicalisation: algorithm('CanonicalizationMethod', `${EXC}WithComments`) }),
    'algorithm',
  ],
  [
    'a list of inclusive namespaces',
    forged(key, {
      canonicalisation: algorithm('CanonicalizationMethod', EXC, `<e:InclusiveNamespaces xmlns:e="${EXC}" PrefixList="a"/>`),
    }),
    'shape',
  ],
  [
    'a digest of SHA-1',
    forged(key, {
      references: keyReference + reference('', [ENVELOPED, EXC], '{document}', 'http://www.w3.org/2000/09/xmldsig#sha1'),
    }),
    'algorithm',
  ],
  [
    'an XSLT transform',
    forged(key, {
      references: keyReference + reference('', [ENVELOPED, 'http://www.w3.org/TR/1999/REC-xslt-19991116'], '{document}'),
    }),
    'algorithm',
  ],
  [
    'an XPath transform',
    forged(key, {
      references: keyReference + reference('', [ENVELOPED, 'http://www.w3.org/TR/1999/REC-xpath-19991116'], '{document}'),
    }),
    'algorithm',
  ],
  [
    'a third transform',
    forged(key, { references: keyReference + reference('', [ENVELOPED, EXC, EXC], '{document}') }),
    'algorithm',
  ],
  [
    'transforms in another order',
    forged(key, { references: keyReference + reference('', [EXC, ENVELOPED], '{document}') }),
    'algorithm',
  ],
  [
    'the document without the enveloped transform',
    forged(key, { references: keyReference + reference('', [EXC], '{document}') }),
    'algorithm',
  ],
  [
    'the KeyInfo with the enveloped transform',
    forged(key, { references: reference('#key-info-id', [ENVELOPED, EXC], '{key}') + documentReference }),
    'algorithm',
  ],
  [
    'a transform that holds something',
    forged(key, {
      references:
        keyReference + documentReference.replace(`"${EXC}"></ds:Transform>`, `"${EXC}"><ds:XPath>1</ds:XPath></ds:Transform>`),
    }),
    'shape',
  ],
];

const references: readonly Case[] = [
  ['no reference', forged(key, { references: '' }), 'reference'],
  ['the KeyInfo alone', forged(key, { references: keyReference }), 'reference'],
  ['the document alone', forged(key, { references: documentReference }), 'reference'],
  ['references in the other order', forged(key, { references: documentReference + keyReference }), 'reference'],
  ['the KeyInfo twice', forged(key, { references: keyReference + keyReference }), 'reference'],
  ['the document twice', forged(key, { references: documentReference + documentReference }), 'reference'],
  ['a third reference', forged(key, { references: keyReference + documentReference + keyReference }), 'reference'],
  [
    'a reference to a part of the document',
    forged(key, { document: '<R>@<A Id="a"/></R>', references: keyReference + reference('#a', [EXC], '{document}') }),
    'reference',
  ],
  [
    'a reference to a file',
    forged(key, { references: keyReference + reference('file:///etc/passwd', [EXC], '{document}') }),
    'reference',
  ],
  [
    'a reference over the network',
    forged(key, { references: keyReference + reference('http://127.0.0.1:9/', [EXC], '{document}') }),
    'reference',
  ],
  [
    'an XPointer to the root',
    forged(key, { references: keyReference + reference('#xpointer(/)', [ENVELOPED, EXC], '{document}') }),
    'reference',
  ],
  ['a reference without URI', forged(key, { references: keyReference + documentReference.replace(' URI=""', '') }), 'reference'],
  [
    'a reference with a type',
    forged(key, {
      references:
        keyReference + documentReference.replace(' URI=""', ' URI="" Type="http://www.w3.org/2000/09/xmldsig#Manifest"'),
    }),
    'shape',
  ],
  [
    'a reference with an id',
    forged(key, { references: keyReference + documentReference.replace(' URI=""', ' URI="" Id="r"') }),
    'shape',
  ],
];

const shapes: readonly Case[] = [
  ['an id on the signature', forged(key, { attributes: ' Id="s"' }), 'shape'],
  ['an object in the signature', forged(key, { objects: '<ds:Object>1</ds:Object>' }), 'shape'],
  [
    'the body moved into an object',
    forged(key, {
      document: '<Request>@<Participant>99999999</Participant></Request>',
      objects: `<ds:Object>${body}</ds:Object>`,
    }),
    'shape',
  ],
  ['text in the signature', forged(key, { objects: 'x' }), 'shape'],
  ['no KeyInfo', forged(key, { keyInfo: '' }), 'shape'],
  ['a KeyInfo without id', forged(key, { keyInfo: keyInfo.replace(' Id="key-info-id"', '') }), 'shape'],
  ['a KeyInfo with another attribute', forged(key, { keyInfo: keyInfo.replace(' Id=', ' x="1" Id=') }), 'shape'],
  ['a key in the KeyInfo', withParts(keyValue), 'shape'],
  ['a key beside the certificate', withParts(`<ds:X509Data>${issuerSerial}</ds:X509Data>${keyValue}`), 'shape'],
  ['the name of a key', withParts('<ds:KeyName>dict</ds:KeyName>'), 'shape'],
  ['a place to fetch the key from', withParts('<ds:RetrievalMethod URI="http://127.0.0.1:9/"/>'), 'shape'],
  [
    'a certificate in the document',
    withParts(`<ds:X509Data>${issuerSerial}<ds:X509Certificate>${pemText}</ds:X509Certificate></ds:X509Data>`),
    'shape',
  ],
  [
    'only a certificate in the document',
    withParts(`<ds:X509Data><ds:X509Certificate>${pemText}</ds:X509Certificate></ds:X509Data>`),
    'shape',
  ],
  ['two certificates named', withParts(`<ds:X509Data>${issuerSerial}${issuerSerial}</ds:X509Data>`), 'shape'],
  ['two X509Data', withParts(`<ds:X509Data>${issuerSerial}</ds:X509Data><ds:X509Data>${issuerSerial}</ds:X509Data>`), 'shape'],
  [
    'an element in the serial',
    withParts(`<ds:X509Data>${issuerSerial.replace('</ds:X509SerialNumber>', '<x/></ds:X509SerialNumber>')}</ds:X509Data>`),
    'shape',
  ],
  ['an element of another namespace in SignedInfo', forged(key, { more: '<x/>' }), 'shape'],
  ['a signature value that is not base64', changed(/<ds:SignatureValue>./, '<ds:SignatureValue>*'), 'shape'],
  ['an empty signature value', changed(/<ds:SignatureValue>[^<]*/, '<ds:SignatureValue>'), 'shape'],
  ['an element in the signature value', changed('</ds:SignatureValue>', '<x/></ds:SignatureValue>'), 'shape'],
  ['a digest that is too short', forged(key, { references: keyReference + reference('', [ENVELOPED, EXC], 'AAAA') }), 'shape'],
  [
    'a digest without padding',
    forged(key, { references: keyReference + reference('', [ENVELOPED, EXC], 'A'.repeat(43)) }),
    'shape',
  ],
];

const keys: readonly Case[] = [
  ['a stranger who names himself', forged(stranger), 'unknown-certificate'],
  ['a stranger who names a trusted certificate', forged(stranger, { keyInfo }), 'signature'],
  ['a serial in hex', withParts(keyInfoWith(String(LARGE_SERIAL), `0x${LARGE_SERIAL.toString(16)}`)), 'unknown-certificate'],
  ['an empty serial', withParts(keyInfoWith(String(LARGE_SERIAL), '')), 'unknown-certificate'],
  ['another issuer', withParts(keyInfoWith('C=BR', 'C=PT')), 'unknown-certificate'],
  ['an enormous serial', withParts(keyInfoWith(String(LARGE_SERIAL), '9'.repeat(100_000))), 'unknown-certificate'],
  ['an issuer that never ends', withParts(keyInfoWith('C=BR', `C=${' '.repeat(100_000)}\\`)), 'unknown-certificate'],
  ['a certificate that has expired', forged(expired), 'certificate-time'],
  [
    'a signature value of zeros',
    changed(/<ds:SignatureValue>[^<]*/, `<ds:SignatureValue>${Buffer.alloc(256).toString('base64')}`),
    'signature',
  ],
  [
    'a signature value that is too long',
    changed(/<ds:SignatureValue>[^<]*/, `<ds:SignatureValue>${Buffer.alloc(5000).toString('base64')}`),
    'signature',
  ],
  ['a changed digest', changed(/<ds:DigestValue>[^<]*/, `<ds:DigestValue>${Buffer.alloc(32).toString('base64')}`), 'signature'],
  ['a changed KeyInfo with the issuer spelt otherwise', changed('C=BR<', 'C= br<'), 'digest'],
  ['a changed body', changed('12345678', '12345679'), 'digest'],
  ['an element added at the end', changed('</Request>', '<A/></Request>'), 'digest'],
  ['an element taken away', changed('<KeyType>CPF</KeyType>', ''), 'digest'],
  ['an attribute added to the root', changed('<Request>', '<Request a="1">'), 'digest'],
  ['a default namespace put around', changed('<Request>', '<Request xmlns="urn:x">'), 'digest'],
  ['a root of another name', signed.replaceAll('Request>', 'Response>'), 'digest'],
  ['a blank more', changed('<KeyType>', ' <KeyType>'), 'digest'],
  ['a value cut by a comment and changed', changed('12345678', '1234<!-- -->5679'), 'digest'],
  ['a line separator for a line feed', forged(key, { document: '<R>@a\nb</R>' }).replace('a\nb', 'a\u2028b'), 'digest'],
  ['a letter composed otherwise', forged(key, { document: '<R>@\u00e7</R>' }).replace('\u00e7', 'c\u0327'), 'digest'],
];

const documents: readonly Case[] = [
  ['a DOCTYPE', `<!DOCTYPE Request>${signed}`, /DOCTYPE/],
  ['an entity that stands for the value', `<!DOCTYPE Request [<!ENTITY p "12345678">]>${changed('12345678', '&p;')}`, /DOCTYPE/],
  ['an attribute type that makes another id', `<!DOCTYPE Request [<!ATTLIST A x ID #IMPLIED>]>${signed}`, /DOCTYPE/],
  ['an undefined entity', changed('12345678', '&p;'), /entity/],
  ['a processing instruction in a value', changed('12345678', '1234<?x?>5678'), /processing instruction/],
  ['a processing instruction in the signature', changed('<ds:SignedInfo>', '<?x?><ds:SignedInfo>'), /processing instruction/],
  ['a style sheet before the root', `<?xml-stylesheet href="x"?>${signed}`, /processing instruction/],
  ['depth without end', changed('</Request>', `${'<a>'.repeat(100)}${'</a>'.repeat(100)}</Request>`), /deeper/],
  ['a document without end', changed('</Request>', `${'<a/>'.repeat(30_000)}</Request>`), /more than 20000 elements/],
  ['a text without end', changed('12345678', 'x'.repeat(2 ** 20)), /bytes are more/],
  ['another encoding', `<?xml version="1.0" encoding="ISO-8859-1"?>${signed}`, /encoding/],
  ['an attribute twice', changed('Algorithm=', 'Algorithm="x" Algorithm='), /Duplicate/],
  ['two documents', `${signed}${signed}`, /XML: /],
  ['an undeclared prefix', changed(/ xmlns:ds="[^"]*"/, ''), /prefix/],
];

function keyInfoWith(from: string, to: string): string {
  const inner = issuerSerial.replace(from, () => to);
  assert.notEqual(inner, issuerSerial);
  return `<ds:X509Data>${inner}</ds:X509Data>`;
}

function refusal(document: string): unknown {
  try {
    verifiedXml(parseXml(document), store, AT);
    return 'accepted';
  } catch (error) {
    return error;
  }
}

const groups = { unsignedOrMisplaced, several, algorithms, references, shapes, keys, documents };

describe('a hostile document is refused for its reason', () => {
  for (const [what, document, reason] of Object.values(groups).flat()) {
    it(what, () => {
      const error = refusal(document);
      if (typeof reason === 'string') {
        assert.ok(error instanceof SignatureRefused, String(error));
        assert.equal(error.fault, reason, error.message);
      } else {
        assert.ok(error instanceof XmlInvalid, String(error));
        assert.match(error.message, reason);
      }
    });
  }

  it('and what these documents are made from is accepted', () => {
    assert.equal(refusal(signed), 'accepted');
    assert.equal(refusal(forged(key)), 'accepted');
    assert.equal(refusal(withParts(`<ds:X509Data>${issuerSerial}</ds:X509Data>`)), 'accepted');
    assert.equal(issuerSerialOf(key.certificate).serial, String(LARGE_SERIAL));
  });

  it('in bytes that are not UTF-8', () => {
    const latin = Buffer.from(forged(key, { document: '<R>@ção</R>' }), 'latin1');
    assert.throws(() => parseXml(latin), XmlInvalid);
  });
});
