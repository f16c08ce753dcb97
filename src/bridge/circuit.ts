/**
 * A circuit breaker for one host: after so many failures in a row it is left alone for a while, then tried with a single call. Only what
 * says that the host is not well counts: no connection, silence, a broken connection, a status from 500 on. Any other answer, 429 and 404
 * included, shows that it lives. A refusal sends nothing and costs no token.
 *
 * cockatiel keeps the states and the probe; it reads the system's clock, so the time until the probe comes in by a backoff of our own
 * that reads the injected one.
 */

import {
  BrokenCircuitError,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  type IBackoff,
  type IBackoffFactory,
  CircuitState as LibraryState,
} from 'cockatiel';
import { DictError } from '../dict/errors.ts';
import type { Clock } from '../platform/clock.ts';
import type { CallObserver, CircuitState } from './call-observer.ts';

export interface CircuitSettings {
  /** Failures in a row that open it. */
  readonly failuresMax: number;
  /** How long nothing is asked then, before one call tries. */
  readonly openMs: number;
}

export const DEFAULT_CIRCUIT_SETTINGS: CircuitSettings = { failuresMax: 10, openMs: 15_000 };

export interface Circuit {
  /** Throws `CircuitOpen` where a call would be refused: asked before a token is waited for. */
  check(operation: string): void;
  /** Works, unless the circuit is open: then rejects with `CircuitOpen`, which says how long. */
  run<T>(operation: string, work: () => Promise<T>): Promise<T>;
}

const brokenKinds: ReadonlySet<string> = new Set(['Unreachable', 'ConnectionLost', 'Timeout']);

type Ended<T> = { readonly answer: T } | { readonly error: DictError };

/** A circuit of its own for that host. */
export function createCircuit(
  { clock, observer }: { readonly clock: Clock; readonly observer: CallObserver },
  host: string,
  settings: CircuitSettings,
): Circuit {
  let openUntilMs = 0;
  const remainingMs = (): number => openUntilMs - clock.now().getTime();
  const backoff: IBackoff<unknown> & IBackoffFactory<unknown> = {
    // Compared by the library with how long the circuit has been open by the system's clock.
    get duration() {
      return remainingMs() > 0 ? Number.POSITIVE_INFINITY : 0;
    },
    next: () => {
      openUntilMs = clock.now().getTime() + settings.openMs;
      return backoff;
    },
  };
  const policy = circuitBreaker(
    // A probe that was given up before it ended has proven nothing: the circuit stays open.
    handleWhen((error) => isFailure(error) || policy.state === LibraryState.HalfOpen),
    { halfOpenAfter: backoff, breaker: new ConsecutiveBreaker(settings.failuresMax) },
  );
  policy.onStateChange((state) => observer.circuitChanged(host, nameOf(state)));
  const refusal = (operation: string, cause?: unknown): DictError => {
    const waitMs = Math.max(0, remainingMs());
    const until = new Date(openUntilMs).toISOString();
    const message = `${operation}: ${host} failed ${settings.failuresMax} times in a row and is left alone until ${until}`;
    return new DictError('CircuitOpen', 0, message, { retryAfterSec: Math.ceil(waitMs / 1_000), cause });
  };
  return {
    check: (operation) => {
      if (policy.state === LibraryState.Open && remainingMs() > 0) throw refusal(operation);
    },
    run: async (operation, work) => {
      try {
        const ended = await policy.execute(() => judged(work));
        if ('error' in ended) throw ended.error;
        return ended.answer;
      } catch (error) {
        throw error instanceof BrokenCircuitError ? refusal(operation, error) : error;
      }
    },
  };
}

/** An error that DICT answered with is an answer of a host that is well. */
async function judged<T>(work: () => Promise<T>): Promise<Ended<T>> {
  try {
    return { answer: await work() };
  } catch (error) {
    if (error instanceof DictError && error.status > 0 && !isFailure(error)) return { error };
    throw error;
  }
}

function isFailure(error: unknown): boolean {
  return error instanceof DictError && (brokenKinds.has(error.kind) || error.status >= 500);
}

function nameOf(state: LibraryState): CircuitState {
  if (state === LibraryState.Closed) return 'closed';
  return state === LibraryState.HalfOpen ? 'half-open' : 'open';
}
