/**
 * The kinds of Pix key that DICT keeps one VSync for each. New kinds may appear in DICT's answers; they are met as plain
 * strings at the edges and refused by name, never guessed.
 */

export const KEY_TYPES = ['CPF', 'CNPJ', 'PHONE', 'EMAIL', 'EVP'] as const;

/** `KeyType` of the DICT API. */
export type KeyType = (typeof KEY_TYPES)[number];

const known: ReadonlySet<string> = new Set(KEY_TYPES);

/** Whether a text names one of the key types that DICT API 2.6.1 knows. */
export function isKeyType(text: string): text is KeyType {
  return known.has(text);
}
