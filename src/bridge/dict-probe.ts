/**
 * Single questions to DICT for whoever examines the way there: one try, no waiting for tokens, and the answer with the times that it
 * took. The same connections, keys and checks as in ordinary work, so that what passes here passes there. Nothing here changes anything
 * at DICT.
 */

import type { Policy, SyncVerification } from '../dict/api.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';
import { timeOrNull, tokenOrNull } from './answer-fields.ts';
import { createCaller, type DictClientOptions, LIST_POLICIES, policiesCall } from './dict-call.ts';
import { createDictClient, type DictReadClientOptions } from './dict-client.ts';
import { readPolicies } from './policy-xml.ts';

export interface Probed {
  readonly policies: readonly Policy[];
  /** DICT's clock, signed where answers are; null where the answer does not tell. */
  readonly responseTime: Date | null;
  readonly correlationId: string;
  /** On our clock; the connection is made between the two. */
  readonly sentAt: Date;
  readonly answeredAt: Date;
}

/** Once, and at once. */
function single<Options extends DictClientOptions>(options: Options): Options {
  return { ...options, retry: { triesMax: 1 }, budget: { ...options.budget, policies: 'configured' } };
}

/** GET /policies/: one token of POLICIES_LIST. Rejects with a `DictError`. */
export async function probePolicies(options: DictClientOptions, participant: Participant, signal: AbortSignal): Promise<Probed> {
  const { clock } = options;
  const caller = createCaller(single(options));
  try {
    const sentAt = clock.now();
    return await caller.call(
      LIST_POLICIES,
      policiesCall(participant),
      (answer) => ({
        policies: readPolicies(answer),
        responseTime: timeOrNull(answer, 'ResponseTime'),
        correlationId: tokenOrNull(answer, 'CorrelationId') ?? '',
        sentAt,
        answeredAt: clock.now(),
      }),
      { signal },
    );
  } finally {
    await caller.close();
  }
}

/** POST /sync-verifications/, a signed body: one token of SYNC_VERIFICATIONS_WRITE. Rejects with a `DictError`. */
export async function probeVerification(
  options: DictReadClientOptions,
  request: { readonly participant: Participant; readonly keyType: KeyType; readonly participantSyncVerifier: string },
  signal: AbortSignal,
): Promise<SyncVerification> {
  const client = createDictClient(single(options));
  try {
    return await client.createSyncVerification(request, { signal, priority: 'person' });
  } finally {
    await client.close();
  }
}
