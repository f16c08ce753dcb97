/**
 * How personal data and CIDs may be shown: enough for a person to recognise what they look for, too little to identify
 * somebody. Everything but the repair itself goes through here (LGPD).
 */

import { createHash } from 'node:crypto';

const hidden = '*';

function keep(text: string, first: number, last: number): string {
  if (text.length <= first + last) return hidden.repeat(text.length);
  return text.slice(0, first) + hidden.repeat(text.length - first - last) + text.slice(text.length - last);
}

function maskEmail(key: string): string {
  const at = key.lastIndexOf('@');
  if (at < 1) return keep(key, 1, 0);
  const dot = key.lastIndexOf('.');
  const ending = dot > at ? key.slice(dot) : '';
  return `${key.slice(0, 1)}***@***${ending}`;
}

/**
 * A key as it may be shown or logged. The key's type decides what is kept: the middle of a CPF or CNPJ, the country and last
 * four digits of a phone, the first letter and ending of an e-mail, the first eight digits of an EVP.
 */
export function maskKey(key: string, keyType: string): string {
  switch (keyType) {
    case 'CPF':
      return key.length === 11 ? `***${key.slice(3, 9)}**` : keep(key, 0, 0);
    case 'CNPJ':
      return key.length === 14 ? `**${key.slice(2, 8)}****${key.slice(12)}` : keep(key, 0, 0);
    case 'PHONE':
      return keep(key, 3, 4);
    case 'EMAIL':
      return maskEmail(key);
    case 'EVP':
      return keep(key, 8, 0);
    default:
      return keep(key, 1, 1);
  }
}

/** A CID as it may be recorded: the first 16 hex digits of its SHA-256, stable and not reversible to the CID. */
export function cidFingerprint(cid: Uint8Array): string {
  return createHash('sha256').update(cid).digest('hex').slice(0, 16);
}
