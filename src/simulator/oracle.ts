/**
 * The simulator's own CID and VSync, written from the DICT API's section "Cálculo de CID" and sharing no code with the product:
 * an oracle that shares the code shares the bug. CIDs and VSyncs are lower-case hex here.
 *
 * HMAC is spelled out over two plain digests because `createHmac` with a Buffer key makes a KeyObject each time (36,000 a second
 * against 280,000); a test holds it against `createHmac`.
 */

import { hash } from 'node:crypto';

export const EMPTY_VSYNC = '0'.repeat(64);

const BLOCK_BYTES = 64;

/** What a CID is made of; null is written as the empty string. */
export interface CidAttributes {
  readonly keyType: string;
  readonly key: string;
  readonly taxIdNumber: string;
  readonly name: string;
  readonly tradeName: string | null;
  readonly participant: string;
  readonly branch: string | null;
  readonly accountNumber: string;
  readonly accountType: string;
}

/** CID of the attributes under the RequestId (a UUID) that created the entry. */
export function cidOf(attributes: CidAttributes, requestId: string): string {
  const message = [
    attributes.keyType,
    attributes.key,
    attributes.taxIdNumber,
    attributes.name,
    attributes.tradeName ?? '',
    attributes.participant,
    attributes.branch ?? '',
    attributes.accountNumber,
    attributes.accountType,
  ].join('&');
  return hmacSha256(Buffer.from(requestId.replaceAll('-', ''), 'hex'), message);
}

function hmacSha256(key: Uint8Array, message: string): string {
  const inner = Buffer.alloc(BLOCK_BYTES + Buffer.byteLength(message), 0x36);
  const outer = Buffer.alloc(BLOCK_BYTES + 32, 0x5c);
  for (const [index, byte] of key.entries()) {
    inner[index] = byte ^ 0x36;
    outer[index] = byte ^ 0x5c;
  }
  inner.write(message, BLOCK_BYTES, 'utf8');
  outer.set(hash('sha256', inner, 'buffer'), BLOCK_BYTES);
  return hash('sha256', outer, 'hex');
}

/** A VSync that CIDs are mixed into; mixing the same CID in again takes it out. */
export interface VSyncAccumulator {
  mix(cid: string): void;
  hex(): string;
}

/** The VSync of the empty set, ready to be mixed into. */
export function vsyncAccumulator(): VSyncAccumulator {
  const state = Buffer.alloc(32);
  return {
    mix: (cid) => {
      const bytes = Buffer.from(cid, 'hex');
      for (let index = 0; index < 32; index += 4) state.writeInt32BE(state.readInt32BE(index) ^ bytes.readInt32BE(index), index);
    },
    hex: () => state.toString('hex'),
  };
}

/** XOR of two VSyncs or CIDs. */
export function xorHex(left: string, right: string): string {
  const mixed = vsyncAccumulator();
  mixed.mix(left);
  mixed.mix(right);
  return mixed.hex();
}
