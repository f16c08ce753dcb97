/**
 * What the bridge signs with, whom it trusts, and which answers have to be signed. The order matters: a signature is verified before
 * any field is read, and what is read afterwards is only what was signed.
 */

import { DictError } from '../dict/errors.ts';
import type { CertificateStore } from '../platform/certificate.ts';
import type { XmlElement } from '../platform/xml.ts';
import type { XmlSigner } from '../platform/xml-signature.ts';
import { SignatureRefused, verifiedXml } from '../platform/xml-signature-verification.ts';

/** `if-present`: an answer without a signature passes; one with a signature that does not hold never does. */
export type SignatureDemand = 'required' | 'if-present';

export interface Signatures {
  /** Signs what is sent; null: bodies go out unsigned. */
  readonly sign: XmlSigner | null;
  /** DICT's certificates; null: signatures of answers are passed over. */
  readonly trust: CertificateStore | null;
  readonly answers: SignatureDemand;
  /** The same for problem documents. */
  readonly errors: SignatureDemand;
}

/** Neither signs nor verifies: a simulator without certificates. */
export const NO_SIGNATURES: Signatures = { sign: null, trust: null, answers: 'required', errors: 'required' };

/** What of an answer may be read. */
export interface AnswerPlace {
  readonly operation: string;
  readonly status: number;
  readonly now: Date;
}

/**
 * The answer's root, of which only what was signed is left.
 *
 * @throws DictError of kind AnswerSignatureInvalid when it has to be signed and is not, or not by DICT, or was changed.
 */
export function signedRoot(signatures: Signatures, root: XmlElement, { operation, status, now }: AnswerPlace): XmlElement {
  if (signatures.trust === null) return root;
  const demand = status === 200 || status === 201 ? signatures.answers : signatures.errors;
  try {
    return verifiedXml(root, signatures.trust, now).root;
  } catch (cause) {
    if (!(cause instanceof SignatureRefused)) throw cause;
    if (cause.fault === 'unsigned' && demand === 'if-present') return root;
    throw new DictError('AnswerSignatureInvalid', status, `${operation}: the answer cannot be trusted (${cause.message})`, {
      cause,
    });
  }
}
