/** The keys of the story: generated, registered at the simulated DICT as if long ago, and loaded into the base from a file. */

import { KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import { type SampleEntry, sampleEntries } from '../dict/sample-entries.ts';
import type { SimulatorState } from '../simulator/control.ts';
import { DEMO, type DemoOptions, OURS } from './settings.ts';

export interface Population {
  readonly all: readonly SampleEntry[];
  /** Keys that people change. */
  readonly forTraffic: readonly SampleEntry[];
  /** Keys that something happens to behind our back, by type. */
  readonly forPlanting: ReadonlyMap<KeyType, readonly SampleEntry[]>;
}

const chunkKeys = 1_000;

/** Generates the keys and registers them at DICT, in pieces, so that whoever shows the progress gets a turn. */
export async function populate(
  state: SimulatorState,
  options: DemoOptions,
  onProgress: (keys: number) => void,
): Promise<Population> {
  const all: SampleEntry[] = [];
  const forTraffic: SampleEntry[] = [];
  const forPlanting = new Map<KeyType, SampleEntry[]>();
  for (const [index, keyType] of KEY_TYPES.entries()) {
    const count = keysOfType(options.keys, index);
    const entries = [...sampleEntries({ seed: options.seed, participant: OURS, keyType, count })];
    for (let from = 0; from < count; from += chunkKeys) {
      state.seedEntries(entries.slice(from, from + chunkKeys));
      onProgress(all.length + Math.min(count, from + chunkKeys));
      await new Promise(setImmediate);
    }
    for (const entry of entries) all.push(entry);
    const cut = Math.floor(count * DEMO.trafficShare);
    for (const entry of entries.slice(0, cut)) forTraffic.push(entry);
    forPlanting.set(keyType, entries.slice(cut));
  }
  return { all, forTraffic, forPlanting };
}

/** What does not divide by five goes to the first key types. */
function keysOfType(keys: number, index: number): number {
  return Math.floor((keys + KEY_TYPES.length - 1 - index) / KEY_TYPES.length);
}
