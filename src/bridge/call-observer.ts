/**
 * What the bridge tells of its work as it goes, so that it can be measured. An interface and not a library of metrics: the bridge is
 * also called in process, by tests and by programs that measure otherwise or not at all. src/metrics/ implements it for Prometheus.
 */

import type { CallOptions } from '../dict/api.ts';

export type CircuitState = 'closed' | 'half-open' | 'open';

/** Every method is called synchronously and must not throw. Durations are of the injected clock. */
export interface CallObserver {
  /** A call has ended, its waits and tries included: `ok`, the kind of its `DictError`, or `given-up` by whoever asked. */
  called(operation: string, outcome: string, durationMs: number): void;
  /** One HTTP exchange has ended; status 0 where no answer came. */
  exchanged(operation: string, status: number, durationMs: number): void;
  /** There will be another try, after an error of this kind. */
  retried(operation: string, kind: string): void;
  /** A call has got its token, or has given up waiting for it. */
  tokenWaited(policy: string, priority: NonNullable<CallOptions['priority']>, durationMs: number): void;
  circuitChanged(host: string, state: CircuitState): void;
  /** So many calls more, or fewer, wait for a place among the calls of their kind. */
  queued(policy: string, change: 1 | -1): void;
  /** So many calls more, or fewer, are under way. */
  underWay(policy: string, change: 1 | -1): void;
  /** Bytes of a CID set file have arrived, uncompressed. */
  downloaded(bytes: number): void;
  /** A download goes on after an error of this kind. */
  downloadResumed(kind: string): void;
}

const nothing = (): void => {};

/** Measures nothing. */
export const SILENT_OBSERVER: CallObserver = {
  called: nothing,
  exchanged: nothing,
  retried: nothing,
  tokenWaited: nothing,
  circuitChanged: nothing,
  queued: nothing,
  underWay: nothing,
  downloaded: nothing,
  downloadResumed: nothing,
};
