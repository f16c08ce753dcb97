/**
 * Where a download stands, and how a server is asked for the rest: by Range, with If-Range where the server has said which version of the
 * file it gave. What is counted are bytes of the uncompressed file, so the rest is asked for uncompressed; the first request takes gzip.
 * A server that knows no ranges sends the whole again, whose known part is passed over.
 *
 * Mixing two versions can do no more harm than a lost transfer: the reader holds length and digest against what DICT announced.
 */

import { DictError } from '../dict/errors.ts';

type Headers = Readonly<Record<string, string>>;

/** Moved along by the download. */
export interface FilePosition {
  /** Bytes of the uncompressed file that were handed on. */
  bytes: number;
  /** A strong ETag or the time of the last change of the uncompressed file, where the server has told one. */
  validator: string | null;
}

/** What to ask with at this position. */
export function requestHeaders({ bytes, validator }: FilePosition): Headers {
  if (bytes === 0) return { 'accept-encoding': 'gzip' };
  const range = { 'accept-encoding': 'identity', range: `bytes=${bytes}-` };
  return validator === null ? range : { ...range, 'if-range': validator };
}

/**
 * How many bytes of this answer (200, or 206 to a Range) are known already; notes the validator. Throws `FileChanged` where the file is
 * another one than before, `InvalidAnswer` where it is not the part that was asked for.
 */
export function placeOf(operation: string, position: FilePosition, status: number, headers: Headers): number {
  const { bytes, validator } = position;
  const told = validatorOf(headers);
  if (bytes > 0 && validator !== null && told !== null && told !== validator) {
    throw new DictError('FileChanged', status, `${operation}: the file has changed since ${bytes} bytes of it were read`);
  }
  position.validator = told ?? validator;
  if (status !== 206) return bytes;
  const from = /^bytes ([0-9]{1,15})-[0-9]{1,15}\/(?:[0-9]{1,15}|\*)$/.exec(headers['content-range'] ?? '')?.[1];
  if (from === undefined || Number(from) !== bytes || isEncoded(headers)) {
    throw new DictError('InvalidAnswer', status, `${operation}: the answer is not the part from byte ${bytes} on`);
  }
  return 0;
}

/** A validator of the compressed form says nothing about parts of the uncompressed one; a weak one nothing about bytes. */
function validatorOf(headers: Headers): string | null {
  if (isEncoded(headers)) return null;
  const tag = headers['etag'];
  if (tag !== undefined) return /^"[^"]*"$/.test(tag) ? tag : null;
  return headers['last-modified'] ?? null;
}

function isEncoded(headers: Headers): boolean {
  return (headers['content-encoding'] ?? 'identity').trim().toLowerCase() !== 'identity';
}
