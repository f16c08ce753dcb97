/**
 * A large batch as two parts that have no participant and key type in common, so that two connections can commit them at once: the
 * server then works on both of two cores, and neither part waits for the other's locks. Small batches stay whole, since every part
 * costs a commit. More than two parts are left out: measured on two cores only.
 */

import type { Scope } from '../vsync/scope.ts';
import type { EventBatch } from './event-batch.ts';

/** Below this a batch stays one transaction: what a transaction costs whatever it holds (some 3 ms of the server's) weighs more. */
export const PARTED_EVENTS_MIN = 500;

/**
 * Which part each participant and key type belongs to: kept from batch to batch of a stream, so that a part of one batch waits for
 * nothing but the same part of the batch before.
 */
export class PartPlan {
  readonly #second = new Map<string, boolean>();
  readonly #events: [first: number, second: number] = [0, 0];

  /** Whether they belong to the second part. The heaviest come first: each that is new goes to the part that has had fewer events. */
  divide(weights: ReadonlyMap<string, number>): ReadonlyMap<string, boolean> {
    for (const [id, weight] of [...weights].sort(([, a], [, b]) => b - a)) {
      const isSecond = this.#second.get(id) ?? this.#events[0] > this.#events[1];
      this.#second.set(id, isSecond);
      this.#events[isSecond ? 1 : 0] += weight;
    }
    return this.#second;
  }
}

/** The parts of a batch, or the batch itself. What is invalid stays with the first. */
export function partsOf(batch: EventBatch, plan: PartPlan = new PartPlan()): readonly EventBatch[] {
  if (batch.events.length < PARTED_EVENTS_MIN) return [batch];
  const second = plan.divide(weightsOf(batch));
  const isSecond = (scope: Scope): boolean => second.get(idOf(scope)) === true;
  const { events, groups } = batch;
  const secondEvents = events.filter(({ event }) => isSecond(event));
  if (secondEvents.length === 0 || secondEvents.length === events.length) return [batch];
  return [
    {
      ...batch,
      events: events.filter(({ event }) => !isSecond(event)),
      groups: groups.filter((group) => !isSecond(group)),
    },
    { events: secondEvents, groups: groups.filter(isSecond), invalid: [], repeated: 0 },
  ];
}

function weightsOf(batch: EventBatch): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const { event } of batch.events) {
    const id = idOf(event);
    weights.set(id, (weights.get(id) ?? 0) + 1);
  }
  return weights;
}

function idOf({ participant, keyType }: Scope): string {
  return `${participant} ${keyType}`;
}
