/**
 * Faults drawn from a seed: which calls meet one, and which one. The n-th call of an operation draws the same whatever the other
 * operations do, so that a sequence of calls that is repeated meets the same faults, and a test that failed can be played again from
 * its seed alone.
 */

import { createHash } from 'node:crypto';
import type { Behaviour, OperationCall } from './behaviour.ts';
import { type CatalogueEntry, FAULT_CATALOGUE, type Fault, fits } from './fault.ts';
import { FILE_VARIANTS, type FileVariant } from './file-variant.ts';
import type { Operation } from './operation.ts';
import { seededRandom } from './random.ts';

export interface FaultPlan {
  /** A whole number from 0. */
  readonly seed: number;
  /** Share of calls that meet a fault: more than 0, at most 1. Default 0.05. */
  readonly rate?: number;
}

/** A fault that was drawn, for whoever wants to know what happened. */
export interface DrawnFault {
  readonly operation: Operation;
  /** The how-manieth call of that operation under this plan, from 1. */
  readonly call: number;
  /** Its name in the catalogue, or `file:` and the form of the file. */
  readonly fault: string;
}

export interface PlannedFaults extends Required<Behaviour> {
  /** Begins a plan with its first call, or ends the one there is. @throws RangeError for a seed or rate that makes no sense. */
  begin(plan: FaultPlan | null): void;
  /** What this plan has drawn so far, oldest first; the last 10,000 of it. */
  drawn(): readonly DrawnFault[];
}

const RATE_DEFAULT = 0.05;
const DRAWN_MAX = 10_000;

/** No plan yet. `planFile` says how the next file that is asked for comes out. */
export function plannedFaults(planFile: (variant: FileVariant) => void): PlannedFaults {
  let plan: Required<FaultPlan> | null = null;
  let counts = new Map<Operation, number>();
  let drawn: DrawnFault[] = [];
  let afterwards = new WeakMap<OperationCall, Fault>();

  function draw(call: OperationCall): CatalogueEntry | null {
    if (plan === null) return null;
    const number = (counts.get(call.operation) ?? 0) + 1;
    counts.set(call.operation, number);
    const random = seededRandom(seedOf(plan.seed, call.operation, number));
    if (random.next() >= plan.rate) return null;
    const choices = FAULT_CATALOGUE.filter((entry) => fits(entry, call.operation));
    const variants = call.operation === 'createCidSetFile' ? FILE_VARIANTS : [];
    const chosen = random.below(choices.length + variants.length);
    const entry = choices[chosen];
    const variant = variants[chosen - choices.length];
    drawn.push({ operation: call.operation, call: number, fault: entry?.name ?? `file:${variant}` });
    if (drawn.length > DRAWN_MAX) drawn = drawn.slice(-DRAWN_MAX);
    if (variant !== undefined) planFile(variant);
    return entry ?? null;
  }

  return {
    before: (call) => {
      const entry = draw(call);
      if (entry === null || entry.when !== 'after') return entry?.fault ?? null;
      afterwards.set(call, entry.fault);
      return null;
    },
    after: (call) => afterwards.get(call) ?? null,
    begin: (next) => {
      plan = next === null ? null : checked(next);
      counts = new Map();
      if (next !== null) drawn = [];
      afterwards = new WeakMap();
    },
    drawn: () => drawn,
  };
}

function checked({ seed, rate = RATE_DEFAULT }: FaultPlan): Required<FaultPlan> {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new RangeError(`fault plan: the seed is ${seed}, a whole number from 0 is needed`);
  if (!(rate > 0 && rate <= 1)) throw new RangeError(`fault plan: the rate is ${rate}, more than 0 and at most 1 is needed`);
  return { seed, rate };
}

/** The generator's seeds have 32 bits: a hash keeps draws that stand side by side apart. */
function seedOf(seed: number, operation: Operation, number: number): number {
  return createHash('sha256').update(`${seed} ${operation} ${number}`).digest().readUInt32BE(0);
}

/** `SEED` or `SEED:RATE` as the command line has it; null where it is neither. */
export function parseFaultPlan(text: string): FaultPlan | null {
  const match = /^([0-9]{1,15})(?::([0-9]*\.?[0-9]+))?$/.exec(text);
  if (match === null) return null;
  const plan = { seed: Number(match[1]), rate: match[2] === undefined ? RATE_DEFAULT : Number(match[2]) };
  return plan.rate > 0 && plan.rate <= 1 ? plan : null;
}
