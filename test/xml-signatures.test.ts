/**
 * Our signatures against programs that are not ours: xmlsec1 (libxml2, OpenSSL) and the JDK's javax.xml.crypto with secure
 * validation accept what we sign and refuse what was changed; what they sign we accept.
 */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { certificateStore } from '../src/platform/certificate.ts';
import { simpleName } from '../src/platform/certificate-issuing.ts';
import { element, parseXml, writeXml, type XmlElement } from '../src/platform/xml.ts';
import { canonicalXml } from '../src/platform/xml-canonical.ts';
import { xmlSigner } from '../src/platform/xml-signature.ts';
import { verifiedXml } from '../src/platform/xml-signature-verification.ts';
import { jdkMissing, xmlsecMissing } from './support/foreign-programs.ts';
import { forged, rightKeyInfo } from './support/forged-signature.ts';
import { signingKey } from './support/signing-keys.ts';

/** What makes programs disagree; each is the text of a body. */
const bodies: Readonly<Record<string, string>> = {
  'as-dict-client-writes': writeXml(
    element('CreateSyncVerificationRequest', [element('SyncVerification', [element('Participant', '12345678')])]),
  ),
  accents: '<R><Name>João Conceição Ñandú Ærøskøbing 李 \u{1F600}</Name></R>',
  composed: '<R><Name>Joa\u0303o \u00e3</Name></R>',
  ampersands: '<R a="&amp;&lt;&quot;&#39;"><Name>Silva &amp; Filhos &lt;Ltda&gt; "x"</Name></R>',
  'carriage-returns': '<R a="&#13;&#10;&#9;x">a&#13;b&#xD;&#xA;c\r\nd\re<Name>&#13;</Name></R>',
  'line-separators': '<R a="\u2028\u0085">\u2028a\u0085b\u2029<Name>\u00a0\u2028</Name></R>',
  cdata: '<R><Name><![CDATA[a & b < c > "d" ]]]]><![CDATA[> \r\n]]></Name><![CDATA[]]></R>',
  comments: '<?xml version="1.0" encoding="UTF-8"?>\n<!-- before --><R><!-- in --><Name>a<!-- b -->c</Name></R><!-- after -->\n',
  namespaces:
    '<p:R xmlns:p="urn:p" xmlns="urn:d" xmlns:unused="urn:u" p:z="1" a="2"><Name xmlns=""/><p:Name xmlns:p="urn:q" p:b="1"/></p:R>',
  'prefix-ds-taken': '<ds:R xmlns:ds="urn:other"><ds:Name ds:a="1">x</ds:Name></ds:R>',
  'closes-itself': '<R a="/>" />',
  blanks: '<R>\n  <A> x </A>\n\t<B>\t</B>\n</R>\n',
  'xml-attributes': '<R xml:lang="pt-BR" xml:space="preserve"><Name xml:id="n1"> </Name></R>',
};

const AT = new Date('2026-11-27T12:00:00Z');
/** An issuer that every program can spell (xmlsec1 1.2 writes none at all where there is an ampersand), and one that Java can. */
const plain = signingKey({ issuer: simpleName('Autoridade, Ltda', 'AC "Operações" + 1') });
const unusual = signingKey();
const store = certificateStore([plain.certificate, unusual.certificate]);
const sign = xmlSigner(plain.privateKey, plain.certificate);

let directory = '';
before(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'dict-vsync-signatures-'));
  writeFileSync(path.join(directory, 'certificate.pem'), plain.certificate.toString());
  writeFileSync(path.join(directory, 'key.pem'), plain.privateKey.export({ type: 'pkcs8', format: 'pem' }));
});
after(() => rmSync(directory, { recursive: true, force: true }));

function written(name: string, text: string): string {
  const file = path.join(directory, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

function accepted(bytes: Uint8Array): XmlElement {
  return verifiedXml(parseXml(bytes), store, AT).root;
}

function tampered(text: string): string {
  const changed = text.replace(/(<\/ds:Signature>)/, '$1<Added/>');
  assert.notEqual(changed, text);
  return changed;
}

const keyInfoId = '--id-attr:Id';
const keyInfoName = 'http://www.w3.org/2000/09/xmldsig#:KeyInfo';

function xmlsecVerifies(file: string): boolean {
  const certificate = path.join(directory, 'certificate.pem');
  const run = spawnSync('xmlsec1', ['--verify', keyInfoId, keyInfoName, '--pubkey-cert-pem', certificate, file], {
    encoding: 'utf8',
  });
  return run.status === 0 && /OK/.test(run.stderr + run.stdout);
}

describe('xmlsec1', { skip: xmlsecMissing() ?? false }, () => {
  for (const [name, body] of Object.entries(bodies)) {
    it(`accepts what we sign, and not when it was changed: ${name}`, () => {
      const text = sign(body);
      assert.ok(xmlsecVerifies(written('xmlsec-ours.xml', text)), text);
      assert.ok(!xmlsecVerifies(written('xmlsec-changed.xml', tampered(text))));
    });

    it(`signs what we accept, whoever writes the issuer: ${name}`, () => {
      const keyInfos = [rightKeyInfo(plain), rightKeyInfo(plain).replace(/<ds:X509IssuerName>.*<\/ds:X509SerialNumber>/, '')];
      for (const keyInfo of keyInfos) {
        const template = written('xmlsec-template.xml', withTemplate(body, keyInfo));
        const signed = path.join(directory, 'xmlsec-signed.xml');
        const key = `${path.join(directory, 'key.pem')},${path.join(directory, 'certificate.pem')}`;
        execFileSync('xmlsec1', ['--sign', keyInfoId, keyInfoName, '--privkey-pem', key, '--output', signed, template], {
          stdio: 'pipe',
        });
        assert.equal(canonicalXml(accepted(readFileSync(signed))), canonicalXml(parseXml(body)));
      }
    });
  }
});

/** The body with an empty signature of the right shape, for a program to fill. */
function withTemplate(body: string, keyInfo: string): string {
  const unsigned = forged(plain, { keyInfo })
    .replace(/.*(<ds:Signature .*<\/ds:Signature>).*/s, '$1')
    .replace(/(<ds:(?:SignatureValue|DigestValue)>)[^<]*/g, '$1');
  return sign(body).replace(/<ds:Signature [\s\S]*<\/ds:Signature>/, () => unsigned);
}

describe('javax.xml.crypto with secure validation', { skip: jdkMissing() ?? false }, () => {
  let verdicts = '';
  before(() => {
    for (const [name, body] of Object.entries(bodies)) {
      const text = sign(body);
      written(`ours/${name}.xml`, text);
      written(`ours/${name}.changed.xml`, tampered(text));
      written(`plain/${name}.xml`, body);
    }
    const program = path.join(import.meta.dirname, 'interoperation', 'DictSignatures.java');
    verdicts = execFileSync('java', ['-Dfile.encoding=UTF-8', program, directory], { encoding: 'utf8', timeout: 120_000 });
  });

  for (const [name, body] of Object.entries(bodies)) {
    it(`accepts what we sign, and not when it was changed: ${name}`, () => {
      assert.ok(verdicts.includes(`${name}.xml valid\n`), verdicts);
      assert.ok(verdicts.includes(`${name}.changed.xml invalid\n`), verdicts);
    });

    it(`signs what we accept: ${name}`, () => {
      const signed = readFileSync(path.join(directory, 'signed', `${name}.xml`));
      assert.equal(canonicalXml(accepted(signed)), canonicalXml(parseXml(body)));
    });
  }

  it('finds our certificate by an issuer with unusual attributes, and we find the one that it names', () => {
    const own = mkdtempSync(path.join(directory, 'unusual-'));
    mkdirSync(path.join(own, 'ours'));
    mkdirSync(path.join(own, 'plain'));
    writeFileSync(path.join(own, 'certificate.pem'), unusual.certificate.toString());
    writeFileSync(path.join(own, 'key.pem'), unusual.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(path.join(own, 'ours', 'a.xml'), xmlSigner(unusual.privateKey, unusual.certificate)('<a/>'));
    writeFileSync(path.join(own, 'plain', 'a.xml'), '<a/>');
    const program = path.join(import.meta.dirname, 'interoperation', 'DictSignatures.java');
    assert.equal(execFileSync('java', [program, own], { encoding: 'utf8', timeout: 120_000 }), 'a.xml valid\n');
    assert.deepEqual(readdirSync(path.join(own, 'signed')), ['a.xml']);
    assert.equal(accepted(readFileSync(path.join(own, 'signed', 'a.xml'))).name, 'a');
  });
});
