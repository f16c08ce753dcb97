/**
 * The synchronisation test of Instrução Normativa BCB 508 in numbers: what the Central Bank's test fixes, what a rehearsal may vary,
 * and how fast its clock runs.
 */

import type { KeyType } from '../../dict/key-type.ts';
import { type Participant, participant } from '../../dict/participant.ts';

/** Keys that can be claimed: nobody can claim an EVP, which belongs to its account alone. */
export const CLAIMABLE_KEY_TYPES = ['CPF', 'CNPJ', 'PHONE', 'EMAIL'] as const satisfies readonly KeyType[];
export type ClaimableKeyType = (typeof CLAIMABLE_KEY_TYPES)[number];

export interface RehearsalOptions {
  readonly keyType: ClaimableKeyType;
  /** Registered before the test; 1,000 in the Central Bank's. */
  readonly keys: number;
  readonly seed: number;
  /** Whether DICT's event log shows what the Central Bank changes. The rules do not say; hidden is the harder. */
  readonly inLog: boolean;
}

/** Fewer would leave too few to claim; more take longer to register than the rehearsal may. */
export const KEYS_MIN = 100;
export const KEYS_MAX = 10_000;

/** The other participant of claims; it is nobody's ISPB. */
export const OTHER: Participant = participant('99999005');

export const TEST = {
  /** Entries of ours that the Central Bank alters, and that it inserts. */
  altered: 5,
  inserted: 5,
  /** What the rules give the participant to reach OK. */
  hourMs: 3_600_000,
  /** What the rehearsal allows for the whole of it, registration included. */
  limitMs: 900_000,
  /** Seconds of the test's clock in one of ours, once the keys are registered: the most, and what a slow machine gets at least. */
  scaleMax: 12,
  scaleMin: 4,
  /** A machine that registers a key within this is fast enough for the most. */
  registrationMs: 10,
  /** How long before the present the clock begins: at most eleven minutes of ours until the present is reached. */
  headStartMs: 7_200_000,
  /** A claim is opened this often; we are the donor of every other one, and the claimer of the rest. */
  claimEveryMs: 10_000,
  /** A claim is confirmed after this long at most, and completed after as long again. */
  claimStepMaxMs: 20_000,
  /** The latest delivery of an event after the change it tells of. */
  deliveryMaxMs: 2_000,
  /** Share of events that are delivered twice. */
  duplicateShare: 0.1,
  /** Claims alone go on for this long before the Central Bank changes anything. */
  claimsAloneMs: 60_000,
  /** Questions at the end, until DICT says OK: claims leave it few moments in which both sides are equal. */
  questionsMax: 10,
  questionEveryMs: 15_000,
} as const;

/**
 * How fast the clock may run on this machine, judged by how fast it registered the keys: on a slower clock, the minutes of the test are
 * those of waiting and not those of computing.
 */
export function scaleFor(registrationMs: number): number {
  const fitting = (TEST.scaleMax * TEST.registrationMs) / registrationMs;
  return Math.round(Math.min(TEST.scaleMax, Math.max(TEST.scaleMin, fitting)));
}
