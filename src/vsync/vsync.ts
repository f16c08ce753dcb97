/**
 * The VSync: XOR of the CIDs of all active entries of one participant and one key type. Equal sets have equal VSyncs in
 * whatever order they came about; adding and removing are the same operation. Pure; the stored ones are vsync-store.ts.
 */

import type { Cid } from '../cid/cid.ts';
import { assert } from '../platform/assert.ts';

declare const vsyncBrand: unique symbol;

/** Verifier of one set of CIDs: exactly 32 bytes. */
export type VSync = Uint8Array & { readonly [vsyncBrand]: true };

const vsyncBytes = 32;
const hexForm = /^[0-9a-fA-F]{64}$/;

/** These 32 bytes as a VSync, without copying. Throws `TypeError` for any other length. */
export function asVSync(bytes: Uint8Array): VSync {
  if (bytes.length !== vsyncBytes) throw new TypeError(`a VSync has ${vsyncBytes} bytes, not ${bytes.length}`);
  // The brand exists only in the type; the length just checked is all that it promises.
  return bytes as VSync;
}

/** The VSync of no entries: 32 zero bytes. */
export function emptyVSync(): VSync {
  return asVSync(Buffer.alloc(vsyncBytes));
}

/** `a` XOR `b`, as new bytes: two VSyncs combined, or a CID added to or removed from one. */
export function xor(a: Uint8Array, b: Uint8Array): VSync {
  const result = Buffer.from(a);
  xorInto(result, b);
  return asVSync(result);
}

/** XORs `source` into `target` in place, for folding many. Both have 32 bytes. */
export function xorInto(target: Uint8Array, source: Uint8Array): void {
  assert(target.length === vsyncBytes && source.length === vsyncBytes, 'XOR takes 32 bytes and 32 bytes');
  for (let at = 0; at < vsyncBytes; at++) target[at] = (target[at] ?? 0) ^ (source[at] ?? 0);
}

/** The VSync of a set of CIDs. A CID that occurs twice cancels out: the caller sees to it that it is a set. */
export function vsyncOf(cids: Iterable<Cid>): VSync {
  const result = emptyVSync();
  for (const cid of cids) xorInto(result, cid);
  return result;
}

/** Reads 64 hex digits, upper or lower case. Throws `TypeError` that says what was given. */
export function vsyncFromHex(text: string): VSync {
  if (!hexForm.test(text)) throw new TypeError(`"${text.slice(0, 80)}" is not a VSync (64 hex digits)`);
  return asVSync(Buffer.from(text, 'hex'));
}

/** 64 lower-case hex digits. */
export function vsyncToHex(vsync: VSync): string {
  return Buffer.from(vsync.buffer, vsync.byteOffset, vsyncBytes).toString('hex');
}

/** Whether two VSyncs are the same 32 bytes. */
export function equalVSync(a: VSync, b: VSync): boolean {
  return Buffer.compare(a, b) === 0;
}
