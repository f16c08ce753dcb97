/**
 * A file encrypted at rest: AES-256-GCM in segments, so that it is written and read as a stream in bounded memory and no byte is handed
 * out before it is proven. Each segment says which file it belongs to, its number, and whether it is the last one; all of that is
 * authenticated, so that what was altered, cut off, moved or brought from another file is refused by name.
 *
 * Nonces are random, one a segment: a segment that was written half and is written again, perhaps with other bytes, never meets the
 * same nonce twice. A key may seal 2^32 segments; here it is made for one purpose and seals some thousands. Where keys come from and
 * who removes the file is the caller's.
 *
 * Layout: header (8 bytes of name, 4 of segment size, 8 of the file's own random id, 16 that commit to key and context); then segments
 * (8 bytes id, 4 number, 4 length of the content, 1 last or not, 12 nonce, the ciphertext, 16 tag).
 */

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';

/** What a file is sealed with. */
export interface Seal {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** What the content is, such as its announced digest: sealed for one, a file does not open as another. */
  readonly context: Uint8Array;
}

/**
 * `foreign`: of another file or context, or under another key. `altered`: does not prove to be what was written. `moved`: not in its
 * place. `truncated`: the end is missing. `overlong`: something follows the end.
 */
export type SealedFileFault = 'foreign' | 'altered' | 'moved' | 'truncated' | 'overlong';

/** The file is not, or no longer, what was sealed. */
export class SealedFileRefused extends Error {
  override readonly name = 'SealedFileRefused';
  readonly fault: SealedFileFault;

  constructor(fault: SealedFileFault, detail: string) {
    super(`${fault}: ${detail}`);
    this.fault = fault;
  }
}

export interface SealedFileWriter {
  /** Keeps back what is less than a segment: only `finish` knows which one is the last. */
  append(bytes: Uint8Array): Promise<void>;
  /** Writes the last segment. A file without one is never read as whole. */
  finish(): Promise<void>;
  /** Closes the file, whether it was finished or not. */
  close(): Promise<void>;
}

const magic = Buffer.from('dvseal\x00\x01', 'latin1');
const idBytes = 8;
const commitmentBytes = 16;
const headerBytes = magic.length + 4 + idBytes + commitmentBytes;
const nonceBytes = 12;
const tagBytes = 16;
const placeBytes = idBytes + 4 + 4 + 1;
const overheadBytes = placeBytes + nonceBytes + tagBytes;
/** Large enough that the cost of a call disappears, small enough to stay in the processor's cache. */
const usualSegmentBytes = 262_144;
const segmentBytesMax = 16 * 1_048_576;

/** Makes the file, for its owner alone. Rejects where there is one of that name. */
export async function createSealedFile(path: string, seal: Seal, segmentBytes = usualSegmentBytes): Promise<SealedFileWriter> {
  const handle = await open(path, 'wx', 0o600);
  const id = randomBytes(idBytes);
  const header = headerOf(seal, segmentBytes, id);
  const by = imported(seal);
  const pending = Buffer.alloc(segmentBytes);
  const record = Buffer.alloc(overheadBytes + segmentBytes);
  let filled = 0;
  let number = 0;
  const write = async (isLast: boolean): Promise<void> => {
    const place = placeOf({ id, number, contentBytes: filled, isLast });
    await handle.writeFile(sealInto(record, by, header, place, pending.subarray(0, filled)));
    number += 1;
    filled = 0;
  };
  await handle.writeFile(header);
  return {
    async append(bytes) {
      for (let at = 0; at < bytes.length; ) {
        if (filled === segmentBytes) await write(false);
        const part = bytes.subarray(at, at + segmentBytes - filled);
        pending.set(part, filled);
        filled += part.length;
        at += part.length;
      }
    },
    finish: () => write(true),
    close: () => handle.close(),
  };
}

/** The segments of a whole file, in whatever order: each thread of several opens it for itself. */
export interface SealedSegments {
  /** How many there are by the file's size, which proves nothing: all of them read without a refusal do. */
  readonly count: number;
  /** Content of each but the last one, which may have less. */
  readonly contentBytes: number;
  /** The content of that one, proven; it is valid until the next one. Throws `SealedFileRefused`. */
  read(number: number): Buffer;
  close(): void;
}

/** Opens it for segments one by one; `ENOENT` where there is no file. Throws `SealedFileRefused` where it has no header or no segment. */
export function openSealedSegments(path: string, seal: Seal): SealedSegments {
  const file = openSealed(path, seal);
  const count = Math.ceil((file.sizeBytes - headerBytes) / file.record.length);
  if (count < 1) {
    closeSync(file.descriptor);
    throw new SealedFileRefused('truncated', 'ends behind its header');
  }
  let content: Buffer | null = null;
  return {
    count,
    contentBytes: file.segmentBytes,
    read(number) {
      if (content !== null) release(content);
      content = null;
      const segment = segmentAt(file, number);
      if (segment.isLast) refuseOverlong(file, segment);
      else if (number >= count - 1)
        throw new SealedFileRefused('truncated', `ends behind segment ${number}, which is not the last one`);
      content = segment.content;
      return content;
    },
    close: () => closeSync(file.descriptor),
  };
}

/**
 * The content, segment by segment, each proven before it is handed out; it is valid until the next one. Throws
 * `SealedFileRefused` at the first segment that is not right; `ENOENT` where there is no file.
 */
export function* readSealedFile(path: string, seal: Seal): Generator<Buffer, void, undefined> {
  const file = openSealed(path, seal);
  try {
    // Ends with the last segment, or at the file's end.
    for (let number = 0; ; number++) {
      const segment = segmentAt(file, number);
      yield segment.content;
      release(segment.content);
      if (!segment.isLast) continue;
      refuseOverlong(file, segment);
      return;
    }
  } finally {
    closeSync(file.descriptor);
  }
}

/** A file whose header proved right. */
interface OpenedFile extends Header {
  readonly descriptor: number;
  readonly by: ImportedSeal;
  /** Room for one segment and what belongs to it. */
  readonly record: Buffer;
}

function openSealed(path: string, seal: Seal): OpenedFile {
  const descriptor = openSync(path, 'r');
  try {
    const header = readHeader(descriptor, seal);
    return { ...header, descriptor, by: imported(seal), record: Buffer.alloc(overheadBytes + header.segmentBytes) };
  } catch (cause) {
    closeSync(descriptor);
    throw cause;
  }
}

interface Segment {
  readonly content: Buffer;
  readonly isLast: boolean;
  /** Where it ends in the file. */
  readonly end: number;
}

/** All but the last segment are full, which tells where each one stands. */
function segmentAt({ descriptor, by, header, id, sizeBytes, record }: OpenedFile, number: number): Segment {
  const at = headerBytes + number * record.length;
  const bytes = readFully(descriptor, record, Math.min(record.length, sizeBytes - at), at);
  if (bytes < overheadBytes) throw new SealedFileRefused('truncated', `ends before or within segment ${number}`);
  const place = readPlace(record);
  if (!place.id.equals(id)) throw new SealedFileRefused('foreign', `segment ${number} is of another file`);
  if (place.number !== number) {
    throw new SealedFileRefused('moved', `segment ${place.number} stands where segment ${number} belongs`);
  }
  const length = overheadBytes + place.contentBytes;
  if (length > record.length) throw new SealedFileRefused('altered', `segment ${number} states another length`);
  if (bytes < length) throw new SealedFileRefused('truncated', `ends within segment ${number}`);
  return { content: opened(by, header, number, record.subarray(0, length)), isLast: place.isLast, end: at + length };
}

function refuseOverlong({ sizeBytes }: OpenedFile, { end }: Segment): void {
  if (end < sizeBytes) throw new SealedFileRefused('overlong', `${sizeBytes - end} bytes follow the last segment`);
}

/** What an interrupted writer has left: the content up to the first segment that is not whole and proven. Nothing where there is no file. */
export function* readSealedBeginning(path: string, seal: Seal): Generator<Buffer, void, undefined> {
  try {
    yield* readSealedFile(path, seal);
  } catch (cause) {
    const isAbsent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    if (!(cause instanceof SealedFileRefused) && !isAbsent) throw cause;
  }
}

/**
 * Gives the memory of a segment back at once. Left to the garbage collector, which sees small objects only, up to 60 MiB of them lay
 * about on each thread.
 */
function release({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

function headerOf(seal: Seal, segmentBytes: number, id: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes);
  magic.copy(header);
  header.writeUInt32BE(segmentBytes, magic.length);
  id.copy(header, magic.length + 4);
  commitmentTo(seal, header).copy(header, headerBytes - commitmentBytes);
  return header;
}

/** Proves key and context before anything is opened: GCM by itself can be made to open under two keys. */
function commitmentTo({ key, context }: Seal, header: Buffer): Buffer {
  const hmac = createHmac('sha256', key).update(header.subarray(0, headerBytes - commitmentBytes));
  return hmac.update(context).digest().subarray(0, commitmentBytes);
}

interface Header {
  readonly header: Buffer;
  readonly id: Buffer;
  readonly segmentBytes: number;
  readonly sizeBytes: number;
}

function readHeader(file: number, seal: Seal): Header {
  const header = Buffer.alloc(headerBytes);
  if (readFully(file, header, headerBytes, 0) < headerBytes) throw new SealedFileRefused('truncated', 'ends within its header');
  if (!header.subarray(0, magic.length).equals(magic)) throw new SealedFileRefused('foreign', 'is no sealed file');
  if (!timingSafeEqual(header.subarray(headerBytes - commitmentBytes), commitmentTo(seal, header))) {
    throw new SealedFileRefused('foreign', 'is of another content, or under another key');
  }
  const segmentBytes = header.readUInt32BE(magic.length);
  if (segmentBytes < 1 || segmentBytes > segmentBytesMax) throw new SealedFileRefused('foreign', 'has segments of another size');
  const id = header.subarray(magic.length + 4, magic.length + 4 + idBytes);
  return { header, id, segmentBytes, sizeBytes: fstatSync(file).size };
}

interface Place {
  readonly id: Buffer;
  readonly number: number;
  readonly contentBytes: number;
  readonly isLast: boolean;
}

function placeOf({ id, number, contentBytes, isLast }: Place): Buffer {
  const place = Buffer.alloc(placeBytes);
  id.copy(place);
  place.writeUInt32BE(number, idBytes);
  place.writeUInt32BE(contentBytes, idBytes + 4);
  place.writeUInt8(isLast ? 1 : 0, idBytes + 8);
  return place;
}

function readPlace(record: Buffer): Place {
  return {
    id: record.subarray(0, idBytes),
    number: record.readUInt32BE(idBytes),
    contentBytes: record.readUInt32BE(idBytes + 4),
    isLast: record.readUInt8(idBytes + 8) === 1,
  };
}

/** A seal whose key Node need not look at anew for each segment, which took it as long as opening half of one. */
interface ImportedSeal {
  readonly key: KeyObject;
  readonly context: Uint8Array;
}

function imported({ key, context }: Seal): ImportedSeal {
  return { key: createSecretKey(key), context };
}

/** Seals into that record, and answers what of it is to be written. */
function sealInto(record: Buffer, { key, context }: ImportedSeal, header: Buffer, place: Buffer, content: Buffer): Buffer {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.concat([header, place, context]));
  const ciphertext = cipher.update(content);
  cipher.final();
  let at = 0;
  for (const part of [place, nonce, ciphertext, cipher.getAuthTag()]) {
    record.set(part, at);
    at += part.length;
  }
  release(ciphertext);
  return record.subarray(0, at);
}

function opened({ key, context }: ImportedSeal, header: Buffer, number: number, record: Buffer): Buffer {
  const place = record.subarray(0, placeBytes);
  const decipher = createDecipheriv('aes-256-gcm', key, record.subarray(placeBytes, placeBytes + nonceBytes));
  decipher.setAAD(Buffer.concat([header, place, context]));
  decipher.setAuthTag(record.subarray(record.length - tagBytes));
  const content = decipher.update(record.subarray(placeBytes + nonceBytes, record.length - tagBytes));
  try {
    decipher.final();
  } catch (cause) {
    throw Object.assign(new SealedFileRefused('altered', `segment ${number} is not what was written`), { cause });
  }
  return content;
}

/** Reads until that many bytes are there or the file ends; answers how many there were. */
function readFully(file: number, into: Buffer, bytes: number, from: number): number {
  let at = 0;
  for (let read = -1; at < bytes && read !== 0; at += read) read = readSync(file, into, at, bytes - at, from + at);
  return at;
}
