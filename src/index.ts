/**
 * The library: CIDs and VSyncs as the DICT API defines them, hex in and hex out. Everything else of dict-vsync is a command.
 *
 * @example
 * import { cid, vsync } from 'dict-vsync';
 *
 * const one = cid(entry, { requestId: 'a946d533-7f22-42a5-9a9b-e87cd55c0f4d' });
 * vsync([one, ...others]);
 */

import { type CidAlgorithm, type CidEntry, cidFromHex, cidToHex, computeCid } from './cid/cid.ts';
import { vsyncFromHex, vsyncOf, vsyncToHex, xor } from './vsync/vsync.ts';

export type { CidAlgorithm, CidEntry } from './cid/cid.ts';

/** What a CID is made of besides the entry. */
export interface CidOptions {
  /**
   * UUID of the request that created the entry at this participant (createEntry, or completeClaim). An update of the entry keeps
   * it; without it no CID can be computed.
   */
  readonly requestId: string;
  /** `dict` (default) is the Central Bank's; `canonical-json-1.0` serves bases that were built on it, and never meets DICT. */
  readonly algorithm?: CidAlgorithm;
}

/**
 * The CID (content identifier) of an entry, as 64 lower-case hex digits.
 *
 * Under `dict`: HMAC-SHA256 of `keyType&key&taxIdNumber&name&tradeName&participant&branch&accountNumber&accountType`, in UTF-8,
 * null as empty, keyed by the 16 bytes of the RequestId (manual of the DICT, chapter 9). What is given is what is hashed:
 * nothing is validated, trimmed, re-cased or composed.
 *
 * @throws {TypeError} where the RequestId is not a UUID or the algorithm is unknown; under `canonical-json-1.0` also where the
 * key type or a date is none.
 */
export function cid(entry: CidEntry, options: CidOptions): string {
  return cidToHex(computeCid(entry, options.requestId, options.algorithm));
}

/**
 * The VSync (synchronism verifier) of a set of CIDs: their XOR, as 64 lower-case hex digits. Order does not matter; of no CIDs
 * it is 64 zeros. A CID that is given twice cancels itself out: give a set.
 *
 * @param cids 64 hex digits each, in upper or lower case.
 * @throws {TypeError} at the first that is not a CID.
 */
export function vsync(cids: Iterable<string>): string {
  return vsyncToHex(vsyncOf(bytesOf(cids)));
}

/**
 * A VSync after one CID was added to its set, or removed from it: XOR does not tell these apart. Keeps a VSync up to date
 * without the whole set.
 *
 * @throws {TypeError} where either is not 64 hex digits.
 */
export function toggleCid(vsyncBefore: string, changed: string): string {
  return vsyncToHex(xor(vsyncFromHex(vsyncBefore), cidFromHex(changed)));
}

function* bytesOf(cids: Iterable<string>) {
  for (const text of cids) yield cidFromHex(text);
}
