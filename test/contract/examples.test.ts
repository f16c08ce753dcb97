/** The published examples against the published schemas: where they agree our reading of both is right; where not, it is said here. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { loadContract } from './openapi.ts';

const contract = loadContract();
const directory = new URL('examples/', import.meta.url);

/** The examples show where a signature goes by an empty element outside its namespace. */
const PLACEHOLDER = '/Signature is in namespace "", not "http://www.w3.org/2000/09/xmldsig#"';

/** What else the examples have that the schemas of the same version do not. */
const contradictions: Readonly<Record<string, readonly RegExp[]>> = {
  'CheckKeysResponse.xml': [/Keys\/Key\[[0-9]\] is not a ExtendedKey$/, /^\/Keys\/[0-9] /],
  'GetEntryResponse.xml': [/^\/GetEntryResponse\/Statistics is not in the contract$/],
  'GetEntryResponseInitiator.xml': [/^\/GetEntryResponse\/Statistics is not in the contract$/],
};

/** The schemas require `SPI` and describe `Spi`. */
const MISSPELT = /Statistics must have required property 'SPI'$/;

function schemaOf(file: string): string {
  return file.replace('Initiator', '').replace('.xml', '');
}

function findingsOf(schema: string, xml: string): readonly string[] {
  return contract.findings(schema, xml).filter((finding) => !finding.endsWith(PLACEHOLDER));
}

describe('published examples', () => {
  for (const file of readdirSync(directory).sort()) {
    const known = contradictions[file] ?? [];
    it(`${file} ${known.length === 0 ? 'is as the schema says' : 'contradicts the schema as listed'}`, () => {
      const findings = findingsOf(schemaOf(file), readFileSync(new URL(file, directory), 'utf8'));
      assert.deepEqual(
        findings.filter((finding) => !known.some((pattern) => pattern.test(finding))),
        [],
      );
      if (known.length > 0) assert.notEqual(findings.length, 0, 'a listed contradiction is gone');
    });
  }

  const operations = new Set([
    'createEntry',
    'updateEntry',
    'deleteEntry',
    'getEntry',
    'confirmClaim',
    'completeClaim',
    'createSyncVerification',
    'createCidSetFile',
    'getCidSetFile',
    'listCidSetEvents',
    'getEntryByCid',
    'bucketStates',
    'getPolicy',
  ]);
  for (const { where, schema, xml } of contract.embeddedExamples(operations)) {
    it(`${where} inside the document is as the schema says`, () => {
      assert.deepEqual(
        findingsOf(schema, xml).filter((finding) => !MISSPELT.test(finding)),
        [],
      );
    });
  }
});

describe('the judge', () => {
  const good = readFileSync(new URL('GetEntryByCidResponse.xml', directory), 'utf8');
  const planted: readonly [string, (xml: string) => string, RegExp][] = [
    ['a missing element', (xml) => xml.replace(/<RequestId>.*<\/RequestId>/, ''), /required property 'RequestId'/],
    ['an element too many', (xml) => xml.replace('<Cid>', '<Extra/><Cid>'), /Extra is not in the contract/],
    ['an element twice', (xml) => xml.replace(/<Cid>.*<\/Cid>/, '$&$&'), /Cid is there more than once/],
    ['a short CID', (xml) => xml.replace('<Cid>ca', '<Cid>'), /\/Cid must match pattern/],
    ['a time that is none', (xml) => xml.replace('2010-01-10T03:00:00.000Z', '10/01/2010'), /OpeningDate must match format/],
    ['an unknown key type', (xml) => xml.replace('>CPF<', '>RG<'), /KeyType must be equal to one of/],
    ['a participant without leading zeros', (xml) => xml.replace('12345678', '38166'), /Participant must match pattern/],
    ['a lower-case element', (xml) => xml.replaceAll('KeyType>', 'keyType>'), /keyType is not in the contract/],
    [
      'a foreign namespace',
      (xml) => xml.replace('<GetEntryByCidResponse>', '<GetEntryByCidResponse xmlns="urn:x">'),
      /root is in namespace/,
    ],
    ['a foreign child', (xml) => xml.replace('<Cid>', '<Cid xmlns="urn:x">'), /Cid is in namespace "urn:x"/],
    ['an attribute', (xml) => xml.replace('<Cid>', '<Cid x="1">'), /Cid has an attribute x/],
    ['text made of elements', (xml) => xml.replace('<Cid>', '<Cid><b/>'), /Cid holds elements/],
    ['another root', (xml) => xml.replaceAll('GetEntryByCidResponse', 'GetEntryResponse'), /root is GetEntryResponse/],
    ['a document cut off', (xml) => xml.slice(0, 300), /not well-formed/],
  ];
  for (const [what, plant, finding] of planted) {
    it(`finds ${what}`, () => {
      const xml = plant(good);
      assert.notEqual(xml, good);
      assert.match(findingsOf('GetEntryByCidResponse', xml).join('\n'), finding);
    });
  }
});
