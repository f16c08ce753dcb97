/**
 * What the participant's customers do all day: register, change and delete keys. Each change is made at DICT over its API, then the
 * core tells of it by an event. Keys that something else is about to happen to are never handed to it.
 */

import type { DictTrafficApi } from '../bridge/dict-traffic-client.ts';
import type { Entry } from '../dict/entry.ts';
import { KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { sampleEntries } from '../dict/sample-entries.ts';
import type { Clock } from '../platform/clock.ts';
import type { CreatedEntry } from '../simulator/control.ts';
import type { Random } from '../simulator/random.ts';
import type { CoreEvent } from './event-feed.ts';

export interface TrafficDeps {
  readonly dict: DictTrafficApi;
  readonly clock: Clock;
  readonly random: Random;
  readonly push: (event: CoreEvent) => void;
}

export interface TrafficSettings {
  readonly participant: Participant;
  readonly seed: number;
  /** Of the clock, over all key types. */
  readonly changesPerSecond: number;
  /** Changes under way at a time. */
  readonly concurrency: number;
}

export interface Traffic {
  /** Makes changes until stopped; resolves when the last one is done. Rejects when DICT refuses one. */
  run(signal: AbortSignal): Promise<void>;
  /** Changes made so far, and how many the clock has called for. */
  readonly made: number;
  readonly called: number;
}

interface KeyInUse {
  entry: Entry;
  /** The core's clock: no two events of a key bear the same time. */
  lastMs: number;
}

/** A number far above the entries that were there from the start. */
const firstFresh = 2_000_000;
const freshMax = 1_000_000;
const tickMs = 200;

/** Keys that nobody is changing at the moment, and new ones. */
interface KeySupply {
  /** Takes any key out of the idle ones: no two changes of one key are under way at a time. */
  take(keyType: KeyType): KeyInUse | null;
  putBack(key: KeyInUse): void;
  fresh(keyType: KeyType): CreatedEntry;
}

function keySupply(random: Random, { participant, seed }: TrafficSettings, known: readonly CreatedEntry[]): KeySupply {
  const idle = new Map<KeyType, KeyInUse[]>(KEY_TYPES.map((keyType) => [keyType, []]));
  for (const { entry } of known) idle.get(entry.keyType)?.push({ entry, lastMs: 0 });
  const unused = new Map(
    KEY_TYPES.map((keyType) => {
      const wanted = { seed: `${seed} traffic`, participant, keyType, count: freshMax, first: firstFresh };
      return [keyType, sampleEntries(wanted)];
    }),
  );
  return {
    take: (keyType) => {
      const keys = idle.get(keyType) ?? [];
      const index = random.below(keys.length);
      const taken = keys[index];
      const last = keys.pop();
      if (taken === undefined || last === undefined) return null;
      if (last !== taken) keys[index] = last;
      return taken;
    },
    putBack: (key) => void idle.get(key.entry.keyType)?.push(key),
    fresh: (keyType) => {
      const wanted = unused.get(keyType)?.next().value;
      if (wanted === undefined) throw new RangeError(`traffic: more than ${freshMax} new keys`);
      return wanted;
    },
  };
}

/** Makes one change of any kind at DICT, and has the core tell of it. */
function changeMaker(deps: TrafficDeps, { participant }: TrafficSettings, keys: KeySupply): () => Promise<void> {
  const { clock, random } = deps;

  function occurred(key: KeyInUse): Date {
    key.lastMs = Math.max(clock.now().getTime(), key.lastMs + 1);
    return new Date(key.lastMs);
  }

  async function create(keyType: KeyType): Promise<void> {
    const wanted = keys.fresh(keyType);
    const answer = await deps.dict.createEntry({ ...wanted, reason: 'USER_REQUESTED' });
    // DICT itself makes up the key of an EVP entry.
    const key: KeyInUse = { entry: { ...wanted.entry, key: answer.entry.key }, lastMs: 0 };
    const created = { entry: key.entry, requestId: wanted.requestId };
    deps.push({ action: 'key.created', created, occurredAt: occurred(key) });
    keys.putBack(key);
  }

  async function update(key: KeyInUse): Promise<void> {
    const { keyType, account, owner } = key.entry;
    // Half of the updates come back to a value that the key may have had before: the same CID once more.
    const accountNumber = random.next() < 0.5 ? '0000000001' : String(random.below(1_000_000_000)).padStart(10, '0');
    const entry = { ...key.entry, account: { ...account, accountNumber } };
    const reason = keyType === 'EVP' ? 'RFB_VALIDATION' : 'USER_REQUESTED';
    await deps.dict.updateEntry({ key: entry.key, account: entry.account, owner, reason });
    key.entry = entry;
    deps.push({ action: 'key.updated', entry, occurredAt: occurred(key) });
    keys.putBack(key);
  }

  async function remove(key: KeyInUse): Promise<void> {
    const { key: text, keyType } = key.entry;
    await deps.dict.deleteEntry({ participant, key: text, reason: 'USER_REQUESTED' });
    deps.push({ action: 'key.deleted', participant, key: text, keyType, occurredAt: occurred(key) });
  }

  return async () => {
    const keyType = KEY_TYPES[random.below(KEY_TYPES.length)] ?? KEY_TYPES[0];
    const kind = random.next();
    const key = kind < 0.4 ? null : keys.take(keyType);
    if (key === null) await create(keyType);
    else if (kind < 0.7) await update(key);
    else await remove(key);
  };
}

/** `known`: entries that DICT and the base have from the start. */
export function traffic(deps: TrafficDeps, settings: TrafficSettings, known: readonly CreatedEntry[]): Traffic {
  const { clock } = deps;
  const change = changeMaker(deps, settings, keySupply(deps.random, settings, known));
  const state = { made: 0, called: 0, begun: 0 };

  async function run(signal: AbortSignal): Promise<void> {
    const startMs = clock.now().getTime();
    const underWay = new Set<Promise<void>>();
    let failure: unknown = null;
    while (!signal.aborted && failure === null) {
      state.called = Math.floor(((clock.now().getTime() - startMs) / 1_000) * settings.changesPerSecond);
      while (state.begun < state.called && underWay.size < settings.concurrency) {
        state.begun += 1;
        const one: Promise<void> = change()
          .then(() => {
            state.made += 1;
          })
          .catch((cause: unknown) => {
            failure ??= cause;
          })
          .finally(() => underWay.delete(one));
        underWay.add(one);
      }
      await clock.sleep(tickMs, signal).catch(() => {});
    }
    await Promise.all(underWay);
    if (failure !== null) throw failure;
  }

  return {
    run,
    get made() {
      return state.made;
    },
    get called() {
      return state.called;
    },
  };
}
