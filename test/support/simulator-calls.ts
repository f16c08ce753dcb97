/**
 * Talks to a simulator in plain HTTP and reads its XML element by element, so that its tests do not go through the product's own
 * DICT client.
 */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { participant } from '../../src/dict/participant.ts';
import { sampleEntries } from '../../src/dict/sample-entries.ts';
import { childOf, parseXml, type XmlElement } from '../../src/platform/xml.ts';
import type { CreatedEntry } from '../../src/simulator/control.ts';
import type { SimulatorOptions } from '../../src/simulator/options.ts';
import { type Simulator, startSimulator } from '../../src/simulator/simulator.ts';

export const PSP = participant('00038166');
export const OTHER = participant('12345678');
const START_MS = Date.parse('2026-01-10T10:00:00.000Z');

/** A clock that stands still until it is told to move. */
export function handClock() {
  let nowMs = START_MS;
  return {
    now: () => new Date(nowMs),
    sleep: async (ms: number) => {
      nowMs += ms;
    },
    move: (ms: number) => {
      nowMs += ms;
    },
  };
}

export async function started(t: TestContext, options: SimulatorOptions = {}) {
  const clock = handClock();
  const simulator = await startSimulator({ clock, ...options });
  t.after(() => simulator.close());
  return { simulator, clock, state: simulator.state, dict: dictOf(simulator) };
}

interface Reply {
  readonly status: number;
  readonly root: XmlElement;
  readonly headers: Headers;
  text(...names: readonly string[]): string | undefined;
}

function dictOf(simulator: Simulator) {
  async function send(method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Reply> {
    const response = await fetch(new URL(path, simulator.apiUrl), {
      method,
      headers: {
        'PI-RequestingParticipant': PSP,
        ...(body === undefined ? {} : { 'Content-Type': 'application/xml; charset=UTF-8' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body }),
    });
    const root = parseXml(await response.text());
    return {
      status: response.status,
      root,
      headers: response.headers,
      text: (...names) => {
        let found: XmlElement | undefined = root;
        for (const name of names) found = found === undefined ? undefined : childOf(found, name);
        return found?.text;
      },
    };
  }
  return {
    get: (path: string, headers?: Record<string, string>) => send('GET', path, undefined, headers),
    post: (path: string, body: string, headers?: Record<string, string>) => send('POST', path, body, headers),
    put: (path: string, body: string) => send('PUT', path, body),
    verify: (verifier: string, keyType = 'PHONE') =>
      send(
        'POST',
        'sync-verifications/',
        `<CreateSyncVerificationRequest><SyncVerification><Participant>${PSP}</Participant><KeyType>${keyType}</KeyType>` +
          `<ParticipantSyncVerifier>${verifier}</ParticipantSyncVerifier></SyncVerification></CreateSyncVerificationRequest>`,
      ),
    events: (query = '') => send('GET', `cids/events?Participant=${PSP}&KeyType=PHONE${query}`),
    requestFile: () =>
      send(
        'POST',
        'cids/files/',
        `<CreateCidSetFileRequest><Participant>${PSP}</Participant><KeyType>PHONE</KeyType></CreateCidSetFileRequest>`,
      ),
  };
}

export function phones(count: number, first = 0): CreatedEntry[] {
  return [...sampleEntries({ seed: 7, participant: PSP, keyType: 'PHONE', count, first })];
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

function entryXml({ entry }: CreatedEntry, withKey = true): string {
  const { account, owner } = entry;
  return (
    `<Entry>${withKey ? `<Key>${entry.key}</Key>` : ''}<KeyType>${entry.keyType}</KeyType>` +
    `<Account><Participant>${account.participant}</Participant>${account.branch === null ? '' : `<Branch>${account.branch}</Branch>`}` +
    `<AccountNumber>${account.accountNumber}</AccountNumber><AccountType>${account.accountType}</AccountType>` +
    `<OpeningDate>${account.openingDate}</OpeningDate></Account>` +
    `<Owner><Type>${owner.type}</Type><TaxIdNumber>${owner.taxIdNumber}</TaxIdNumber><Name>${escaped(owner.name)}</Name>` +
    `${owner.tradeName === null ? '' : `<TradeName>${escaped(owner.tradeName)}</TradeName>`}</Owner></Entry>`
  );
}

export function createXml(created: CreatedEntry, withKey = true): string {
  return (
    `<CreateEntryRequest>${entryXml(created, withKey)}<Reason>USER_REQUESTED</Reason>` +
    `<RequestId>${created.requestId}</RequestId></CreateEntryRequest>`
  );
}

export function updateXml({ entry }: CreatedEntry, reason = 'USER_REQUESTED'): string {
  const xml = entryXml({ entry, requestId: '' });
  const fields = xml.slice(xml.indexOf('<Account>'), xml.indexOf('</Entry>'));
  return `<UpdateEntryRequest><Key>${entry.key}</Key>${fields}<Reason>${reason}</Reason></UpdateEntryRequest>`;
}

export function deleteXml(key: string, ispb: string = PSP): string {
  return (
    `<DeleteEntryRequest><Key>${key}</Key><Participant>${ispb}</Participant>` +
    '<Reason>USER_REQUESTED</Reason></DeleteEntryRequest>'
  );
}

export function errorOf(reply: Reply): string | undefined {
  return reply.text('type')?.split('/').at(-1);
}

export function only<Item>(items: readonly Item[]): Item {
  const [item] = items;
  assert.equal(items.length, 1);
  assert.ok(item !== undefined);
  return item;
}

export const SCOPE = { participant: PSP, keyType: 'PHONE' } as const;
