/**
 * CIDs of algorithm `dict` of many entries at once: four HMACs at a time in the lanes of a SIMD register (wasm/hmac-lanes.ts), measured
 * at 473,000 entries a second against 244,000 one after the other by dict-cid.ts, which is the specification and takes over where
 * there is no WebAssembly and where a message is unusually long.
 */

import { loadKernel } from '../platform/wasm.ts';
import { CID_BYTES } from './cid.ts';
import type { CidEntry } from './cid-entry.ts';
import { dictAttributes, hmacSha256 } from './dict-cid.ts';
import { requestIdDigits } from './request-id.ts';

/** Bytes of a RequestId, the key of the HMAC. */
const requestIdBytes = 16;

/**
 * Messages (attributes joined by `&`) that wait to be hashed. Either `add` entries, or write a message's bytes at `messageAt` of
 * `bytes` (at most `messageBytesMax`) and its RequestId at `requestIdAt`, then `commit` its length. One batch is used again and again.
 */
export interface CidBatch {
  /** Messages in it. */
  readonly size: number;
  /** No room for another: `compute` first. */
  readonly isFull: boolean;
  readonly bytes: Uint8Array;
  readonly messageAt: number;
  readonly requestIdAt: number;
  readonly messageBytesMax: number;
  commit(messageBytes: number): void;
  /** Throws `TypeError` where the RequestId is not a UUID. */
  add(entry: CidEntry, requestId: string): void;
  /** The CIDs in the order in which they came, 32 bytes each, and an empty batch. Valid until the next `compute`. */
  compute(): Uint8Array;
}

/** The computing inside: a memory with places for messages, keys and digests. */
export interface HmacLanes {
  readonly bytes: Uint8Array;
  readonly messagesMax: number;
  readonly messageBytesMax: number;
  readonly messagesAt: number;
  readonly messagesBytes: number;
  readonly keysAt: number;
  readonly digestsAt: number;
  /** Position of each message from `messagesAt`, and its length. */
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  hmac(count: number): void;
}

const blockBytes = 64;
/** A set bit and the length stand behind every message. */
const paddingBytesMin = 9;

/** The lanes of WebAssembly; null where there is none. */
export function wasmLanes(): HmacLanes | null {
  const kernel = loadKernel('hmac-lanes');
  if (kernel === null) return null;
  const at = (name: string): number => kernel.number(name)();
  const messagesMax = at('messagesMax');
  return {
    bytes: new Uint8Array(kernel.memory),
    messagesMax,
    messageBytesMax: at('messageBytesMax'),
    messagesAt: at('messagesAt'),
    messagesBytes: at('messagesBytes'),
    keysAt: at('keysAt'),
    digestsAt: at('digestsAt'),
    offsets: new Uint32Array(kernel.memory, at('offsetsAt'), messagesMax),
    lengths: new Uint32Array(kernel.memory, at('lengthsAt'), messagesMax),
    hmac: kernel.call('hmac'),
  };
}

/** The same in plain TypeScript, one message after the other. */
export function plainLanes(): HmacLanes {
  const messagesMax = 256;
  const messageBytesMax = 4_096;
  const keysAt = 0;
  const digestsAt = messagesMax * requestIdBytes;
  const messagesAt = digestsAt + messagesMax * CID_BYTES;
  const messagesBytes = 131_072;
  const bytes = Buffer.alloc(messagesAt + messagesBytes);
  const offsets = new Uint32Array(messagesMax);
  const lengths = new Uint32Array(messagesMax);
  return {
    ...{ bytes, messagesMax, messageBytesMax, messagesAt, messagesBytes, keysAt, digestsAt, offsets, lengths },
    hmac(count) {
      for (let message = 0; message < count; message++) {
        const key = bytes.subarray(keysAt + message * requestIdBytes, keysAt + (message + 1) * requestIdBytes);
        const start = messagesAt + (offsets[message] ?? 0);
        bytes.set(hmacSha256(key, bytes.subarray(start, start + (lengths[message] ?? 0))), digestsAt + message * CID_BYTES);
      }
    },
  };
}

/** A new, empty batch. */
export function cidBatch(lanes: HmacLanes = wasmLanes() ?? plainLanes()): CidBatch {
  const bytes = Buffer.from(lanes.bytes.buffer, lanes.bytes.byteOffset, lanes.bytes.byteLength);
  /** CIDs of messages too long for the lanes, by their place. */
  const long = new Map<number, Uint8Array>();
  let size = 0;
  let used = 0;

  const batch = {
    bytes,
    messageBytesMax: lanes.messageBytesMax,
    get size() {
      return size;
    },
    get isFull() {
      const longest = lanes.messageBytesMax + paddingBytesMin + blockBytes;
      return size === lanes.messagesMax || used + longest > lanes.messagesBytes;
    },
    get messageAt() {
      return lanes.messagesAt + used;
    },
    get requestIdAt() {
      return lanes.keysAt + size * requestIdBytes;
    },
    commit(messageBytes: number) {
      if (batch.isFull) throw new RangeError('the batch is full: compute it first');
      if (messageBytes > lanes.messageBytesMax)
        throw new RangeError(`a message of ${messageBytes} bytes is too long for the lanes`);
      lanes.offsets[size] = used;
      lanes.lengths[size] = messageBytes;
      used += Math.ceil((messageBytes + paddingBytesMin) / blockBytes) * blockBytes;
      size += 1;
    },
    add(entry: CidEntry, requestId: string) {
      bytes.write(requestIdDigits(requestId), batch.requestIdAt, requestIdBytes, 'hex');
      const message = dictAttributes(entry);
      if (message.length * 3 <= lanes.messageBytesMax) return batch.commit(bytes.write(message, batch.messageAt, 'utf8'));
      const key = bytes.subarray(batch.requestIdAt, batch.requestIdAt + requestIdBytes);
      long.set(size, hmacSha256(key, Buffer.from(message)));
      batch.commit(0);
    },
    compute() {
      lanes.hmac(size);
      for (const [place, cid] of long) bytes.set(cid, lanes.digestsAt + place * CID_BYTES);
      const cids = bytes.subarray(lanes.digestsAt, lanes.digestsAt + size * CID_BYTES);
      long.clear();
      size = 0;
      used = 0;
      return cids;
    },
  };
  return batch;
}
