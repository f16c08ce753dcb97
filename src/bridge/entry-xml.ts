/** Entries as DICT writes them, both ways. Texts that are hashed (key, name, account) cross unchanged, blanks included. */

import { ACCOUNT_TYPES, type Account, type Entry, type ExtendedEntry, OWNER_TYPES, type Owner } from '../dict/entry.ts';
import { KEY_TYPES } from '../dict/key-type.ts';
import { isParticipant } from '../dict/participant.ts';
import { element, type XmlSource } from '../platform/xml.ts';
import {
  type Fields,
  invalidAnswer,
  oneOf,
  section,
  time,
  timeOrNull,
  token,
  verbatim,
  verbatimOrNull,
} from './answer-fields.ts';

/** `BrazilianAccount`. */
export function writeAccount(account: Account): XmlSource {
  return element('Account', [
    element('Participant', account.participant),
    account.branch === null ? null : element('Branch', account.branch),
    element('AccountNumber', account.accountNumber),
    element('AccountType', account.accountType),
    element('OpeningDate', account.openingDate),
  ]);
}

/** `Person`, under the name it has in an entry. */
export function writeOwner(owner: Owner): XmlSource {
  return element('Owner', [
    element('Type', owner.type),
    element('TaxIdNumber', owner.taxIdNumber),
    element('Name', owner.name),
    owner.tradeName === null ? null : element('TradeName', owner.tradeName),
  ]);
}

/** `Entry`, as createEntry sends it: without its key where that is an EVP, which DICT makes up itself. */
export function writeEntry(entry: Entry): XmlSource {
  return element('Entry', [
    entry.keyType === 'EVP' ? null : element('Key', entry.key),
    element('KeyType', entry.keyType),
    writeAccount(entry.account),
    writeOwner(entry.owner),
  ]);
}

/** `ExtendedEntry`, as every answer with an entry has it. */
export function readEntry(answer: Fields): ExtendedEntry {
  return readListedEntry(section(answer, 'Entry'));
}

/** The same, of the entry's own element. */
export function readListedEntry(entry: Fields): ExtendedEntry {
  return {
    key: verbatim(entry, 'Key'),
    keyType: oneOf(entry, 'KeyType', KEY_TYPES),
    account: readAccount(section(entry, 'Account')),
    owner: readOwner(section(entry, 'Owner')),
    creationDate: time(entry, 'CreationDate').toISOString(),
    keyOwnershipDate: time(entry, 'KeyOwnershipDate').toISOString(),
    openClaimCreationDate: timeOrNull(entry, 'OpenClaimCreationDate')?.toISOString() ?? null,
  };
}

function readAccount(account: Fields): Account {
  const participant = token(account, 'Participant');
  if (!isParticipant(participant)) throw invalidAnswer(account, 'Participant', 'is not an ISPB (eight digits)');
  return {
    participant,
    branch: verbatimOrNull(account, 'Branch'),
    accountNumber: verbatim(account, 'AccountNumber'),
    accountType: oneOf(account, 'AccountType', ACCOUNT_TYPES),
    openingDate: time(account, 'OpeningDate').toISOString(),
  };
}

function readOwner(owner: Fields): Owner {
  return {
    type: oneOf(owner, 'Type', OWNER_TYPES),
    taxIdNumber: verbatim(owner, 'TaxIdNumber'),
    name: verbatim(owner, 'Name'),
    tradeName: verbatimOrNull(owner, 'TradeName'),
  };
}
