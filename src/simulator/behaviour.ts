/**
 * Where misbehaviour enters: a function consulted before and after each operation, and a script of faults that tests and the
 * control interface fill. Both may delay an answer, give another one, or break the connection.
 */

import type { Clock } from '../platform/clock.ts';
import type { Answer } from './answer.ts';
import type { Marks } from './answer-mark.ts';
import type { Fault } from './fault.ts';
import type { Operation } from './operation.ts';
import { Problem, problemAnswer } from './problem.ts';

export interface OperationCall {
  readonly operation: Operation;
  /** The requesting participant, where it can be told from the request line or its headers. */
  readonly participant: string | null;
  readonly path: string;
  /** The CID that is asked about, in lower case; null for other operations. */
  readonly cid: string | null;
  /** The key of the entry that is created or read; null for other operations. */
  readonly key: string | null;
}

export interface Behaviour {
  /** Before anything is done: an answer or a break here means that the operation had no effect. */
  before?(call: OperationCall): Promise<Fault | null> | Fault | null;
  /** After the effect: an answer or a break here means that the caller never learns of it. */
  after?(call: OperationCall, answer: Answer): Promise<Fault | null> | Fault | null;
}

/**
 * What misbehaviour comes to: nothing, an answer, or (null) a broken connection. The marks are put on whatever answer goes out in
 * the end.
 */
export type Struck = { readonly marks: Marks } & (
  | { readonly struck: false }
  | { readonly struck: true; readonly outcome: Answer | null }
);

interface MisbehaveDeps {
  readonly behaviours: readonly Behaviour[];
  readonly clock: Clock;
  correlationId(): string;
}

/** Asks each behaviour in turn; delays and marks add up, and the first answer or break ends it. */
export async function misbehave(
  deps: MisbehaveDeps,
  ask: (behaviour: Behaviour) => Promise<Fault | null> | Fault | null | undefined,
): Promise<Struck> {
  let marks: Marks = {};
  for (const behaviour of deps.behaviours) {
    const fault = await ask(behaviour);
    if (fault === null || fault === undefined) continue;
    if (fault.delayMs !== undefined) await deps.clock.sleep(fault.delayMs);
    marks = { ...marks, ...marksOf(fault) };
    if (fault.breakConnection === true) return { struck: true, outcome: null, marks };
    const answer = answerOf(deps, fault);
    if (answer !== null) return { struck: true, outcome: answer, marks };
  }
  return { struck: false, marks };
}

function marksOf({ transfer, signature, distortion }: Fault): Marks {
  return {
    ...(transfer === undefined ? {} : { transfer }),
    ...(signature === undefined ? {} : { signature }),
    ...(distortion === undefined ? {} : { distortion }),
  };
}

function answerOf(deps: MisbehaveDeps, fault: Fault): Answer | null {
  const { error, retryAfter } = fault;
  const answer =
    fault.answer ??
    (error === undefined ? null : problemAnswer(new Problem(error, 'A fault of the simulator'), deps.correlationId()));
  if (answer === null || retryAfter === undefined) return answer;
  const { 'Retry-After': _, ...headers } = answer.headers;
  return { ...answer, headers: retryAfter === null ? headers : { ...headers, 'Retry-After': retryAfter } };
}

/** The answer with what is to go wrong with it; a broken connection stays one. */
export function marked(answer: Answer | null, marks: Marks): Answer | null {
  if (answer === null || Object.keys(marks).length === 0) return answer;
  return { ...answer, marks: { ...answer.marks, ...marks } };
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
