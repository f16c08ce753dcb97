/**
 * Names of certificate owners and issuers (RDNSequence of X.501): from DER to the text that XMLDSig carries (RFC 2253, as Java's
 * `X500Principal.getName()` writes it), and from either to one form in which two spellings of a name are equal.
 *
 * Attributes beyond the nine of RFC 2253 (an e-mail address, a serial number) are written as `1.2.3=#hex`, so that nobody's
 * keywords have to be known; on reading, the usual keywords are understood.
 */

import { DER_TAGS, DerInvalid, type DerValue, derOidText, derValues } from './der.ts';

/** RFC 2253, section 2.3. */
const keywords: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['2.5.4.6', 'C'],
  ['2.5.4.9', 'STREET'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
]);

/** What other programs write instead of numbers, in lower case. */
const oids: ReadonlyMap<string, string> = new Map([
  ...[...keywords].map(([oid, keyword]): [string, string] => [keyword.toLowerCase(), oid]),
  ['s', '2.5.4.8'],
  ['e', '1.2.840.113549.1.9.1'],
  ['email', '1.2.840.113549.1.9.1'],
  ['emailaddress', '1.2.840.113549.1.9.1'],
  ['serialnumber', '2.5.4.5'],
  ['sn', '2.5.4.4'],
  ['surname', '2.5.4.4'],
  ['gn', '2.5.4.42'],
  ['givenname', '2.5.4.42'],
  ['t', '2.5.4.12'],
  ['title', '2.5.4.12'],
  ['postalcode', '2.5.4.17'],
  ['businesscategory', '2.5.4.15'],
  ['organizationidentifier', '2.5.4.97'],
]);

interface Attribute {
  readonly oid: string;
  /** Null where the value is no text. */
  readonly text: string | null;
  readonly tag: number;
  readonly raw: Uint8Array;
}

function attributesOf(name: DerValue): readonly (readonly Attribute[])[] {
  return derValues(name.contents).map((set) =>
    derValues(set.contents).map((pair) => {
      const [type, value] = derValues(pair.contents);
      if (type === undefined || value === undefined) throw new DerInvalid('DER: an attribute of a name is not a pair');
      return { oid: derOidText(type), text: textOf(value), tag: value.tag, raw: value.raw };
    }),
  );
}

function textOf({ tag, contents }: DerValue): string | null {
  const bytes = Buffer.from(contents);
  switch (tag) {
    case DER_TAGS.utf8String:
      return bytes.toString('utf8');
    case DER_TAGS.printableString:
    case DER_TAGS.ia5String:
    case DER_TAGS.t61String:
    case DER_TAGS.numericString:
    case DER_TAGS.visibleString:
    case DER_TAGS.generalString:
      return bytes.toString('latin1');
    case DER_TAGS.bmpString:
      return bytes.length % 2 === 0 ? bytes.swap16().toString('utf16le') : null;
    default:
      return null;
  }
}

/** Types whose value is written as text; the rest as `#hex`, as Java does. */
const plainTags: ReadonlySet<number> = new Set([
  DER_TAGS.printableString,
  DER_TAGS.t61String,
  DER_TAGS.ia5String,
  DER_TAGS.generalString,
  DER_TAGS.bmpString,
  DER_TAGS.utf8String,
]);

/**
 * A name as RFC 2253 writes it: last part first.
 *
 * @throws DerInvalid when the value is no name.
 */
export function nameText(name: DerValue): string {
  const parts = attributesOf(name).map((attributes) => attributes.map(attributeText).join('+'));
  return parts.reverse().join(',');
}

function attributeText({ oid, text, tag, raw }: Attribute): string {
  const keyword = keywords.get(oid);
  if (keyword === undefined || text === null || !plainTags.has(tag)) {
    return `${keyword ?? oid}=#${Buffer.from(raw).toString('hex')}`;
  }
  const escaped = text
    .replace(/[\\,+"<>;=]/g, '\\$&')
    .replaceAll('\u0000', '\\00')
    .replace(/^[ #]/, '\\$&');
  return `${keyword}=${text.length > 1 ? escaped.replace(/ $/, '\\ ') : escaped}`;
}

/** One form for all spellings of a name: equal where case, blanks, string types and keywords alone differ. */
export function nameKey(name: DerValue): string {
  return keyOf(attributesOf(name).toReversed());
}

/** Type, value (as hex, in quotes, or with escapes), and the sign behind it. No two parts can match the same blanks at length. */
const ATTRIBUTE =
  /^([A-Za-z][A-Za-z0-9-]*|(?:OID\.)?[0-9]+(?:\.[0-9]+)+)\s*=(\s*(?:#(?:[0-9A-F]{2})+|"(?:[^"\\]|\\.)*")\s*|(?:[^,;+\\]|\\.)*)(?:([,;+])\s*|$)/isu;

/** The same form of a name given as text (RFC 2253 or 4514, blanks around its signs allowed); null when it cannot be read. */
export function nameTextKey(text: string): string | null {
  const parts: Attribute[][] = [[]];
  let rest = text.trimStart();
  // Ends with the text: each turn takes one attribute off its front.
  for (;;) {
    const taken = ATTRIBUTE.exec(rest);
    const [all, type = '', value = '', sign] = taken ?? [];
    // Blanks before `#` or a quote are spaces: behind a tab, which nobody escapes, a `#` is the value's own.
    const attribute = all === undefined ? null : attributeOf(type, /^ *[#"]/.test(value) ? value.trim() : value);
    if (all === undefined || attribute === null) return null;
    parts.at(-1)?.push(attribute);
    rest = rest.slice(all.length);
    if (sign === undefined) return keyOf(parts);
    if (sign !== '+') parts.push([]);
  }
}

function attributeOf(type: string, value: string): Attribute | null {
  const oid = /^[0-9]/.test(type) ? type : (oids.get(type.toLowerCase()) ?? (/^oid\./i.test(type) ? type.slice(4) : null));
  if (oid === null) return null;
  if (!value.startsWith('#')) return { oid, text: unescaped(value), tag: DER_TAGS.utf8String, raw: new Uint8Array() };
  try {
    const [inner, ...more] = derValues(Buffer.from(value.slice(1), 'hex'));
    return inner === undefined || more.length > 0 ? null : { oid, text: textOf(inner), tag: inner.tag, raw: inner.raw };
  } catch (error) {
    if (error instanceof DerInvalid) return null;
    throw error;
  }
}

/** `\,` is a comma, `\C3\A7` are bytes of UTF-8. */
function unescaped(value: string): string {
  const inner = value.startsWith('"') ? value.slice(1, -1) : value;
  return inner.replace(/((?:\\[0-9A-Fa-f]{2})+)|\\(.)/gsu, (_all, pairs: string | undefined, char: string) =>
    pairs === undefined ? char : Buffer.from(pairs.replaceAll('\\', ''), 'hex').toString('utf8'),
  );
}

function keyOf(parts: readonly (readonly Attribute[])[]): string {
  const folded = parts.map((attributes) =>
    attributes.map(({ oid, text, raw }) => [oid, text === null ? { hex: Buffer.from(raw).toString('hex') } : foldedText(text)]),
  );
  return JSON.stringify(folded.map((attributes) => attributes.map((attribute) => JSON.stringify(attribute)).sort()));
}

function foldedText(text: string): string {
  return text.normalize('NFC').toLowerCase().replace(/\s+/gu, ' ').trim();
}
