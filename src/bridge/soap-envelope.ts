/**
 * SOAP 1.1 around one document: the payload goes in and comes out of `Envelope/Body`, a `Fault` is told apart. Headers are neither
 * written nor read: nothing that is unsigned may matter.
 *
 * The payload is a document of its own, with its own signature as the first child of its own root; the envelope is put around it letter by
 * letter and taken off before the signature is verified (ADR 0033). A signature in the envelope itself would have to stand
 * before the Body, which SOAP 1.1 forbids.
 */

import { childOf, childrenOf, type XmlElement } from '../platform/xml.ts';

const NAMESPACE = 'http://schemas.xmlsoap.org/soap/envelope/';
const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';

/** The envelope around a whole document, whose declaration is moved to the front. */
export function envelopeAround(document: string): string {
  const payload = document.startsWith(DECLARATION) ? document.slice(DECLARATION.length) : document;
  return `${DECLARATION}<soap:Envelope xmlns:soap="${NAMESPACE}"><soap:Body>${payload}</soap:Body></soap:Envelope>`;
}

/** What an envelope holds. */
export type EnvelopeContent =
  | { readonly kind: 'payload'; readonly payload: XmlElement }
  /** `code`: the part of the faultcode that SOAP defines (`Client`, `Server`, …). `problem`: the problem document of its detail. */
  | { readonly kind: 'fault'; readonly code: string; readonly problem: XmlElement | null }
  | { readonly kind: 'refused'; readonly why: string };

/** Takes the envelope off. */
export function contentOf(root: XmlElement): EnvelopeContent {
  if (root.name !== 'Envelope' || root.namespace !== NAMESPACE) return refused('its root is not the Envelope of SOAP 1.1');
  const bodies = childrenOf(root, 'Body').filter(({ namespace }) => namespace === NAMESPACE);
  const [body] = bodies;
  if (body === undefined || bodies.length > 1) return refused('its envelope has not one Body');
  const [payload] = body.children;
  if (payload === undefined || body.children.length > 1) return refused('its Body does not hold one element');
  if (payload.name !== 'Fault' || payload.namespace !== NAMESPACE) return { kind: 'payload', payload };
  const code = childOf(payload, 'faultcode')?.text.trim() ?? '';
  const detail = childOf(payload, 'detail');
  const problem = detail === undefined ? undefined : childOf(detail, 'problem');
  return { kind: 'fault', code: code.slice(code.indexOf(':') + 1), problem: problem ?? null };
}

function refused(why: string): EnvelopeContent {
  return { kind: 'refused', why };
}
