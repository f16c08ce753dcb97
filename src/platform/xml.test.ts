/** The reader accepts what DICT may send and refuses everything hostile; what the writer writes is read again unchanged. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { childOf, childrenOf, element, parseXml, writeXml, type XmlElement, XmlInvalid } from './xml.ts';

describe('parseXml', () => {
  it('keeps text, attributes and order, and drops only the blanks between elements', () => {
    const root = parseXml('<a x="1 &amp; 2">\n  <b> João &#38; <![CDATA[<Silva>]]></b>\n  <c/>\n  <b>2</b></a>');
    assert.equal(root.text, '');
    assert.deepEqual(root.attributes, { x: '1 & 2' });
    assert.deepEqual(
      root.children.map((child) => child.name),
      ['b', 'c', 'b'],
    );
    assert.equal(childOf(root, 'b')?.text, ' João & <Silva>');
    assert.equal(childrenOf(root, 'b').length, 2);
    assert.equal(childOf(root, 'd'), undefined);
  });

  it('resolves prefixes to namespaces and names elements by their local name', () => {
    const root = parseXml('<p:problem xmlns:p="urn:ietf:rfc:7807" xmlns="urn:x"><title/><p:type xmlns:p="urn:y"/></p:problem>');
    assert.deepEqual([root.prefix, root.name, root.namespace], ['p', 'problem', 'urn:ietf:rfc:7807']);
    assert.deepEqual(
      root.children.map((child) => [child.prefix, child.name, child.namespace]),
      [
        ['', 'title', 'urn:x'],
        ['p', 'type', 'urn:y'],
      ],
    );
  });

  it('reads bytes with a byte order mark and a declaration of UTF-8 in any case', () => {
    assert.equal(parseXml(Buffer.from('\uFEFF<?xml version=\'1.0\' encoding="utf-8" standalone="yes"?><a>ç</a>')).text, 'ç');
  });

  it('keeps elements and text in the order in which they follow each other', () => {
    const { content } = parseXml('<a> x<b/><![CDATA[y]]> <!-- - -->z</a>');
    assert.deepEqual(
      content.map((part) => (typeof part === 'string' ? part : `<${part.name}>`)),
      [' x', '<b>', 'y z'],
    );
  });

  it('never splits a text at a comment', () => {
    assert.equal(parseXml('<a>1<!-- 2 -->3</a>').text, '13');
  });

  it('keeps an attribute of any name apart from the object that carries it', () => {
    const root = parseXml('<a __proto__="x" constructor="y"/>');
    assert.deepEqual(Object.entries(root.attributes), [
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });

  const refused: readonly [string, string | Uint8Array, RegExp][] = [
    ['nothing', '', /XML: /],
    ['text alone', 'hello', /XML: /],
    ['two roots', '<a/><b/>', /XML: /],
    ['a missing end tag', '<a><b></a>', /end tag/],
    ['an end too many', '<a></a></a>', /XML: /],
    ['a DOCTYPE', '<!DOCTYPE a><a/>', /DOCTYPE/],
    ['entities that multiply', '<!DOCTYPE a [<!ENTITY x "xxxx">]><a>&x;</a>', /DOCTYPE/],
    ['an external entity', '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', /DOCTYPE/],
    ['an undefined entity', '<a>&nbsp;</a>', /entity/i],
    ['an entity named like a property of objects', '<a>&constructor;</a>', /entity|reference/i],
    ['a processing instruction', '<a><?php 1?></a>', /processing instruction/],
    ['a style sheet before the root', '<?xml-stylesheet href="x"?><a/>', /processing instruction/],
    ['a second declaration', '<a><?xml version="1.0"?></a>', /processing instruction/],
    ['another encoding', '<?xml version="1.0" encoding="ISO-8859-1"?><a/>', /encoding/],
    ['another version', '<?xml version="1.1"?><a/>', /version/],
    ['Latin-1 bytes', Buffer.from('<a>ç</a>', 'latin1'), /UTF-8/],
    ['UTF-16 bytes', Buffer.from('\uFEFF<a/>', 'utf16le'), /UTF-8/],
    ['an overlong encoding', Uint8Array.from([0x3c, 0x61, 0x3e, 0xc0, 0xaf, 0x3c, 0x2f, 0x61, 0x3e]), /UTF-8/],
    ['a control character', '<a>\u0000</a>', /XML: /],
    ['a reference to a control character', '<a>&#1;</a>', /character/],
    ['an undeclared prefix', '<p:a/>', /prefix/],
    ['a prefix declared empty', '<p:a xmlns:p=""/>', /prefix/],
    ['a prefix of an attribute that is not declared', '<a p:x="1"/>', /prefix "p" is not declared/],
    ['an attribute twice under two prefixes', '<a xmlns:p="urn:x" xmlns:q="urn:x" p:x="1" q:x="2"/>', /twice/],
    ['the prefix xml for another namespace', '<a xmlns:xml="urn:x"/>', /against the rules/],
    ['another prefix for the namespace of xml', '<a xmlns:p="http://www.w3.org/XML/1998/namespace"/>', /against the rules/],
    ['the prefix xmlns declared', '<a xmlns:xmlns="urn:x"/>', /against the rules/],
    ['the namespace of declarations as default', '<a xmlns="http://www.w3.org/2000/xmlns/"/>', /against the rules/],
    ['a digit behind the colon', '<p:1 xmlns:p="urn:x"/>', /behind its colon/],
    ['a misplaced colon', '<a:b:c xmlns:a="x"/>', /colon/],
    ['a duplicate attribute', '<a x="1" x="2"/>', /attribute/i],
    ['an attribute without quotes', '<a x=1/>', /XML: /],
    ['an open comment', '<a><!-- </a>', /missing/],
    ['an open CDATA section', '<a><![CDATA[ </a>', /missing/],
    ['an open tag', '<a x="', /missing/],
    ['nesting without end', '<a>'.repeat(100_000), /deeper/],
    ['nesting hidden behind a comment', `<!-- </a></a> -->${'<a>'.repeat(40)}${'</a>'.repeat(40)}`, /deeper/],
    ['nesting hidden behind a slash in quotes', `${'<a x="/">'.repeat(40)}${'</a>'.repeat(40)}`, /deeper/],
    ['elements without end', `<a>${'<b/>'.repeat(20_001)}</a>`, /more than 20000 elements/],
    ['too many bytes', `<a>${'x'.repeat(1024 * 1024)}</a>`, /1048576 allowed/],
  ];
  for (const [what, input, message] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => parseXml(input),
        (error) => error instanceof XmlInvalid && message.test(error.message),
      );
    });
  }

  it('says where, but repeats nothing of the content', () => {
    assert.throws(
      () => parseXml('<a><Name>Maria das Dores</Name><b></a>'),
      (error) =>
        error instanceof XmlInvalid && /line 1/.test(error.message) && !/Maria/.test(error.message) && error.cause === undefined,
    );
  });
});

describe('writeXml', () => {
  it('writes what DICT expects', () => {
    assert.equal(
      writeXml(element('A', [element('B', 'a & b < c > d "e"\r'), null, element('C')], { x: '"\n\t\r<&' })),
      '<?xml version="1.0" encoding="UTF-8"?>\n<A x="&quot;&#10;&#9;&#13;&lt;&amp;"><B>a &amp; b &lt; c &gt; d "e"&#13;</B><C/></A>',
    );
  });

  it('refuses what XML cannot carry, without repeating it', () => {
    for (const text of ['\u0000', '\u001b', '\uFFFE', '\uD800', 'x\uDFFFy']) {
      assert.throws(() => writeXml(element('Name', text)), /^TypeError: XML: the text of <Name> holds a character/);
    }
    for (const name of ['', '1a', 'a b', 'a:b', 'a>']) assert.throws(() => writeXml(element(name)), TypeError);
    assert.throws(() => writeXml(element('a', '', { 'x y': '' })), TypeError);
  });

  it('is the inverse of parseXml for any text and attribute', () => {
    const text = fc
      .string({ unit: 'grapheme' })
      .filter((value) => !/[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u.test(value));
    fc.assert(
      fc.property(text, text, text, (own, value, inner) => {
        const read = parseXml(writeXml({ name: 'a', text: own, attributes: { x: value }, children: [element('b', inner)] }));
        assert.equal(read.text, /^[ \t\r\n]*$/.test(own) ? '' : own);
        assert.equal(read.attributes['x'], value);
        assert.equal(childOf(read, 'b')?.text, inner);
      }),
    );
  });

  it('writes an element as it was read', () => {
    const text = '<?xml version="1.0" encoding="UTF-8"?>\n<p:a xmlns:p="urn:x" y="1"><p:b>1</p:b><c/></p:a>';
    const root: XmlElement = parseXml(text);
    assert.equal(writeXml(root), text);
  });
});
