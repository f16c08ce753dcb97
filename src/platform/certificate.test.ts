/** Issuer and serial of certificates as XMLDSig names them, and the look-up by any spelling of both. */

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { certificateFor, LARGE_SERIAL, signingKey } from '../../test/support/signing-keys.ts';
import { certificateStore, issuerSerialOf } from './certificate.ts';
import { simpleName } from './certificate-issuing.ts';
import { DER_TAGS, DerInvalid, der, derInteger, derNumber, derOid, derOidText, derValues } from './der.ts';
import { nameTextKey } from './distinguished-name.ts';

const unusual = signingKey();
const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

describe('issuerSerialOf', () => {
  it('writes unusual attributes as hex and escapes what RFC 2253 asks for', () => {
    const { issuer } = issuerSerialOf(unusual.certificate);
    assert.equal(
      issuer,
      [
        '2.5.4.97=#0c15434e504a42522d3030303338313636303030313035',
        '2.5.4.5=#13083030303338313636',
        '1.2.840.113549.1.9.1=#160e6163406578616d706c652e636f6d',
        'OU=\\ Operações  do DICT\\ +CN=AC\\=1',
        'O=Autoridade\\, \\"Cia\\" & Irmãos \\<SA\\> \\+ #1\\; \\\\',
        'C=BR',
      ].join(','),
    );
  });

  it('gives serials beyond 64 bits in decimal', () => {
    assert.equal(issuerSerialOf(unusual.certificate).serial, String(LARGE_SERIAL));
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 159n }), (serial) => {
        assert.equal(derNumber(derValues(derInteger(serial))[0] ?? assert.fail()), serial);
      }),
    );
  });
});

describe('a certificate store', () => {
  const store = certificateStore([unusual.certificate]);
  const { issuer, serial } = issuerSerialOf(unusual.certificate);

  const spellings: readonly [string, string][] = [
    ['as we write it', issuer],
    ['with blanks behind commas', issuer.replaceAll(',C', ', C').replaceAll(',1.2', ' , 1.2')],
    [
      'with keywords of OpenSSL and Java',
      issuer.replace('1.2.840.113549.1.9.1=#160e6163406578616d706c652e636f6d', 'emailAddress=AC@Example.com'),
    ],
    ['with OID. before numbers', issuer.replace('2.5.4.97', 'OID.2.5.4.97')],
    ['with values in quotes', issuer.replace('CN=AC\\=1', 'CN="AC=1"')],
    ['with bytes of UTF-8 as hex', issuer.replace('Opera\u00e7\u00f5es', 'Opera\\C3\\A7\\c3\\b5es')],
    [
      'with parts of one set in another order',
      issuer.replace('OU=\\ Operações  do DICT\\ +CN=AC\\=1', 'CN=ac\\3d1 + OU=operações do dict'),
    ],
    ['with semicolons', issuer.replace(',C=BR', ';C=BR')],
  ];
  for (const [how, text] of spellings) {
    it(`finds an issuer written ${how}`, () => {
      assert.ok(store.find(text, serial) === unusual.certificate);
    });
  }

  it('finds nothing under another serial, another name, or what is no name', () => {
    for (const other of ['1', `${serial}0`, '', '0x1f', '1e3', ' ', '9'.repeat(100)])
      assert.equal(store.find(issuer, other), null);
    for (const other of [
      '',
      'C=BR',
      'nonsense',
      `${issuer},`,
      `X=1,${issuer}`,
      issuer.replace('C=BR', 'C=PT'),
      'CN=#zz',
      'CN=#04',
      '\\'.repeat(999),
    ]) {
      assert.equal(store.find(other, serial), null, other);
    }
  });

  it('takes a serial with zeros before it as the number it is', () => {
    assert.ok(store.find(issuer, `00${serial}`) === unusual.certificate);
  });

  it('refuses two certificates that cannot be told apart, and weak keys', () => {
    assert.throws(() => certificateStore([unusual.certificate, certificateFor(publicKey)]), /have the serial/);
    assert.doesNotThrow(() => certificateStore([unusual.certificate, unusual.certificate]));
    assert.throws(() => certificateStore([signingKey({ modulusLength: 1024 }).certificate]), /at least 2048 bits/);
  });

  it('finds any name that it is given as it writes it', () => {
    const attribute = fc.record({
      oid: fc.constantFrom('2.5.4.3', '2.5.4.10', '2.5.4.11', '0.9.2342.19200300.100.1.1', '2.5.4.4', '1.3.6.1.4.1.311.60.2.1.3'),
      value: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
      tag: fc.constantFrom(DER_TAGS.utf8String, DER_TAGS.utf8String, DER_TAGS.ia5String),
    });
    const name = fc.array(fc.array(attribute, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(name, (parts) => {
        const certificate = certificateFor(publicKey, { issuer: parts, serial: 7n });
        assert.ok(certificateStore([certificate]).find(issuerSerialOf(certificate).issuer, '7') === certificate);
      }),
      { numRuns: 200 },
    );
  });

  it('finds a name whose value begins with a tab and a number sign', () => {
    const certificate = certificateFor(publicKey, { issuer: simpleName('CN', '\t#41 '), serial: 7n });
    assert.ok(certificateStore([certificate]).find(issuerSerialOf(certificate).issuer, '7') === certificate);
  });

  it('reads a certificate without a version field', () => {
    const time = der(DER_TAGS.utcTime, Buffer.from('200101000000Z'));
    assert.equal(derValues(der(DER_TAGS.sequence, derInteger(5n), time)).length, 1);
    assert.equal(issuerSerialOf(certificateFor(publicKey, { issuer: simpleName('O', 'N'), serial: 5n })).issuer, 'CN=N,O=O,C=BR');
  });
});

describe('DER', () => {
  it('refuses what is cut off, indefinite or enormous', () => {
    for (const bytes of [[0x30], [0x30, 0x05, 0x01], [0x30, 0x80, 0, 0], [0x1f, 0x81, 0x01, 0x00], [0x30, 0x85, 1, 1, 1, 1, 1]]) {
      assert.throws(() => derValues(Uint8Array.from(bytes)), DerInvalid);
    }
  });

  it('writes object identifiers and long values that it reads again', () => {
    for (const oid of ['2.5.4.3', '1.2.840.113549.1.1.11', '0.9.2342.19200300.100.1.25', '2.999.1', '1.39.128']) {
      assert.equal(derOidText(derValues(derOid(oid))[0] ?? assert.fail()), oid);
    }
    for (const length of [0, 127, 128, 255, 256, 65_535, 65_536]) {
      assert.equal(derValues(der(DER_TAGS.octetString, Buffer.alloc(length)))[0]?.contents.length, length);
    }
  });
});

describe('nameTextKey', () => {
  it('ends quickly on any text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('C', 'N', '=', ',', '+', '\\', '"', '#', ' ', '0', '.', 'a'), maxLength: 300 }),
        (text) => {
          const key = nameTextKey(text);
          assert.ok(key === null || key.startsWith('['));
        },
      ),
    );
    assert.equal(nameTextKey(`CN=${' '.repeat(50_000)}\\`), null);
  });
});
