/**
 * Random documents for the canonicalisation: well-formed, in every spelling that XML has for the same thing. Namespaces are
 * declared, redeclared and undeclared; names, attribute order and texts are chosen for what has gone wrong in other programs
 * (U+0085 and U+2028 as line ends, characters beyond 16 bits in names, carriage returns, CDATA).
 */

/** A seeded source of numbers from 0 up to but not 1 (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const prefixes = ['', '', 'a', 'b', 'ds', 'é', '\u{10000}', '\uF900'] as const;
// None with an ampersand: libxml2 writes those unescaped, against the recommendation and into text that is no XML.
const uris = ['urn:x', 'urn:y', 'urn:z?a=%C3%A7', 'http://www.w3.org/2000/09/xmldsig#', 'urn:X', 'urn:x:y'] as const;
const locals = ['A', 'B', 'Name', 'x', 'y.z', '_w-1', 'João', '\u{10000}n', '\uF900n', 'xmln', 'Id'] as const;
const blanks = ['', '', ' ', '\n', '\t', '\r\n', '\r', ' \n\t '] as const;
const texts = [
  'a',
  'João da Silva',
  'ção',
  '&amp;',
  '&lt;',
  '&gt;',
  '>',
  '&quot;',
  '"',
  "'",
  '&apos;',
  '\r',
  '\r\n',
  '\n',
  '&#13;',
  '&#xD;',
  '&#10;',
  '&#xA;',
  '\t',
  '&#9;',
  '\u0085',
  '\u2028',
  '&#x2028;',
  '&#133;',
  '\u{1F600}',
  '&#x1F600;',
  '\uFEFF',
  '\u00A0',
  '\uFFFD',
  '&#60;',
  '&#38;#38;',
  '<![CDATA[<&>"\r\n]]>',
  '<![CDATA[]]>',
  '<![CDATA[]]]]>&gt;',
  '<!-- a < b & c -->',
  '<!---->',
  ' ',
  '  ',
  ']]&gt;',
  '%',
  '\u007F',
] as const;

interface Source {
  readonly random: () => number;
  /** What is left of the document's elements. */
  elements: number;
}

/** One document, with a declaration and comments around the root in some. */
export function randomXml(random: () => number): string {
  const source = { random, elements: 1 + Math.floor(random() * 12) };
  const head = random() < 0.3 ? `<?xml version="1.0" encoding="UTF-8"?>${pick(random, blanks)}<!-- before -->` : '';
  const foot = random() < 0.2 ? '\n<!-- after -->\n' : '';
  return `${head}${elementXml(source, new Map(), 0)}${foot}`;
}

function pick<T>(random: () => number, values: readonly T[]): T {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new RangeError('there is nothing to pick from');
  return value;
}

function elementXml(source: Source, outer: ReadonlyMap<string, string>, depth: number): string {
  const { random } = source;
  source.elements -= 1;
  const declared = new Map(outer);
  const attributes = declarationsXml(random, declared);
  const usable = [...declared.keys()].filter((prefix) => prefix !== '');
  const prefix = random() < 0.5 && usable.length > 0 ? pick(random, usable) : '';
  attributes.push(...attributesXml(random, declared, usable));
  const name = `${prefix === '' ? '' : `${prefix}:`}${pick(random, locals)}`;
  // In any order, so that ours has to put them right.
  attributes.sort(() => random() - 0.5);
  const tag = `<${name}${attributes.map((attribute) => `${pick(random, [' ', '\n', '\t ', ' \r\n'])}${attribute}`).join('')}${pick(random, blanks)}`;
  if (random() < 0.15) return `${tag}/>`;
  return `${tag}>${contentXml(source, declared, depth)}</${name}${pick(random, blanks)}>`;
}

function declarationsXml(random: () => number, declared: Map<string, string>): string[] {
  const attributes: string[] = [];
  for (const prefix of new Set([pick(random, prefixes), pick(random, prefixes), pick(random, prefixes)])) {
    if (random() < 0.5) continue;
    const uri = prefix === '' && random() < 0.3 ? '' : pick(random, uris);
    declared.set(prefix, uri);
    attributes.push(`xmlns${prefix === '' ? '' : `:${prefix}`}="${uri}"`);
  }
  return attributes;
}

function attributesXml(random: () => number, declared: ReadonlyMap<string, string>, usable: readonly string[]): string[] {
  const byExpandedName = new Map<string, string>();
  for (let count = Math.floor(random() * 4); count > 0; count -= 1) {
    const local = pick(random, locals);
    const prefix = random() < 0.4 && usable.length > 0 ? pick(random, usable) : '';
    const quote = pick(random, ['"', "'"]);
    const value = texts.filter((text) => random() < 0.1 && !text.startsWith('<') && !text.includes(quote)).join('');
    byExpandedName.set(
      `${local} ${prefix === '' ? '' : declared.get(prefix)}`,
      `${prefix === '' ? '' : `${prefix}:`}${local}${pick(random, ['=', ' = '])}${quote}${value}${quote}`,
    );
  }
  const attributes = [...byExpandedName.values()];
  if (random() < 0.1) attributes.push('xml:lang="pt-BR"');
  if (random() < 0.05) attributes.push('xml:space="preserve"');
  return attributes;
}

function contentXml(source: Source, declared: ReadonlyMap<string, string>, depth: number): string {
  const { random } = source;
  let content = '';
  for (let count = Math.floor(random() * 6); count > 0; count -= 1) {
    if (source.elements > 0 && depth < 8 && random() < 0.55) content += elementXml(source, declared, depth + 1);
    else content += random() < 0.3 ? pick(random, blanks) : pick(random, texts);
  }
  return content;
}
