/**
 * DICT's side of the large base, in this process: it answers what the base itself holds, but for what a test changes. It knows
 * entries only where a test gave them; of all others their CIDs.
 */

import { createHash } from 'node:crypto';
import { cidFromHex, cidToHex, computeCid } from '../../src/cid/cid.ts';
import type { CidSetEvent, CidSetFile, DictApi, EntryByCid, Stamp } from '../../src/dict/api.ts';
import type { SampleEntry } from '../../src/dict/sample-entries.ts';
import type { Clock } from '../../src/platform/clock.ts';
import { asVSync, emptyVSync, type VSync, vsyncToHex, xorInto } from '../../src/vsync/vsync.ts';
import { LARGE, LARGE_SCOPE, largeCid } from './large-tables.ts';

export type LargeDict = ReturnType<typeof largeDict>;

/** DICT at the moment when both sides are equal: the numbered CIDs of the large scope. */
export function largeDict(clock: Clock) {
  const vsync = emptyVSync();
  for (let n = 1; n <= LARGE.events; n++) xorInto(vsync, cidFromHex(largeCid(n)));
  const added = new Map<string, SampleEntry>();
  const removed = new Set<string>();
  const events: (CidSetEvent & { readonly vsync: string })[] = [];
  let files = 0;

  const stamp = (): Stamp => ({ responseTime: clock.now(), correlationId: 'test' });
  function change(type: CidSetEvent['type'], cid: string, log: boolean): void {
    xorInto(vsync, cidFromHex(cid));
    if (log) events.push({ type, cid, timestamp: clock.now(), vsync: vsyncToHex(asVSync(vsync)) });
  }
  const api: DictApi = {
    createSyncVerification: async ({ keyType, participantSyncVerifier }) => {
      const isEqual = keyType === LARGE_SCOPE.keyType && participantSyncVerifier === vsyncToHex(vsync);
      return { ...stamp(), id: '1', result: isEqual ? 'OK' : 'NOK' };
    },
    createCidSetFile: async () => {
      files += 1;
      return fileState(stamp(), String(files), null);
    },
    getCidSetFile: async ({ id }) => fileState(stamp(), id, described(cids())),
    downloadCidSetFile: () => linesOf(cids()),
    listCidSetEvents: async ({ startTime, limit }) => {
      const from = events.filter((event) => startTime === undefined || event.timestamp >= startTime);
      const page = from.slice(0, limit ?? 200);
      return {
        ...stamp(),
        hasMoreElements: from.length > page.length,
        syncVerifierStart: page[0]?.vsync ?? null,
        syncVerifierEnd: page.at(-1)?.vsync ?? null,
        events: page.map(({ type, cid, timestamp }) => ({ type, cid, timestamp })),
      };
    },
    getEntryByCid: async ({ cid }) => answerTo(stamp(), cid, added.get(cid)),
    getPolicy: () => Promise.reject(new Error('not asked for')),
    listPolicies: () => Promise.reject(new Error('not asked for')),
  };

  function* cids(): Generator<string> {
    for (let n = 1; n <= LARGE.events; n++) if (!removed.has(largeCid(n))) yield largeCid(n);
    yield* added.keys();
  }

  return {
    api,
    /** The XOR of what it holds. */
    vsync: (): VSync => asVSync(Buffer.from(vsync)),
    /** Entries that begin to be there, with or without an event in the log. */
    add: (samples: readonly SampleEntry[], { log }: { readonly log: boolean }): void => {
      for (const sample of samples) {
        const cid = cidToHex(computeCid(sample.entry, sample.requestId));
        added.set(cid, sample);
        change('ADDED', cid, log);
      }
    },
    remove: (given: readonly string[], { log }: { readonly log: boolean }): void => {
      for (const cid of given) {
        if (!added.delete(cid)) removed.add(cid);
        change('REMOVED', cid, log);
      }
    },
  };
}

function answerTo(stamp: Stamp, cid: string, sample: SampleEntry | undefined): EntryByCid {
  if (sample === undefined) return { ...stamp, found: false };
  const created = '2025-01-01T00:00:00.000Z';
  const entry = { ...sample.entry, creationDate: created, keyOwnershipDate: created, openClaimCreationDate: null };
  return { ...stamp, found: true, cid, entry, requestId: sample.requestId };
}

interface Described {
  readonly bytes: number;
  readonly sha256: string;
}

function fileState(stamp: Stamp, id: string, described: Described | null): CidSetFile {
  return {
    ...stamp,
    id,
    status: described === null ? 'REQUESTED' : 'AVAILABLE',
    participant: LARGE_SCOPE.participant,
    keyType: LARGE_SCOPE.keyType,
    requestTime: stamp.responseTime,
    creationTime: described === null ? null : stamp.responseTime,
    url: described === null ? null : 'https://files.example/cids',
    bytes: described?.bytes ?? null,
    sha256: described?.sha256 ?? null,
  };
}

const linesPerChunk = 10_000;

async function* linesOf(cids: Iterable<string>): AsyncGenerator<Uint8Array> {
  yield* chunksOf(cids);
}

function* chunksOf(cids: Iterable<string>): Generator<Uint8Array> {
  let lines: string[] = [];
  for (const cid of cids) {
    lines.push(`${cid}\n`);
    if (lines.length < linesPerChunk) continue;
    yield Buffer.from(lines.join(''), 'latin1');
    lines = [];
  }
  yield Buffer.from(lines.join(''), 'latin1');
}

function described(cids: Iterable<string>): Described {
  const digest = createHash('sha256');
  let bytes = 0;
  for (const chunk of chunksOf(cids)) {
    digest.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: digest.digest('hex') };
}
