/**
 * Where misbehaviour enters: a function consulted before and after each operation, and a script of faults that tests and the
 * control interface fill. Both may delay an answer, give another one, or break the connection.
 */

import type { Clock } from '../platform/clock.ts';
import type { Answer } from './answer.ts';
import { type ErrorName, Problem, problemAnswer } from './problem.ts';

/** Every operation the simulator serves; `downloadCidSetFile` is the one on the second port. */
export const OPERATIONS = [
  'createSyncVerification',
  'createCidSetFile',
  'getCidSetFile',
  'listCidSetEvents',
  'getEntryByCid',
  'listPolicies',
  'getPolicy',
  'createEntry',
  'updateEntry',
  'deleteEntry',
  'getEntry',
  'confirmClaim',
  'completeClaim',
  'getKeys',
  'downloadCidSetFile',
] as const;
export type Operation = (typeof OPERATIONS)[number];

export interface Fault {
  /** Waited first, on the simulator's clock. */
  readonly delayMs?: number;
  /** Given instead of the operation's own answer. */
  readonly answer?: Answer;
  /** One of DICT's errors, given instead of the operation's own answer. */
  readonly error?: ErrorName;
  /** Closes the connection without an answer. */
  readonly breakConnection?: boolean;
}

export interface OperationCall {
  readonly operation: Operation;
  /** The requesting participant, where it can be told from the request line or its headers. */
  readonly participant: string | null;
  readonly path: string;
}

export interface Behaviour {
  /** Before anything is done: an answer or a break here means that the operation had no effect. */
  before?(call: OperationCall): Promise<Fault | null> | Fault | null;
  /** After the effect: an answer or a break here means that the caller never learns of it. */
  after?(call: OperationCall, answer: Answer): Promise<Fault | null> | Fault | null;
}

/** What misbehaviour comes to: nothing, an answer, or (null) a broken connection. */
export type Struck = { readonly struck: false } | { readonly struck: true; readonly outcome: Answer | null };

/** Asks each behaviour in turn; delays add up, and the first answer or break ends it. */
export async function misbehave(
  deps: { readonly behaviours: readonly Behaviour[]; readonly clock: Clock; correlationId(): string },
  ask: (behaviour: Behaviour) => Promise<Fault | null> | Fault | null | undefined,
): Promise<Struck> {
  for (const behaviour of deps.behaviours) {
    const fault = await ask(behaviour);
    if (fault === null || fault === undefined) continue;
    if (fault.delayMs !== undefined) await deps.clock.sleep(fault.delayMs);
    if (fault.breakConnection === true) return { struck: true, outcome: null };
    if (fault.answer !== undefined) return { struck: true, outcome: fault.answer };
    if (fault.error !== undefined) {
      return { struck: true, outcome: problemAnswer(new Problem(fault.error, 'A fault of the simulator'), deps.correlationId()) };
    }
  }
  return { struck: false };
}

/** A fault for the next calls of an operation. */
export interface ScriptedFault extends Fault {
  readonly operation: Operation | 'any';
  /** How many calls it meets. */
  readonly times: number;
  /** Calls that pass before it begins. Default 0. */
  readonly skip?: number;
  /** Whether it strikes before or after the operation's effect. Default `before`. */
  readonly when?: 'before' | 'after';
}

export interface FaultScript extends Required<Behaviour> {
  add(fault: ScriptedFault): void;
  clear(): void;
  /** Calls that faults are still waiting for. */
  pending(): number;
}

/** Faults in the order they were added; a call meets the first one that fits it. */
export function faultScript(): FaultScript {
  let faults: { readonly fault: ScriptedFault; skip: number; left: number }[] = [];

  function next(call: OperationCall, when: 'before' | 'after'): Fault | null {
    const found = faults.find(
      ({ fault }) => (fault.operation === 'any' || fault.operation === call.operation) && (fault.when ?? 'before') === when,
    );
    if (found === undefined) return null;
    if (found.skip > 0) {
      found.skip -= 1;
      return null;
    }
    found.left -= 1;
    if (found.left <= 0) faults = faults.filter((kept) => kept !== found);
    return found.fault;
  }

  return {
    before: (call) => next(call, 'before'),
    after: (call) => next(call, 'after'),
    add: (fault) => {
      if (!(fault.times >= 1)) throw new RangeError(`fault: times is ${fault.times}, at least 1 is needed`);
      faults.push({ fault, skip: fault.skip ?? 0, left: fault.times });
    },
    clear: () => {
      faults = [];
    },
    pending: () => faults.reduce((sum, { left }) => sum + left, 0),
  };
}
