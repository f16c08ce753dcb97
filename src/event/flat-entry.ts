/** An entry written in the flat form of events and of `dict-vsync import`: the inverse of what entry-payload.ts reads. */

import type { Entry } from '../dict/entry.ts';

/** The fields of an entry; `requestId` null: an update, which does not repeat it. */
export function flatEntry(entry: Entry, requestId: string | null = null): Record<string, string | null> {
  const { account, owner } = entry;
  return {
    key: entry.key,
    key_type: entry.keyType,
    ispb: account.participant,
    branch: account.branch,
    account_number: account.accountNumber,
    account_type: account.accountType,
    account_opened_at: account.openingDate,
    owner_type: owner.type,
    owner_tax_id: owner.taxIdNumber,
    owner_name: owner.name,
    owner_trade_name: owner.tradeName,
    ...(requestId === null ? {} : { request_id: requestId }),
  };
}
