/**
 * A large batch as two parts that have no participant and key type in common, so that two connections can commit them at once: the
 * server then works on both of two cores, and neither part waits for the other's locks. Small batches stay whole, since every part
 * costs a commit. More than two parts are left out: measured on two cores only.
 */

import type { Scope } from '../vsync/scope.ts';
import type { EventBatch } from './event-batch.ts';

/** Below this a batch stays one transaction: what a transaction costs whatever it holds (some 3 ms of the server's) weighs more. */
const eventsMin = 500;

/** The parts of a batch, or the batch itself. What is invalid stays with the first. */
export function partsOf(batch: EventBatch): readonly EventBatch[] {
  if (batch.events.length < eventsMin) return [batch];
  const second = lighterHalf(batch);
  if (second.size === 0) return [batch];
  const isSecond = (scope: Scope): boolean => second.has(idOf(scope));
  const { events, groups } = batch;
  return [
    {
      ...batch,
      events: events.filter(({ event }) => !isSecond(event)),
      groups: groups.filter((group) => !isSecond(group)),
    },
    {
      events: events.filter(({ event }) => isSecond(event)),
      groups: groups.filter(isSecond),
      invalid: [],
      repeated: 0,
    },
  ];
}

/** The participants and key types of the second part: the heaviest first, each goes to the part that has fewer events so far. */
function lighterHalf(batch: EventBatch): ReadonlySet<string> {
  const weights = new Map<string, number>();
  for (const { event } of batch.events) {
    const id = idOf(event);
    weights.set(id, (weights.get(id) ?? 0) + 1);
  }
  const second = new Set<string>();
  let [inFirst, inSecond] = [0, 0];
  for (const [id, weight] of [...weights].sort(([, a], [, b]) => b - a)) {
    if (inFirst <= inSecond) {
      inFirst += weight;
    } else {
      inSecond += weight;
      second.add(id);
    }
  }
  return second;
}

function idOf({ participant, keyType }: Scope): string {
  return `${participant} ${keyType}`;
}
