/**
 * XML as DICT speaks it: a strict reader over @rgrove/parse-xml and a writer. What is read is bounded before the parser sees it
 * (bytes, depth, elements), because the parser recurses per level and the answers come from a network. There is no DOCTYPE and
 * no processing instruction, so no entity can be defined and nothing outside the document is ever fetched.
 *
 * Left out: schemas; canonicalisation and signatures (xml-canonical.ts, xml-signature.ts). Error messages name the place, never the content: answers hold personal data.
 */

import {
  XmlElement as ParsedElement,
  XmlText as ParsedText,
  XmlError as ParseError,
  parseXml as parseDocument,
} from '@rgrove/parse-xml';

/** What the writer needs of an element. An `XmlElement` as read is one too. */
export interface XmlSource {
  /** Local name, without prefix. */
  readonly name: string;
  readonly prefix?: string;
  /** By qualified name, `xmlns` declarations among them. */
  readonly attributes?: Readonly<Record<string, string>>;
  readonly children?: readonly XmlSource[];
  /** Written before the children. */
  readonly text?: string;
}

/** An element as read. */
export interface XmlElement extends XmlSource {
  readonly name: string;
  /** Empty when there is none. */
  readonly prefix: string;
  /** Namespace URI that the prefix, or its absence, stands for here; empty when there is none. */
  readonly namespace: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** The element's own character data, CDATA included; empty where it holds only blanks between child elements. */
  readonly text: string;
  /** Children and character data as they follow each other, blanks included: what canonicalisation needs. */
  readonly content: readonly (XmlElement | string)[];
}

export interface XmlLimits {
  readonly bytesMax: number;
  /** The root is at depth 1. */
  readonly depthMax: number;
  readonly elementsMax: number;
}

/** Far above the largest answer of DICT (200 events of four elements each) and harmless to parse. */
const DEFAULT_XML_LIMITS: XmlLimits = { bytesMax: 1024 * 1024, depthMax: 32, elementsMax: 20_000 };

/** The text is not XML that this program accepts; the message says why and where. */
export class XmlInvalid extends Error {
  override readonly name = 'XmlInvalid';
}

const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';
const XMLNS_NAMESPACE = 'http://www.w3.org/2000/xmlns/';
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });
const DECLARATION = /^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.0"|'1\.0')([^?]*)\?>/;
const ENCODING = /[ \t\r\n]encoding[ \t\r\n]*=[ \t\r\n]*(?:"([^"]*)"|'([^']*)')/;

/**
 * Reads one document.
 *
 * @throws XmlInvalid when it is not well-formed, not UTF-8, larger or deeper than the limits, or holds a DOCTYPE, an undefined
 *   entity, a processing instruction, an undeclared prefix or a namespace declared against the rules.
 */
export function parseXml(input: Uint8Array | string, limits: XmlLimits = DEFAULT_XML_LIMITS): XmlElement {
  const text = decode(input, limits.bytesMax);
  refuseDeclaration(text);
  refuseMarkup(text, limits);
  const document = parse(text);
  if (document === null) throw new XmlInvalid('XML: there is no root element');
  return convert(document, new Map([['xml', XML_NAMESPACE]]));
}

function decode(input: Uint8Array | string, bytesMax: number): string {
  const size = typeof input === 'string' ? Buffer.byteLength(input) : input.byteLength;
  if (size > bytesMax) throw new XmlInvalid(`XML: ${size} bytes are more than the ${bytesMax} allowed`);
  if (typeof input === 'string') return input;
  try {
    return strictUtf8.decode(input);
  } catch {
    throw new XmlInvalid('XML: the bytes are not UTF-8');
  }
}

function refuseDeclaration(text: string): void {
  if (!/^<\?xml[ \t\r\n]/.test(text)) return;
  const declaration = DECLARATION.exec(text);
  if (declaration === null) throw new XmlInvalid('XML: the declaration is malformed or not of version 1.0');
  const encoding = ENCODING.exec(declaration[1] ?? '');
  const name = encoding?.[1] ?? encoding?.[2];
  if (name !== undefined && name.toUpperCase() !== 'UTF-8') {
    throw new XmlInvalid('XML: the declared encoding is not UTF-8');
  }
}

/**
 * One pass over the markup, without looking at names, that bounds depth and element count and refuses what DICT never sends.
 * Well-formedness is the parser's business: this pass only has to count no less than the parser will.
 */
function refuseMarkup(text: string, limits: XmlLimits): void {
  let depth = 0;
  let elements = 0;
  let at = text.indexOf('<', /^<\?xml[ \t\r\n]/.test(text) ? 1 : 0);
  while (at !== -1) {
    if (text.startsWith('<!--', at)) at = endOf(text, '-->', at + 4);
    else if (text.startsWith('<![CDATA[', at)) at = endOf(text, ']]>', at + 9);
    else if (text.startsWith('<!', at)) throw new XmlInvalid('XML: a DOCTYPE is not accepted');
    else if (text.startsWith('<?', at)) throw new XmlInvalid('XML: a processing instruction is not accepted');
    else if (text.startsWith('</', at)) {
      depth -= 1;
      at += 2;
    } else {
      elements += 1;
      if (elements > limits.elementsMax) throw new XmlInvalid(`XML: more than ${limits.elementsMax} elements`);
      if (depth + 1 > limits.depthMax) throw new XmlInvalid(`XML: nested deeper than ${limits.depthMax} levels`);
      at = endOfTag(text, at + 1);
      if (text[at - 1] !== '/') depth += 1;
    }
    at = text.indexOf('<', at);
  }
}

function endOf(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  if (at === -1) throw new XmlInvalid(`XML: "${mark}" is missing`);
  return at + mark.length;
}

/** Where the tag's closing `>` stands: the first outside quotes. */
function endOfTag(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    const char = text[at];
    if (char === '>') return at;
    if (char === '"' || char === "'") at = endOf(text, char, at + 1);
    else at += 1;
  }
  throw new XmlInvalid('XML: a tag is not closed');
}

function parse(text: string): ParsedElement | null {
  try {
    return parseDocument(text).root;
  } catch (error) {
    // The library's message goes on with an excerpt of the document, which may be a person's name: only its first line is kept.
    if (error instanceof ParseError) throw new XmlInvalid(`XML: ${error.message.split('\n', 1)[0]}`);
    throw error;
  }
}

function convert(parsed: ParsedElement, outer: ReadonlyMap<string, string>): XmlElement {
  const namespaces = declared(parsed.attributes, outer);
  const { prefix, local } = split(parsed.name);
  const namespace = namespaceOf(prefix, namespaces);
  refuseAttributes(parsed.attributes, namespaces);
  const children: XmlElement[] = [];
  const content: (XmlElement | string)[] = [];
  let text = '';
  for (const node of parsed.children) {
    if (node instanceof ParsedElement) {
      const child = convert(node, namespaces);
      children.push(child);
      content.push(child);
    } else if (node instanceof ParsedText) {
      text += node.text;
      // An empty CDATA section is no text.
      if (node.text !== '') content.push(node.text);
    }
  }
  if (children.length > 0 && /^[ \t\r\n]*$/.test(text)) text = '';
  const attributes = Object.fromEntries(Object.entries(parsed.attributes));
  return { name: local, prefix, namespace, attributes, children, text, content };
}

function declared(attributes: Readonly<Record<string, string>>, outer: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  let inner: Map<string, string> | null = null;
  for (const [name, uri] of Object.entries(attributes)) {
    if (!isNamespaceDeclaration(name)) continue;
    const prefix = name === 'xmlns' ? '' : name.slice('xmlns:'.length);
    if (prefix !== '' && uri === '') throw new XmlInvalid(`XML: the prefix "${prefix}" is declared empty`);
    const reserved = prefix === 'xmlns' || uri === XMLNS_NAMESPACE || (prefix === 'xml') !== (uri === XML_NAMESPACE);
    if (reserved || prefix.includes(':')) throw new XmlInvalid(`XML: the prefix "${prefix}" is declared against the rules`);
    inner ??= new Map(outer);
    inner.set(prefix, uri);
  }
  return inner ?? outer;
}

/** Whether an attribute's name makes it a declaration of a namespace. */
export function isNamespaceDeclaration(name: string): boolean {
  return name === 'xmlns' || name.startsWith('xmlns:');
}

function namespaceOf(prefix: string, namespaces: ReadonlyMap<string, string>): string {
  const namespace = namespaces.get(prefix) ?? '';
  if (prefix !== '' && namespace === '') throw new XmlInvalid(`XML: the prefix "${prefix}" is not declared`);
  return namespace;
}

/** The parser compares attributes by their names as written; two prefixes can stand for one namespace. */
function refuseAttributes(attributes: Readonly<Record<string, string>>, namespaces: ReadonlyMap<string, string>): void {
  const seen = new Set<string>();
  for (const name of Object.keys(attributes)) {
    if (isNamespaceDeclaration(name)) continue;
    const { prefix, local } = split(name);
    if (prefix === '') continue;
    const expanded = `${local} ${namespaceOf(prefix, namespaces)}`;
    if (seen.has(expanded)) throw new XmlInvalid('XML: an attribute stands there twice under two prefixes');
    seen.add(expanded);
  }
}

/** What a name may go on with but not begin with; the parser sees to it before the colon, not behind it. */
const NOT_FIRST = /^(?:[-.0-9\u{B7}\u{203F}\u{2040}]|[\u{300}-\u{36F}])/u;

function split(qualified: string): { prefix: string; local: string } {
  const colon = qualified.indexOf(':');
  if (colon === -1) return { prefix: '', local: qualified };
  const prefix = qualified.slice(0, colon);
  const local = qualified.slice(colon + 1);
  if (prefix === '' || local === '' || local.includes(':')) throw new XmlInvalid('XML: a name has a misplaced colon');
  if (NOT_FIRST.test(local)) throw new XmlInvalid('XML: a name goes on wrongly behind its colon');
  return { prefix, local };
}

/** The first child of that local name, whatever its prefix. */
export function childOf(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

/** All children of that local name, in document order. */
export function childrenOf(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

/** An element that holds text, or elements of which those that are null are left out. */
export function element(
  name: string,
  content: string | readonly (XmlSource | null)[] = '',
  attributes: Readonly<Record<string, string>> = {},
): XmlSource {
  if (typeof content === 'string') return { name, attributes, text: content };
  return { name, attributes, children: content.filter((child) => child !== null) };
}

const NAME = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
const QUALIFIED_NAME = /^[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.-]*)?$/;
// What XML 1.0 cannot carry even as a reference: control characters but tab, LF and CR; lone surrogates; U+FFFE and U+FFFF.
const FORBIDDEN = /[^\t\n\r\u{20}-\u{D7FF}\u{E000}-\u{FFFD}\u{10000}-\u{10FFFF}]/u;

/**
 * Writes a whole document with its declaration, without white space of its own: what is read again is what was written.
 *
 * @throws TypeError when a text cannot be carried by XML or a name is no XML name.
 */
export function writeXml(root: XmlSource): string {
  const parts = ['<?xml version="1.0" encoding="UTF-8"?>\n'];
  write(root, parts);
  return parts.join('');
}

function write(source: XmlSource, parts: string[]): void {
  const prefix = source.prefix ?? '';
  if (!NAME.test(source.name) || (prefix !== '' && !NAME.test(prefix))) {
    throw new TypeError(`XML: ${JSON.stringify(`${prefix}:${source.name}`)} is not an element name`);
  }
  const name = prefix === '' ? source.name : `${prefix}:${source.name}`;
  parts.push('<', name);
  for (const [attribute, value] of Object.entries(source.attributes ?? {})) {
    if (!QUALIFIED_NAME.test(attribute)) throw new TypeError(`XML: ${JSON.stringify(attribute)} is not an attribute name`);
    parts.push(' ', attribute, '="', escaped(value, name, true), '"');
  }
  const children = source.children ?? [];
  const text = source.text ?? '';
  if (text === '' && children.length === 0) {
    parts.push('/>');
    return;
  }
  parts.push('>', escaped(text, name, false));
  for (const child of children) write(child, parts);
  parts.push('</', name, '>');
}

const references: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#9;',
  '\n': '&#10;',
  // A literal carriage return would be read as a line feed.
  '\r': '&#13;',
};

function escaped(value: string, name: string, attribute: boolean): string {
  if (FORBIDDEN.test(value)) throw new TypeError(`XML: the text of <${name}> holds a character that XML cannot carry`);
  return value.replace(attribute ? /[&<>"\t\n\r]/g : /[&<>\r]/g, (char) => references[char] ?? char);
}
