/**
 * Exclusive XML canonicalisation 1.0 without comments (http://www.w3.org/2001/10/xml-exc-c14n#): the one form of a document, or
 * of an element in it, that a digest is made of. Works on what xml.ts read, so there is neither DOCTYPE nor processing
 * instruction, and comments are gone. Held equal to libxml2 on random documents in xml-canonical.test.ts.
 *
 * Left out: the InclusiveNamespaces prefix list (DICT's signatures have none, and verification refuses it), inclusive
 * canonicalisation, and node sets other than an element with all that is below it, minus one element.
 */

import { isNamespaceDeclaration, type XmlElement } from './xml.ts';

/** Prefix to namespace URI. */
type Namespaces = ReadonlyMap<string, string>;

export interface CanonicalPlace {
  /** The elements around the one to be canonicalised, root first: their namespace declarations reach inside. */
  readonly within?: readonly XmlElement[];
  /** An element below that is left out with all that it holds: the enveloped signature. */
  readonly without?: XmlElement;
}

/** The canonical form as text; its UTF-8 bytes are what is digested. Recurses as deep as the reader's limits let a document be. */
export function canonicalXml(element: XmlElement, place: CanonicalPlace = {}): string {
  const outer = (place.within ?? []).reduce(withDeclarations, new Map<string, string>());
  const parts: string[] = [];
  write({ parts, without: place.without ?? null }, element, outer, new Map());
  return parts.join('');
}

interface Output {
  readonly parts: string[];
  readonly without: XmlElement | null;
}

/**
 * @param outer what the elements around declare, in the document.
 * @param rendered what the elements around have declared, in the output.
 */
function write(output: Output, element: XmlElement, outer: Namespaces, rendered: Namespaces): void {
  const { parts, without } = output;
  const namespaces = withDeclarations(outer, element);
  const name = element.prefix === '' ? element.name : `${element.prefix}:${element.name}`;
  const attributes = attributesOf(element, namespaces);
  parts.push('<', name);
  const inner = writeDeclarations(parts, element, attributes, namespaces, rendered);
  for (const { qualified, value } of attributes) parts.push(' ', qualified, '="', escapedAttribute(value), '"');
  parts.push('>');
  for (const part of element.content) {
    if (typeof part === 'string') parts.push(escapedText(part));
    else if (part !== without) write(output, part, namespaces, inner);
  }
  parts.push('</', name, '>');
}

function withDeclarations(outer: Namespaces, element: XmlElement): Namespaces {
  let inner: Map<string, string> | null = null;
  for (const [name, uri] of Object.entries(element.attributes)) {
    if (!isNamespaceDeclaration(name)) continue;
    inner ??= new Map(outer);
    inner.set(name === 'xmlns' ? '' : name.slice('xmlns:'.length), uri);
  }
  return inner ?? outer;
}

interface Attribute {
  readonly qualified: string;
  readonly prefix: string;
  readonly local: string;
  readonly namespace: string;
  readonly value: string;
}

/** Attributes but for declarations, by namespace URI and then local name; those without a namespace come first. */
function attributesOf(element: XmlElement, namespaces: Namespaces): readonly Attribute[] {
  const attributes: Attribute[] = [];
  for (const [qualified, value] of Object.entries(element.attributes)) {
    if (isNamespaceDeclaration(qualified)) continue;
    const colon = qualified.indexOf(':');
    const prefix = colon === -1 ? '' : qualified.slice(0, colon);
    const local = qualified.slice(colon + 1);
    attributes.push({ qualified, prefix, local, namespace: attributeNamespace(prefix, namespaces), value });
  }
  if (attributes.length < 2) return attributes;
  return attributes.sort((a, b) => byCodePoint(a.namespace, b.namespace) || byCodePoint(a.local, b.local));
}

/** The default namespace does not reach attributes. */
function attributeNamespace(prefix: string, namespaces: Namespaces): string {
  if (prefix === '') return '';
  return prefix === 'xml' ? 'http://www.w3.org/XML/1998/namespace' : (namespaces.get(prefix) ?? '');
}

/** Declares what the element itself uses and no element around has declared alike. Answers what is declared inside it. */
function writeDeclarations(
  parts: string[],
  element: XmlElement,
  attributes: readonly Attribute[],
  namespaces: Namespaces,
  rendered: Namespaces,
): Namespaces {
  const used = new Set([element.prefix]);
  for (const { prefix } of attributes) if (prefix !== '') used.add(prefix);
  used.delete('xml');
  let inner: Map<string, string> | null = null;
  for (const prefix of used.size === 1 ? used : [...used].sort(byCodePoint)) {
    const uri = namespaces.get(prefix) ?? '';
    if ((rendered.get(prefix) ?? '') === uri) continue;
    inner ??= new Map(rendered);
    inner.set(prefix, uri);
    parts.push(prefix === '' ? ' xmlns="' : ` xmlns:${prefix}="`, escapedAttribute(uri), '"');
  }
  return inner ?? rendered;
}

/** By Unicode code point, as the recommendation asks; JavaScript's own order puts U+1F600 before U+FFFD. */
function byCodePoint(a: string, b: string): number {
  if (a === b) return 0;
  if (/[\uD800-\uDFFF]/.test(a) || /[\uD800-\uDFFF]/.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}

const references: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\t': '&#x9;',
  '\n': '&#xA;',
  '\r': '&#xD;',
};

/** U+0085 and U+2028 stay as they are: they are line ends in XML 1.1 only. */
function escapedText(text: string): string {
  return text.replace(/[&<>\r]/g, (char) => references[char] ?? char);
}

function escapedAttribute(value: string): string {
  return value.replace(/[&<"\t\n\r]/g, (char) => references[char] ?? char);
}
