/**
 * The CID: 32 bytes that stand for the whole state of one entry. Bytes inside, lower-case hex at the edges. This file is the
 * type and the choice of algorithm; the algorithms are dict-cid.ts and canonical-json-cid.ts. Nothing here validates an entry:
 * what is given is what is hashed.
 */

import { canonicalJsonCid } from './canonical-json-cid.ts';
import type { CidEntry } from './cid-entry.ts';
import { dictCid } from './dict-cid.ts';

export type { CidEntry } from './cid-entry.ts';

declare const cidBrand: unique symbol;

/** Content identifier of one entry: exactly 32 bytes. */
export type Cid = Uint8Array & { readonly [cidBrand]: true };

/** Bytes of one CID. */
export const CID_BYTES = 32;

/** `dict`: the Central Bank's. `canonical-json-1.0`: for bases that were built on it; never verified against DICT (rule R18). */
export const CID_ALGORITHMS = ['dict', 'canonical-json-1.0'] as const;

export type CidAlgorithm = (typeof CID_ALGORITHMS)[number];

const hexForm = /^[0-9a-fA-F]{64}$/;

/** These 32 bytes as a CID, without copying. Throws `TypeError` for any other length. */
export function asCid(bytes: Uint8Array): Cid {
  if (bytes.length !== CID_BYTES) throw new TypeError(`a CID has ${CID_BYTES} bytes, not ${bytes.length}`);
  // The brand exists only in the type; the length just checked is all that it promises.
  return bytes as Cid;
}

/** Reads 64 hex digits, upper or lower case. Throws `TypeError` that says what was given. */
export function cidFromHex(text: string): Cid {
  if (!hexForm.test(text)) throw new TypeError(`"${shown(text)}" is not a CID (64 hex digits)`);
  return asCid(Buffer.from(text, 'hex'));
}

/** 64 lower-case hex digits. */
export function cidToHex(cid: Cid): string {
  return Buffer.from(cid.buffer, cid.byteOffset, CID_BYTES).toString('hex');
}

/**
 * The CID of an entry. `requestId` is the UUID of the request that created the entry at this participant (createEntry or
 * completeClaim); an update keeps it. Throws `TypeError` where the RequestId is not a UUID, and, under `canonical-json-1.0`,
 * where a date or the key type is not one.
 */
export function computeCid(entry: CidEntry, requestId: string, algorithm: CidAlgorithm = 'dict'): Cid {
  switch (algorithm) {
    case 'dict':
      return asCid(dictCid(entry, requestId));
    case 'canonical-json-1.0':
      return asCid(canonicalJsonCid(entry, requestId));
    default:
      return unknownAlgorithm(algorithm);
  }
}

/** CIDs one after the other, 32 bytes each: how many of them travel to and from the database in one parameter. */
export function packCids(cids: readonly Cid[]): Uint8Array {
  const packed = Buffer.allocUnsafe(cids.length * CID_BYTES);
  let offset = 0;
  for (const cid of cids) {
    packed.set(cid, offset);
    offset += CID_BYTES;
  }
  return packed;
}

/** The CIDs of a packed sequence, as views on it. Throws `TypeError` where its length is no multiple of 32. */
export function* unpackCids(packed: Uint8Array): Generator<Cid, void, undefined> {
  if (packed.length % CID_BYTES !== 0) throw new TypeError(`${packed.length} bytes are not a whole number of CIDs`);
  for (let offset = 0; offset < packed.length; offset += CID_BYTES) yield asCid(packed.subarray(offset, offset + CID_BYTES));
}

/** Reached only by callers without types: this function is part of the public library. */
function unknownAlgorithm(algorithm: never): never {
  throw new TypeError(`algorithm "${String(algorithm)}" is unknown (one of ${CID_ALGORITHMS.join(', ')})`);
}

function shown(text: string): string {
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}
