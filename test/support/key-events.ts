/** Events of a core system as JSON, made of generated entries. */

import type { Entry } from '../../src/dict/entry.ts';
import type { KeyType } from '../../src/dict/key-type.ts';
import { participant } from '../../src/dict/participant.ts';
import { sampleEntries } from '../../src/dict/sample-entries.ts';
import type { ReceivedEvent } from '../../src/ingest/event-batch.ts';

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
