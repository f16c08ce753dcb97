/**
 * What can be wrong with one answer, and the names under which each such thing is kept: the seeded plan and the sentinel values draw
 * from this catalogue, so that a fault that one of them found can be asked for by the other. Forms of CID set files are apart
 * (file-variant.ts), since a file is wrong for as long as it exists and not in one call.
 */

import type { Answer } from './answer.ts';
import type { Marks } from './answer-mark.ts';
import type { Operation } from './operation.ts';
import type { ErrorName } from './problem.ts';

/** What is to happen to one call: a wait, another answer or none, and what goes wrong with the answer on its way. */
export interface Fault extends Marks {
  /** Waited first, on the simulator's clock. */
  readonly delayMs?: number;
  /** Given instead of the operation's own answer. */
  readonly answer?: Answer;
  /** One of DICT's errors, given instead of the operation's own answer. */
  readonly error?: ErrorName;
  /** `Retry-After` of that answer or error; null leaves it out. Default: what DICT does. */
  readonly retryAfter?: string | null;
  /** Closes the connection without an answer. */
  readonly breakConnection?: boolean;
}

/** A fault under its name. */
export interface CatalogueEntry {
  readonly name: string;
  /** Its number among sentinel values: three digits. */
  readonly code: string;
  readonly fault: Fault;
  /** Whether the operation's effect is there although the caller sees the fault. Default `before`: it is not. */
  readonly when?: 'before' | 'after';
  /** Where it makes sense. Default: every operation of the API, not the download. */
  readonly operations?: readonly Operation[];
  /** Whether it makes sense for the download of a file as well. */
  readonly files?: boolean;
}

function html(status: number, title: string): Answer {
  const body = `<html><head><title>${status} ${title}</title></head><body><h1>${title}</h1></body></html>`;
  return { status, headers: { 'Content-Type': 'text/html; charset=utf-8' }, body };
}

/** Every fault of one call that has a name. Codes of HTTP statuses are those statuses; the rest are grouped by their first digits. */
export const FAULT_CATALOGUE: readonly CatalogueEntry[] = [
  { code: '001', name: 'latency', fault: { delayMs: 5_000 }, files: true },
  { code: '002', name: 'closed-before', fault: { breakConnection: true }, files: true },
  { code: '003', name: 'closed-after', fault: { breakConnection: true }, when: 'after', files: true },
  { code: '004', name: 'stall', fault: { transfer: { kind: 'stall' } }, files: true },
  { code: '005', name: 'reset', fault: { transfer: { kind: 'reset' } }, files: true },
  { code: '006', name: 'dribble', fault: { transfer: { kind: 'dribble' } } },
  { code: '007', name: 'length-too-long', fault: { transfer: { kind: 'wrong-length', byBytes: 64 } }, files: true },
  { code: '008', name: 'length-too-short', fault: { transfer: { kind: 'wrong-length', byBytes: -64 } }, files: true },
  { code: '010', name: 'unsigned', fault: { signature: 'unsigned' } },
  { code: '011', name: 'altered', fault: { signature: 'altered' } },
  { code: '012', name: 'unknown-certificate', fault: { signature: 'unknown-certificate' } },
  { code: '013', name: 'other-signer', fault: { signature: 'other-signer' } },
  { code: '014', name: 'other-body', fault: { signature: 'other-body' } },
  { code: '020', name: 'unknown-fields', fault: { distortion: 'unknown-fields' } },
  {
    code: '021',
    name: 'unknown-values',
    fault: { distortion: 'unknown-values' },
    operations: ['createSyncVerification', 'createCidSetFile', 'getCidSetFile', 'listCidSetEvents', 'getEntryByCid', 'getEntry'],
  },
  { code: '022', name: 'wrong-attributes', fault: { distortion: 'wrong-attributes' }, operations: ['getEntryByCid'] },
  { code: '400', name: 'bad-request', fault: { error: 'BadRequest' } },
  { code: '403', name: 'forbidden', fault: { error: 'Forbidden' } },
  { code: '404', name: 'proxy-not-found', fault: { answer: html(404, 'Not Found') }, files: true },
  { code: '429', name: 'rate-limited', fault: { error: 'RateLimited' } },
  { code: '500', name: 'internal-error', fault: { error: 'InternalServerError' }, files: true },
  { code: '502', name: 'bad-gateway', fault: { answer: html(502, 'Bad Gateway') }, files: true },
  { code: '503', name: 'unavailable', fault: { error: 'ServiceUnavailable' }, files: true },
  { code: '504', name: 'unavailable-for-years', fault: { error: 'ServiceUnavailable', retryAfter: '999999999' } },
  { code: '505', name: 'unavailable-silently', fault: { error: 'ServiceUnavailable', retryAfter: null } },
  { code: '506', name: 'prefixed-problem', fault: { error: 'InternalServerError', distortion: 'prefixed-problem' } },
];

/** Whether an entry of the catalogue makes sense for an operation. */
export function fits(entry: CatalogueEntry, operation: Operation): boolean {
  if (operation === 'downloadCidSetFile') return entry.files === true;
  return entry.operations?.includes(operation) ?? true;
}
