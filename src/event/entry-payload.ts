/**
 * The entry in a payload, from either of its two forms: flat snake_case, or nested as DICT's own Entry (alone, or beside its
 * RequestId as in a CreateEntryRequest). The same rules hold for both: DICT's formats, checked and never rewritten. Fields that
 * nobody knows are passed over.
 */

import type { Entry, Owner } from '../dict/entry.ts';
import { ACCOUNT_TYPES, OWNER_TYPES } from '../dict/entry.ts';
import type { KeyType } from '../dict/key-type.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { participant } from '../dict/participant.ts';
import type { Field, TextRule } from './field.ts';
import { FieldProblem, oneOf, optionalInstant, optionalText, requiredIsoInstant, requiredText, shown } from './field.ts';
import type { EntryState } from './key-event.ts';
import { KEY_CHARACTERS_MAX, KEY_FORMATS, keyTypeOf } from './key-format.ts';

/** A payload's fields under the flat form's names, whichever form it has. */
export type Payload = (name: FlatName) => Field;

type Fields = Readonly<Record<string, unknown>>;

/** Flat name → where the nested form has it. RequestId and Participant may also stand beside the Entry. */
const nestedPaths = {
  key: ['Key'],
  key_type: ['KeyType'],
  ispb: ['Account', 'Participant'],
  branch: ['Account', 'Branch'],
  account_number: ['Account', 'AccountNumber'],
  account_type: ['Account', 'AccountType'],
  account_opened_at: ['Account', 'OpeningDate'],
  owner_type: ['Owner', 'Type'],
  owner_tax_id: ['Owner', 'TaxIdNumber'],
  owner_name: ['Owner', 'Name'],
  owner_trade_name: ['Owner', 'TradeName'],
  registered_at: ['CreationDate'],
  participant_registered_at: ['ParticipantCreationDate'],
  request_id: ['RequestId'],
  cid: ['Cid'],
} as const satisfies Record<string, readonly string[]>;

export type FlatName = keyof typeof nestedPaths;

/** Whether a value is an object with named fields. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nestedField(fields: Fields, path: readonly string[]): Field {
  let value: unknown = fields;
  for (const name of path) value = isFields(value) ? value[name] : undefined;
  return { label: path.join('.'), value };
}

/** The payload's fields; `prefix` stands before each name in messages. */
export function payloadOf(fields: Fields): Payload {
  const nested = 'Entry' in fields || 'Key' in fields || 'Account' in fields;
  if (!nested) return (name) => ({ label: name, value: fields[name] });
  const entry = isFields(fields['Entry']) ? fields['Entry'] : fields;
  return (name) => {
    const field = nestedField(entry, nestedPaths[name]);
    if (field.value !== undefined) return field;
    if (name === 'ispb') return { label: field.label, value: fields['Participant'] };
    return nestedField(fields, nestedPaths[name]).value === undefined ? field : nestedField(fields, nestedPaths[name]);
  };
}

const naturalName: TextRule = {
  pattern: /^[A-Za-zÀ-ÖØ-öø-ÿ' -]+$/,
  charactersMax: 150,
  description: 'a name of at most 150 letters, apostrophes, hyphens and spaces (composed accents, NFC)',
  personal: true,
};
const legalName: TextRule = {
  pattern: /^[\u0020-\u007E\u00A1-\u00FF]+$/,
  charactersMax: 150,
  description: 'a name of at most 150 printable Latin-1 characters (composed accents, NFC)',
  personal: true,
};
const tradeName: TextRule = {
  ...legalName,
  charactersMax: 100,
  description: 'a trade name of at most 100 printable Latin-1 characters (composed accents, NFC)',
};
const ispb: TextRule = { pattern: /^[0-9]{8}$/, description: 'an ISPB: a text of eight digits, such as "00038166"' };
const branch: TextRule = { pattern: /^[0-9]{1,4}$/, description: 'a text of 1 to 4 digits, without check digit', personal: true };
const accountNumber: TextRule = {
  pattern: /^[0-9]{1,20}$/,
  description: 'a text of 1 to 20 digits, check digit included',
  personal: true,
};
const cpf: TextRule = { pattern: /^[0-9]{11}$/, description: 'a CPF: a text of eleven digits', personal: true };
const cnpj: TextRule = { pattern: /^[0-9]{14}$/, description: 'a CNPJ: a text of fourteen digits', personal: true };
const requestId: TextRule = {
  pattern: /^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$/,
  description: 'a UUID with hyphens',
};
const anyKey: TextRule = {
  pattern: /^[^\p{Cc}\p{Cs}]+$/u,
  charactersMax: KEY_CHARACTERS_MAX,
  description: `a key: a text of 1 to ${KEY_CHARACTERS_MAX} characters`,
  personal: true,
};

/** Whose key it is. Throws `FieldProblem`. */
export function participantOf(payload: Payload): Participant {
  return participant(requiredText(payload('ispb'), ispb));
}

/** The key and its type, each checked against the other. `typeRequired`: an entry has to name its key's type. */
export function keyOf(payload: Payload, typeRequired: boolean): { readonly key: string; readonly keyType: KeyType } {
  const typeField = payload('key_type');
  const named = typeRequired || (typeField.value !== undefined && typeField.value !== null);
  const field = payload('key');
  const key = requiredText(field, anyKey);
  if (named) {
    const keyType = oneOf(typeField, KEY_TYPES);
    const format = KEY_FORMATS[keyType];
    if (format.pattern.test(key)) return { key, keyType };
    throw new FieldProblem(
      'invalid_field',
      `${field.label}: ${shown(key, true)} is not a key of type ${keyType}: ${format.description}`,
    );
  }
  const keyType = keyTypeOf(key);
  if (keyType !== null) return { key, keyType };
  throw new FieldProblem(
    'invalid_field',
    `${field.label}: ${shown(key, true)} has the format of none of ${KEY_TYPES.join(', ')}`,
  );
}

function ownerOf(payload: Payload): Owner {
  const type = oneOf(payload('owner_type'), OWNER_TYPES);
  if (type === 'LEGAL_PERSON') {
    return {
      type,
      taxIdNumber: requiredText(payload('owner_tax_id'), cnpj),
      name: requiredText(payload('owner_name'), legalName),
      tradeName: optionalText(payload('owner_trade_name'), tradeName),
    };
  }
  const trade = payload('owner_trade_name');
  if (optionalText(trade, tradeName) !== null) {
    throw new FieldProblem('invalid_field', `${trade.label}: given for a NATURAL_PERSON; only legal persons have a trade name`);
  }
  return {
    type,
    taxIdNumber: requiredText(payload('owner_tax_id'), cpf),
    name: requiredText(payload('owner_name'), naturalName),
    tradeName: null,
  };
}

function entryOfPayload(payload: Payload): Entry {
  return {
    ...keyOf(payload, true),
    account: {
      participant: participantOf(payload),
      branch: optionalText(payload('branch'), branch),
      accountNumber: requiredText(payload('account_number'), accountNumber),
      accountType: oneOf(payload('account_type'), ACCOUNT_TYPES),
      openingDate: requiredIsoInstant(payload('account_opened_at')),
    },
    owner: ownerOf(payload),
  };
}

/** The entry and its origin. Throws `FieldProblem`. */
export function entryStateOf(payload: Payload): EntryState {
  return {
    entry: entryOfPayload(payload),
    requestId: optionalText(payload('request_id'), requestId)?.toLowerCase() ?? null,
    registeredAt: optionalInstant(payload('registered_at')),
    participantRegisteredAt: optionalInstant(payload('participant_registered_at')),
  };
}
