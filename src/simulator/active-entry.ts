/** Entries between the simulator's flat records and the contract's nested form. */

import type { Entry } from '../dict/entry.ts';
import { participant } from '../dict/participant.ts';
import { isoOf } from './call.ts';
import type { ActiveEntry, Scoped } from './control.ts';
import type { Attributes, DirectoryScope, EntryRecord } from './directory.ts';

/** The attributes of an entry, flat. */
export function attributesOf(entry: Entry): Attributes {
  const { account, owner } = entry;
  return {
    key: entry.key,
    keyType: entry.keyType,
    participant: account.participant,
    branch: account.branch,
    accountNumber: account.accountNumber,
    accountType: account.accountType,
    openingDate: account.openingDate,
    ownerType: owner.type,
    taxIdNumber: owner.taxIdNumber,
    name: owner.name,
    tradeName: owner.tradeName,
  };
}

/** A record as the control interface shows it. */
export function activeEntry(record: EntryRecord): ActiveEntry {
  return {
    cid: record.cid,
    requestId: record.requestId,
    entry: {
      key: record.key,
      keyType: record.keyType,
      account: {
        participant: participant(record.participant),
        branch: record.branch,
        accountNumber: record.accountNumber,
        accountType: record.accountType,
        openingDate: record.openingDate,
      },
      owner: { type: record.ownerType, taxIdNumber: record.taxIdNumber, name: record.name, tradeName: record.tradeName },
      creationDate: isoOf(record.createdMs),
      keyOwnershipDate: isoOf(record.ownedSinceMs),
      openClaimCreationDate: record.openClaimMs === null ? null : isoOf(record.openClaimMs),
    },
  };
}

/** The active entries of all scopes that fit the filter. */
export function* activeEntries(scopes: Iterable<DirectoryScope>, filter: Partial<Scoped>): Generator<ActiveEntry> {
  for (const scope of scopes) {
    if (filter.participant !== undefined && filter.participant !== scope.participant) continue;
    if (filter.keyType !== undefined && filter.keyType !== scope.keyType) continue;
    for (const entry of scope.byCid.values()) yield activeEntry(entry);
  }
}
