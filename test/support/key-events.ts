/** Events of a core system as JSON, made of generated entries. */

import type { Entry } from '../../src/dict/entry.ts';
import type { KeyType } from '../../src/dict/key-type.ts';
import { participant } from '../../src/dict/participant.ts';
import { sampleEntries } from '../../src/dict/sample-entries.ts';
import type { ReceivedEvent } from '../../src/ingest/ingest-batch.ts';

/** The fields of an entry in the flat form. */
export function flatEntry(entry: Entry, requestId: string | null = null): Record<string, unknown> {
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

/** The entry with another account. */
export function withAccount(entry: Entry, accountNumber: string): Entry {
  return { ...entry, account: { ...entry.account, accountNumber } };
}

/** A generated entry and the RequestId of its creation. */
export function oneSample(keyType: KeyType, seed: number | string = 1, ispb = '00038166'): { entry: Entry; requestId: string } {
  const [sample] = sampleEntries({ seed, participant: participant(ispb), keyType, count: 1 });
  if (sample === undefined) throw new Error('no sample');
  return sample;
}

export interface EventText {
  readonly action: string;
  readonly event_id?: string;
  readonly occurred_at: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** Events as a source would hand them over. */
export function received(...events: readonly EventText[]): ReceivedEvent[] {
  return events.map((event, index) => ({ bytes: Buffer.from(JSON.stringify(event)), origin: `test line ${index + 1}` }));
}
