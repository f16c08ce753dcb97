/**
 * How many calls may be under way at a time, so that one kind of work never takes all connections: each participant, policy and priority
 * has places of its own, and by-CID reads without haste, the only ones that come in thousands, leave some connections to everything else.
 * Beyond its places a call waits in order; beyond the queue it is refused as `BulkheadFull`. Who gets a token first is token-queue.ts.
 */

import { type BulkheadPolicy, BulkheadRejectedError, bulkhead } from 'cockatiel';
import type { CallOptions } from '../dict/api.ts';
import { DictError } from '../dict/errors.ts';
import type { Participant } from '../dict/participant.ts';
import type { CallObserver } from './call-observer.ts';

export interface BulkheadSettings {
  /** Calls under way of one participant, policy and priority. */
  readonly callsMax: number;
  /** Calls that may wait for such a place. */
  readonly queueMax: number;
  /** Connections that by-CID reads of priority `routine`, of all participants together, leave to others. */
  readonly reservedConnections: number;
}

export const DEFAULT_BULKHEAD_SETTINGS: BulkheadSettings = { callsMax: 16, queueMax: 10_000, reservedConnections: 4 };

export interface CallKind {
  readonly participant: Participant;
  /** The token bucket, or the operation where there is none. */
  readonly policy: string;
  readonly priority: NonNullable<CallOptions['priority']>;
}

export interface Bulkheads {
  /** Works once there is a place. Rejects with `BulkheadFull`, or with the signal's reason, before anything was done. */
  run<T>(operation: string, kind: CallKind, work: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

/** The policy whose calls come in thousands. */
const BULK_POLICY = 'CIDS_ENTRIES_READ';

/** Bulkheads over so many connections to one host. Participants are those that this process speaks for: a bounded few. */
export function createBulkheads(
  { observer }: { readonly observer: CallObserver },
  settings: BulkheadSettings,
  connections: number,
): Bulkheads {
  const own = new Map<string, BulkheadPolicy>();
  // Its queue has no bound of its own: whoever waits in it holds one of the places above.
  const bulk = bulkhead(Math.max(1, connections - settings.reservedConnections), Number.MAX_SAFE_INTEGER);
  const ownOf = ({ participant, policy, priority }: CallKind): BulkheadPolicy => {
    const name = `${participant} ${policy} ${priority}`;
    const known = own.get(name);
    if (known !== undefined) return known;
    const made = bulkhead(settings.callsMax, settings.queueMax);
    own.set(name, made);
    return made;
  };
  return {
    async run(operation, kind, work, signal) {
      signal?.throwIfAborted();
      const { policy } = kind;
      let begun = false;
      const begin = async (): ReturnType<typeof work> => {
        // Whoever asked may have gone while this waited: the place is free again at once.
        signal?.throwIfAborted();
        begun = true;
        observer.queued(policy, -1);
        observer.underWay(policy, 1);
        try {
          return await work();
        } finally {
          observer.underWay(policy, -1);
        }
      };
      const isBulk = policy === BULK_POLICY && kind.priority === 'routine';
      observer.queued(policy, 1);
      try {
        return await unlessAborted(
          ownOf(kind).execute(() => (isBulk ? bulk.execute(begin) : begin())),
          signal,
        );
      } catch (error) {
        if (!(error instanceof BulkheadRejectedError)) throw error;
        const message = `${operation}: ${settings.queueMax} calls of ${policy} wait already`;
        throw new DictError('BulkheadFull', 0, message, { cause: error });
      } finally {
        if (!begun) observer.queued(policy, -1);
      }
    },
  };
}

/** cockatiel looks at a signal only once a place is free. What is under way ends by its own look at the signal, with the same reason. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
