/**
 * What a key of each type looks like, from the key table of DICT API 2.6.1. The formats exclude each other, so a key tells its
 * own type. Check digits are not computed: DICT's own published entries (CPF 11122233300) fail them, and what DICT holds our
 * base has to be able to hold.
 */

import type { KeyType } from '../dict/key-type.ts';

export interface KeyFormat {
  readonly pattern: RegExp;
  /** What would be right, for a message. */
  readonly description: string;
}

export const KEY_CHARACTERS_MAX = 77;

const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';

export const KEY_FORMATS: Readonly<Record<KeyType, KeyFormat>> = {
  CPF: { pattern: /^[0-9]{11}$/, description: 'eleven digits' },
  CNPJ: { pattern: /^[0-9]{14}$/, description: 'fourteen digits' },
  PHONE: { pattern: /^\+[1-9][0-9]{1,14}$/, description: 'a plus sign and 2 to 15 digits, such as +5510998765432' },
  EMAIL: {
    pattern: new RegExp(`^(?=.{1,${KEY_CHARACTERS_MAX}}$)[a-z0-9.!#$'*+/=?^_\`{|}~-]+@${label}(?:\\.${label})*$`),
    description: `an e-mail address in lower case of at most ${KEY_CHARACTERS_MAX} characters`,
  },
  EVP: {
    pattern: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
    description: 'a UUID in lower case with hyphens',
  },
};

/** The type whose format a key has, or null where it has none of them. */
export function keyTypeOf(key: string): KeyType | null {
  if (key.startsWith('+')) return KEY_FORMATS.PHONE.pattern.test(key) ? 'PHONE' : null;
  if (key.includes('@')) return KEY_FORMATS.EMAIL.pattern.test(key) ? 'EMAIL' : null;
  if (KEY_FORMATS.CPF.pattern.test(key)) return 'CPF';
  if (KEY_FORMATS.CNPJ.pattern.test(key)) return 'CNPJ';
  return KEY_FORMATS.EVP.pattern.test(key) ? 'EVP' : null;
}
