/** What a demo is told by its options, and the numbers that are the same for all of them. */

import { type Participant, participant } from '../dict/participant.ts';

export interface DemoOptions {
  /** Over all five key types. */
  readonly keys: number;
  /** What the Central Bank, and somebody with access to our base, do behind its back. */
  readonly divergences: number;
  readonly seed: number;
  /** Where everything stays and goes on running afterwards; null: a temporary directory that goes. */
  readonly keep: string | null;
}

/** Fewer keys would leave too few of a type for all that happens to them; more do not fit into the time of a demo. */
export const KEYS_MIN = 300;
export const KEYS_MAX = 1_000_000;

/** The participant of the story; it is nobody's ISPB. */
export const OURS: Participant = participant('99999004');

export const DEMO = {
  /** Seconds of the story's clock in one of ours. */
  scale: 60,
  /** How long before the present the story begins: with this scale, four minutes of ours until the present is reached. */
  headStartMs: 14_400_000,
  /** Changes by people, in one second of the story's clock, over all key types. */
  changesPerSecond: 2,
  /** The latest delivery of an event after the change it tells of. */
  deliveryMaxMs: 30_000,
  /** The in-flight grace of verification (5 minutes) and a little more than the lag of DICT's log. */
  graceMs: 310_000,
  /** Share of events that are delivered twice. */
  duplicateShare: 0.1,
  /** Seeded keys of each type that people change; the others only change behind our back. */
  trafficShare: 0.4,
} as const;
