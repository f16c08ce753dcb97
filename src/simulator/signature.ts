/**
 * Signatures of the simulated DICT: bodies are verified before an operation sees them, answers and errors are signed on their way
 * out. Shares the signature code with the product, which is held against xmlsec1 and the JDK elsewhere.
 */

import { type XmlElement, XmlInvalid } from '../platform/xml.ts';
import { SignatureRefused, verifiedXml } from '../platform/xml-signature-verification.ts';
import type { Answer } from './answer.ts';
import { falselySigned } from './false-signature.ts';
import type { SimulatorSettings } from './options.ts';
import { Problem } from './problem.ts';

type Settings = Pick<SimulatorSettings, 'signatures' | 'clock'>;

/** What of a body was signed. @throws Problem RequestSignatureInvalid */
export function signedDocument({ signatures, clock }: Settings, document: XmlElement): XmlElement {
  if (signatures === null) return document;
  try {
    return verifiedXml(document, signatures.trust, clock.now()).root;
  } catch (error) {
    if (error instanceof SignatureRefused) throw new Problem('RequestSignatureInvalid', error.message);
    throw error;
  }
}

/** The answer with its signature. What a fault has made of it and is no XML any more goes out as it is. */
export function signedAnswer({ signatures }: Settings, answer: Answer): Answer {
  if (signatures === null || typeof answer.body !== 'string' || !/xml/.test(answer.headers['Content-Type'] ?? '')) return answer;
  try {
    const fault = answer.marks?.signature;
    const body = fault === undefined ? signatures.sign(answer.body) : falselySigned(answer.body, fault, signatures.sign);
    return { ...answer, body };
  } catch (error) {
    if (error instanceof XmlInvalid) return answer;
    throw error;
  }
}
