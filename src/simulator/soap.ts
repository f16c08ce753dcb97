/**
 * SOAP 1.1 at the simulator's side: the payload out of a request's envelope, and answers and refusals into one. The payload is what is
 * signed, as a document of its own. Written anew and not shared with the bridge, so that a fault of one shows at the other.
 */

import { childrenOf, type XmlElement } from '../platform/xml.ts';
import type { Answer } from './answer.ts';

const ENVELOPE = 'http://schemas.xmlsoap.org/soap/envelope/';

/** The one element inside Envelope and Body; null where there is not exactly that. */
export function payloadOf(root: XmlElement | null): XmlElement | null {
  if (root === null || root.name !== 'Envelope' || root.namespace !== ENVELOPE) return null;
  const [body, ...others] = childrenOf(root, 'Body');
  if (body === undefined || body.namespace !== ENVELOPE || others.length > 0) return null;
  return body.children.length === 1 ? (body.children[0] ?? null) : null;
}

/**
 * An answer that is signed already, in its envelope: a problem document as the detail of a Fault, which SOAP answers with HTTP 500. What a
 * fault of the simulator's has made of it and is neither goes out as it is.
 */
export function soapAnswer(answer: Answer): Answer {
  const { headers, body } = answer;
  const type = headers['Content-Type'] ?? '';
  if (typeof body !== 'string') return answer;
  if (/^application\/problem\+xml/.test(type))
    return { status: 500, headers: soapHeaders(headers), body: faultXml(answer, body) };
  if (/^application\/xml/.test(type)) return { ...answer, headers: soapHeaders(headers), body: envelope(undeclared(body)) };
  return answer;
}

function soapHeaders(headers: Answer['headers']): Answer['headers'] {
  return { ...headers, 'Content-Type': 'text/xml; charset=utf-8' };
}

function faultXml({ status }: Answer, problem: string): string {
  const code = status >= 500 ? 'Server' : 'Client';
  const text = status >= 500 ? 'The request could not be carried out' : 'The request was refused';
  const detail = `<detail>${undeclared(problem)}</detail>`;
  return envelope(`<soap:Fault><faultcode>soap:${code}</faultcode><faultstring>${text}</faultstring>${detail}</soap:Fault>`);
}

function envelope(content: string): string {
  const open = `<soap:Envelope xmlns:soap="${ENVELOPE}"><soap:Body>`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${open}${content}</soap:Body></soap:Envelope>`;
}

function undeclared(document: string): string {
  return document.replace(/^<\?xml[^?]*\?>\s*/, '');
}
