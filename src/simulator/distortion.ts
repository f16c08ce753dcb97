/**
 * Answers whose content is unusual or wrong: what an API that goes on evolving may send, and what it must never be believed. Done
 * before the answer is signed, so that it is DICT's word.
 */

import { element, parseXml, writeXml, type XmlElement, type XmlSource } from '../platform/xml.ts';
import type { Answer } from './answer.ts';
import type { Distortion } from './answer-mark.ts';

/** The answer with its mark of distortion carried out. What is no XML stays as it is. */
export function distorted(answer: Answer): Answer {
  const distortion = answer.marks?.distortion;
  if (distortion === undefined || typeof answer.body !== 'string' || !/xml/.test(answer.headers['Content-Type'] ?? ''))
    return answer;
  return { ...answer, body: writeXml(distortions[distortion](parseXml(answer.body))) };
}

const distortions: Readonly<Record<Distortion, (root: XmlElement) => XmlSource>> = {
  'unknown-fields': (root) => withUnknownFields(root, 0),
  'unknown-values': (root) => replaced(root, unknownValue),
  'wrong-attributes': (root) =>
    root.name === 'GetEntryByCidResponse' ? replaced(root, ({ name, text }) => (name === 'Name' ? `${text} Outra` : null)) : root,
  'prefixed-problem': (root) => (root.name === 'problem' ? prefixed(root) : root),
};

const UNKNOWN_NAMESPACE = 'urn:example:dict:2030';

/** An unknown attribute on each section and unknown elements before and after what it holds, one of them in a namespace of its own. */
function withUnknownFields(source: XmlElement, depth: number): XmlSource {
  if (source.children.length === 0) return source;
  const inner = element('NovoCampo', [element('Valor', 'x'), element('Id', '0')]);
  const foreign = { ...element('Extra', 'y', { 'xmlns:nv': UNKNOWN_NAMESPACE }), prefix: 'nv' };
  // An unknown section may hold names that are known elsewhere: they are not to be taken for those.
  const children = source.children.map((child) => withUnknownFields(child, depth + 1));
  return { ...source, attributes: { ...source.attributes, versao: '2.99' }, children: [inner, ...children, foreign] };
}

const UNKNOWN_VALUES: Readonly<Record<string, string>> = {
  Status: 'ARCHIVED',
  Result: 'MAYBE',
  Type: 'TOUCHED',
  AccountType: 'CRPT',
};

function unknownValue({ name, children }: XmlElement): string | null {
  return children.length === 0 ? (UNKNOWN_VALUES[name] ?? null) : null;
}

function replaced(source: XmlElement, textOf: (element: XmlElement) => string | null): XmlSource {
  const text = textOf(source);
  if (text !== null) return { ...source, text };
  return { ...source, children: source.children.map((child) => replaced(child, textOf)) };
}

function prefixed(source: XmlElement): XmlSource {
  const { xmlns, ...attributes } = source.attributes;
  return {
    ...source,
    prefix: 'err',
    attributes: xmlns === undefined ? attributes : { ...attributes, 'xmlns:err': xmlns },
    children: source.children.map(prefixed),
  };
}
