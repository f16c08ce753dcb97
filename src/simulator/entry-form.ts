/**
 * Reading an entry, an account or an owner out of a request, with DICT's own demands on each field. All that is wrong is told at
 * once, as `violations`. Check digits are left out: the contract demands only the number of digits.
 */

import { ACCOUNT_TYPES, type AccountType, OWNER_TYPES, type OwnerType } from '../dict/entry.ts';
import { isKeyType, KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import type { XmlElement } from '../platform/xml.ts';
import { textAt } from './call.ts';
import type { Attributes } from './directory.ts';
import { Problem, type ProblemViolation } from './problem.ts';

const KEY_FORMS: Readonly<Record<KeyType, RegExp>> = {
  CPF: /^[0-9]{11}$/,
  CNPJ: /^[0-9]{14}$/,
  PHONE: /^\+[1-9]\d{1,14}$/,
  EMAIL:
    /^(?=.{1,77}$)[a-z0-9.!#$'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/,
  EVP: /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
};
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;
const NATURAL_NAME = /^[A-Za-zÀ-ÖØ-öø-ÿ' -]{1,150}$/;
const LEGAL_NAME = /^[\u0020-\u007E\u00A1-\u00FF]{1,150}$/;
const TRADE_NAME = /^[\u0020-\u007E\u00A1-\u00FF]{1,100}$/;

export type AccountFields = Pick<Attributes, 'participant' | 'branch' | 'accountNumber' | 'accountType' | 'openingDate'>;
export type OwnerFields = Pick<Attributes, 'ownerType' | 'taxIdNumber' | 'name' | 'tradeName'>;

/** Collects what is wrong while fields are read. */
interface Complaints {
  readonly list: ProblemViolation[];
}

function complain(complaints: Complaints, property: string, value: string | null, reason: string): void {
  complaints.list.push({ reason, property, ...(value === null ? {} : { value }) });
}

function field(complaints: Complaints, property: string, value: string | null, form: RegExp): string {
  if (value === null) complain(complaints, property, value, 'Value is required');
  else if (!form.test(value)) complain(complaints, property, value, `Value does not match regex '${form.source}'`);
  return value ?? '';
}

function optional(complaints: Complaints, property: string, value: string | null, form: RegExp): string | null {
  return value === null ? null : field(complaints, property, value, form);
}

function oneOf<Value extends string>(
  complaints: Complaints,
  property: string,
  value: string | null,
  allowed: readonly [Value, ...Value[]],
): Value {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) complain(complaints, property, value, `Value is none of ${allowed.join(', ')}`);
  return found ?? allowed[0];
}

function account(complaints: Complaints, source: XmlElement | null, property: string): AccountFields {
  const accountType: AccountType = oneOf(complaints, `${property}.accountType`, textAt(source, 'AccountType'), ACCOUNT_TYPES);
  return {
    participant: field(complaints, `${property}.participant`, textAt(source, 'Participant'), /^[0-9]{8}$/),
    branch: optional(complaints, `${property}.branch`, textAt(source, 'Branch'), /^[0-9]{1,4}$/),
    accountNumber: field(complaints, `${property}.accountNumber`, textAt(source, 'AccountNumber'), /^[0-9]{1,20}$/),
    accountType,
    openingDate: field(complaints, `${property}.openingDate`, textAt(source, 'OpeningDate'), DATE_TIME),
  };
}

function owner(complaints: Complaints, source: XmlElement | null, property: string): OwnerFields {
  const ownerType: OwnerType = oneOf(complaints, `${property}.type`, textAt(source, 'Type'), OWNER_TYPES);
  const natural = ownerType === 'NATURAL_PERSON';
  const tradeName = optional(complaints, `${property}.tradeName`, textAt(source, 'TradeName'), TRADE_NAME);
  if (natural && tradeName !== null) complain(complaints, `${property}.tradeName`, tradeName, 'Only legal persons have one');
  return {
    ownerType,
    taxIdNumber: field(
      complaints,
      `${property}.taxIdNumber`,
      textAt(source, 'TaxIdNumber'),
      natural ? KEY_FORMS.CPF : KEY_FORMS.CNPJ,
    ),
    name: field(complaints, `${property}.name`, textAt(source, 'Name'), natural ? NATURAL_NAME : LEGAL_NAME),
    tradeName,
  };
}

function refuse(complaints: Complaints): void {
  if (complaints.list.length > 0) throw new Problem('EntryInvalid', 'Entry has invalid fields', complaints.list);
}

/** The account of an update request. */
export function accountOf(source: XmlElement): AccountFields {
  const complaints: Complaints = { list: [] };
  const read = account(complaints, source, 'account');
  refuse(complaints);
  return read;
}

/** The owner of an update request. */
export function ownerOf(source: XmlElement): OwnerFields {
  const complaints: Complaints = { list: [] };
  const read = owner(complaints, source, 'owner');
  refuse(complaints);
  return read;
}

/** The entry of a create request; `key` is null for an EVP, which DICT generates. */
export function entryOf(source: XmlElement): Omit<Attributes, 'key'> & { readonly key: string | null } {
  const complaints: Complaints = { list: [] };
  const type = textAt(source, 'KeyType');
  const keyType: KeyType = type !== null && isKeyType(type) ? type : oneOf(complaints, 'entry.keyType', type, KEY_TYPES);
  const given = textAt(source, 'Key');
  const generated = keyType === 'EVP';
  if (generated && given !== null) complain(complaints, 'entry.key', given, 'An EVP is generated by DICT: leave Key out');
  const key = generated ? null : field(complaints, 'entry.key', given, KEY_FORMS[keyType]);
  const read = {
    key,
    keyType,
    ...account(complaints, child(source, 'Account'), 'entry.account'),
    ...owner(complaints, child(source, 'Owner'), 'entry.owner'),
  };
  refuse(complaints);
  return read;
}

function child(source: XmlElement, name: string): XmlElement | null {
  return source.children.find((candidate) => candidate.name === name) ?? null;
}
