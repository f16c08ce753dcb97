/** Exclusive canonicalisation: what the recommendation says, equal to libxml2 on random documents, and nothing lost on the way. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { XmlElement as LibxmlElement, XmlC14NMode, XmlDocument } from 'libxml2-wasm';
import { randomXml, seededRandom } from '../../test/support/random-xml.ts';
import { childOf, isNamespaceDeclaration, parseXml, type XmlElement } from './xml.ts';
import { canonicalXml } from './xml-canonical.ts';

const exclusive = { mode: XmlC14NMode.XML_C14N_EXCLUSIVE_1_0, withComments: false } as const;
const LIMITS = { bytesMax: 1024 * 1024, depthMax: 32, elementsMax: 20_000 };

/** The chain of elements from the root down to the one that following `path` (child numbers) leads to. */
function chain(root: XmlElement, path: readonly number[]): readonly XmlElement[] {
  const elements = [root];
  for (const index of path) {
    const next = elements.at(-1)?.children[index];
    if (next === undefined) break;
    elements.push(next);
  }
  return elements;
}

function libxmlDescendant(root: LibxmlElement, path: readonly number[]): LibxmlElement {
  let element = root;
  for (const index of path) {
    let seen = 0;
    for (let node = element.firstChild; node !== null; node = node.next) {
      if (!(node instanceof LibxmlElement)) continue;
      if (seen === index) {
        element = node;
        break;
      }
      seen += 1;
    }
  }
  return element;
}

/** An element as it stands, without declarations of namespaces: those that nothing uses are not part of the canonical form. */
function meaning(element: XmlElement): unknown {
  const attributes = Object.entries(element.attributes).filter(([name]) => !isNamespaceDeclaration(name));
  return {
    name: [element.prefix, element.name, element.namespace],
    attributes: attributes.sort(([a], [b]) => (a < b ? -1 : 1)),
    text: element.text,
    content: element.content.map((part) => (typeof part === 'string' ? part : meaning(part))),
    children: element.children.map(meaning),
  };
}

describe('canonicalXml', () => {
  const cases: readonly [string, string, string][] = [
    ['opens what closes itself', '<a/>', '<a></a>'],
    [
      'sorts attributes by namespace and name',
      '<a z="1" y="2" xmlns:q="urn:a" q:a="3"/>',
      '<a xmlns:q="urn:a" y="2" z="1" q:a="3"></a>',
    ],
    [
      'declares where it is used, not where it was declared',
      '<a xmlns:p="urn:p"><p:b/><p:b/></a>',
      '<a><p:b xmlns:p="urn:p"></p:b><p:b xmlns:p="urn:p"></p:b></a>',
    ],
    ['does not declare again', '<p:a xmlns:p="urn:p"><p:b xmlns:p="urn:p"/></p:a>', '<p:a xmlns:p="urn:p"><p:b></p:b></p:a>'],
    ['takes a default namespace back', '<a xmlns="urn:x"><b xmlns=""/></a>', '<a xmlns="urn:x"><b xmlns=""></b></a>'],
    ['keeps U+0085 and U+2028', '<a b="\u0085\u2028">\u0085\u2028</a>', '<a b="\u0085\u2028">\u0085\u2028</a>'],
    ['writes carriage returns as references', '<a b="&#13;&#10;&#9;">&#13;\r\n\r</a>', '<a b="&#xD;&#xA;&#x9;">&#xD;\n\n</a>'],
    ['turns CDATA into text and drops comments', '<a><![CDATA[<&>]]><!-- x -->y</a>', '<a>&lt;&amp;&gt;y</a>'],
    ['leaves quotes in text and > in attributes', `<a b='"&gt;'>"'</a>`, `<a b="&quot;>">"'</a>`],
  ];
  for (const [what, input, expected] of cases) {
    it(what, () => {
      assert.equal(canonicalXml(parseXml(input)), expected);
    });
  }

  it('takes an element out of its document with the namespaces that it uses', () => {
    const root = parseXml('<a xmlns="urn:x" xmlns:p="urn:p" xmlns:q="urn:q"><b xml:lang="pt"><c p:d="1"/></b></a>');
    const b = childOf(root, 'b');
    const c = b === undefined ? undefined : childOf(b, 'c');
    assert.ok(b !== undefined && c !== undefined);
    assert.equal(canonicalXml(c, { within: [root, b] }), '<c xmlns="urn:x" xmlns:p="urn:p" p:d="1"></c>');
  });

  it('leaves one element out, and the blanks around it in', () => {
    const root = parseXml('<a> <b><c/></b> <d/></a>');
    const b = childOf(root, 'b');
    assert.ok(b !== undefined);
    assert.equal(canonicalXml(root, { without: b }), '<a>  <d></d></a>');
  });

  it('is what libxml2 makes of 20,000 random documents, and loses nothing', () => {
    for (let seed = 1; seed <= 20_000; seed += 1) {
      const text = randomXml(seededRandom(seed));
      const root = parseXml(text, LIMITS);
      const canonical = canonicalXml(root);
      const document = XmlDocument.fromString(text);
      const expected = document.canonicalizeToString(exclusive);
      document.dispose();
      assert.equal(canonical, expected, `seed ${seed}: ${JSON.stringify(text)}`);
      // Comparing trees costs more than all the rest: one in five.
      if (seed % 5 === 0) assert.deepEqual(meaning(parseXml(canonical, LIMITS)), meaning(root), `seed ${seed}`);
    }
  });

  it('is what libxml2 makes of elements inside 4,000 random documents', () => {
    for (let seed = 1; seed <= 4_000; seed += 1) {
      const random = seededRandom(-seed);
      const text = randomXml(random);
      const path = [0, 0, 0, 0].map(() => Math.floor(random() * 2));
      const elements = chain(parseXml(text, LIMITS), path);
      const last = elements.at(-1);
      assert.ok(last !== undefined);
      const document = XmlDocument.fromString(text);
      const expected = libxmlDescendant(document.root, path.slice(0, elements.length - 1)).canonicalizeToString(exclusive);
      document.dispose();
      assert.equal(canonicalXml(last, { within: elements.slice(0, -1) }), expected, `seed -${seed}: ${JSON.stringify(text)}`);
    }
  });
});
