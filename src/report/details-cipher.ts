/**
 * The details of a report at rest: AES-256-GCM under versioned keys, so that a key can be replaced while older reports stay
 * readable. Layout: 12 bytes of nonce, 16 of tag, then the ciphertext; the report's id is bound as additional data, so that
 * details cannot be moved from one report to another.
 */

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';

const nonceBytes = 12;
const tagBytes = 16;
const keyBytes = 32;
const detailsBytesMax = 64 * 1024 * 1024;

/** Keys by version; the highest version seals. */
export type DetailsKeys = ReadonlyMap<number, Uint8Array>;

export interface SealedDetails {
  readonly keyVersion: number;
  readonly sealed: Buffer;
}

/** Details cannot be read: the key is missing, or they were altered. */
export class DetailsUnreadable extends Error {
  override readonly name = 'DetailsUnreadable';
}

/** Reads keys of the form `1:BASE64,2:BASE64`, each of 32 bytes. Throws a TypeError that says what is wrong, never the key. */
export function parseDetailsKeys(text: string): DetailsKeys {
  const keys = new Map<number, Uint8Array>();
  for (const part of text.split(',')) {
    const match = /^\s*([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})\s*$/.exec(part);
    const version = Number(match?.[1]);
    const key = Buffer.from(match?.[2] ?? '', 'base64');
    if (match === null || key.length !== keyBytes) {
      throw new TypeError('report keys: each must be VERSION:KEY, a whole number from 1 and 32 bytes in base64');
    }
    if (keys.has(version)) throw new TypeError(`report keys: version ${version} is given twice`);
    keys.set(version, key);
  }
  return keys;
}

/** Seals details under the newest key; null where there is no key. */
export function sealDetails(keys: DetailsKeys, reportId: string, details: unknown): SealedDetails | null {
  const keyVersion = Math.max(0, ...keys.keys());
  const key = keys.get(keyVersion);
  if (key === undefined) return null;
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(Buffer.from(reportId));
  const ciphertext = Buffer.concat([cipher.update(gzipSync(JSON.stringify(details))), cipher.final()]);
  return { keyVersion, sealed: Buffer.concat([nonce, cipher.getAuthTag(), ciphertext]) };
}

/** Opens sealed details. Throws `DetailsUnreadable`. */
export function openDetails(keys: DetailsKeys, reportId: string, { keyVersion, sealed }: SealedDetails): unknown {
  const key = keys.get(keyVersion);
  if (key === undefined)
    throw new DetailsUnreadable(`details of report ${reportId}: key version ${keyVersion} is not configured`);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes));
    decipher.setAAD(Buffer.from(reportId));
    decipher.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
    const packed = Buffer.concat([decipher.update(sealed.subarray(nonceBytes + tagBytes)), decipher.final()]);
    const opened: unknown = JSON.parse(gunzipSync(packed, { maxOutputLength: detailsBytesMax }).toString('utf8'));
    return opened;
  } catch (cause) {
    throw new DetailsUnreadable(`details of report ${reportId} were altered, or are of another key`, { cause });
  }
}
