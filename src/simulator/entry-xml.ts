/** Entries, accounts and owners as DICT writes them, element by element in the order of the published examples. */

import { element, type XmlSource } from '../platform/xml.ts';
import { isoOf } from './call.ts';
import type { Attributes, EntryRecord } from './directory.ts';

/** `BrazilianAccount` of the contract. */
export function accountXml(name: string, entry: Attributes): XmlSource {
  return element(name, [
    element('Participant', entry.participant),
    entry.branch === null ? null : element('Branch', entry.branch),
    element('AccountNumber', entry.accountNumber),
    element('AccountType', entry.accountType),
    element('OpeningDate', entry.openingDate),
  ]);
}

/** `Person` of the contract. */
export function ownerXml(name: string, entry: Attributes): XmlSource {
  return element(name, [
    element('Type', entry.ownerType),
    element('TaxIdNumber', entry.taxIdNumber),
    element('Name', entry.name),
    entry.tradeName === null ? null : element('TradeName', entry.tradeName),
  ]);
}

/** `ExtendedEntry` of the contract. */
export function entryXml(entry: EntryRecord): XmlSource {
  return element('Entry', [
    element('Key', entry.key),
    element('KeyType', entry.keyType),
    accountXml('Account', entry),
    ownerXml('Owner', entry),
    element('CreationDate', isoOf(entry.createdMs)),
    element('KeyOwnershipDate', isoOf(entry.ownedSinceMs)),
    entry.openClaimMs === null ? null : element('OpenClaimCreationDate', isoOf(entry.openClaimMs)),
  ]);
}
