/**
 * A simulated DICT in a process of its own, so that neither its memory nor its processor time is taken for the product's. It makes
 * its entries itself, from the same seed as the base's, and does to some of them what is to be found. Forked by scale-world.ts.
 */

import { once } from 'node:events';
import type { KeyType } from '../../src/dict/key-type.ts';
import type { Participant } from '../../src/dict/participant.ts';
import { sampleEntries } from '../../src/dict/sample-entries.ts';
import { scaledClock } from '../../src/platform/clock.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';

/** Which entries both sides have from the start, and what DICT's side does to some of them. */
export interface DictPopulation {
  readonly seed: number;
  readonly participant: Participant;
  readonly keys: Readonly<Partial<Record<KeyType, number>>>;
}

/** Hidden from the event log; the base is told of the unresolved ones by half. */
export interface DictChanges {
  readonly keyType: KeyType;
  /** Entries that only DICT gets. */
  readonly missing: number;
  /** Entries that only DICT gets, and of which the base hears an update without a creation. */
  readonly unresolved: number;
  /** Entries whose account changes at DICT, from the first on. */
  readonly outdated: number;
  /** Entries that vanish at DICT, after those. */
  readonly orphaned: number;
}

/** Numbers of the entries that only DICT gets; far above those of both sides. */
export const FIRST_INSERTED = 5_000_000;

export type DictOrder =
  | {
      readonly kind: 'start';
      readonly factor: number;
      readonly startMs: number;
      readonly population: DictPopulation;
      /** Replaces the default of API 2.6.1 for by-CID reads. */
      readonly byCid: { readonly capacity: number; readonly refillTokens: number; readonly refillPeriodSec: number } | null;
    }
  | { readonly kind: 'change'; readonly changes: DictChanges }
  | { readonly kind: 'look' };

export interface DictLook {
  readonly apiUrl: string;
  readonly counts: Readonly<Record<string, number>>;
  readonly vsyncs: Readonly<Partial<Record<KeyType, { readonly vsync: string; readonly keys: number }>>>;
  readonly rssBytes: number;
}

type Running = Awaited<ReturnType<typeof begin>>;

async function begin(order: Extract<DictOrder, { kind: 'start' }>) {
  const { population, byCid } = order;
  const simulator = await startSimulator({
    clock: scaledClock(order.factor, order.startMs),
    ...(byCid === null ? {} : { policies: { CIDS_ENTRIES_READ: byCid } }),
  });
  for (const [keyType, count] of Object.entries(population.keys)) {
    // Object.entries widens the names of a record to text.
    const wanted = { ...population, keyType: keyType as KeyType, count };
    simulator.state.seedEntries(sampleEntries(wanted));
  }
  return { simulator, population };
}

function change({ simulator, population }: Running, changes: DictChanges): void {
  const { keyType, missing, unresolved, outdated, orphaned } = changes;
  const inserted = { ...population, keyType, count: missing + unresolved, first: FIRST_INSERTED };
  for (const sample of sampleEntries(inserted)) simulator.state.insert(sample);
  let index = 0;
  for (const { entry } of sampleEntries({ ...population, keyType, count: outdated + orphaned })) {
    if (index < outdated) simulator.state.alter(entry.key, { branch: '4321' });
    else simulator.state.remove(entry.key);
    index += 1;
  }
}

function look({ simulator, population }: Running): DictLook {
  const keyTypes = Object.keys(population.keys) as KeyType[]; // the names of the record that was given
  return {
    apiUrl: simulator.apiUrl,
    counts: simulator.state.counts(),
    vsyncs: Object.fromEntries(
      keyTypes.map((keyType) => [keyType, simulator.state.vsync({ participant: population.participant, keyType })]),
    ),
    rssBytes: process.memoryUsage.rss(),
  };
}

async function serve(send: (answer: DictLook) => void): Promise<void> {
  let running: Running | null = null;
  // Ends with the process: its parent kills it, or closes the channel.
  for (;;) {
    const [order] = (await once(process, 'message')) as [DictOrder]; // the parent sends nothing else
    if (order.kind === 'start') running = await begin(order);
    if (running === null) throw new TypeError('a DICT is told to start first');
    if (order.kind === 'change') change(running, order.changes);
    send(look(running));
  }
}

if (process.send !== undefined) {
  const send = process.send.bind(process);
  process.once('disconnect', () => process.exit());
  await serve((answer) => send(answer));
}
