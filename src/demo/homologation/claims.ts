/**
 * Claims on keys of one type, opened steadily: other participants' customers want keys of ours (we are the donor), ours want keys of
 * theirs (we are the claimer). Each is confirmed by its donor and completed by its claimer over DICT's API, and the core tells of
 * what it did to our keys. Left out, as in the simulator: notifications, periods, cancellations.
 */

import type { DictTrafficApi } from '../../bridge/dict-traffic-client.ts';
import type { Entry } from '../../dict/entry.ts';
import type { Participant } from '../../dict/participant.ts';
import { type SampleEntry, sampleEntries } from '../../dict/sample-entries.ts';
import type { Clock } from '../../platform/clock.ts';
import type { ClaimType } from '../../simulator/claim.ts';
import type { SimulatorState } from '../../simulator/control.ts';
import type { Random } from '../../simulator/random.ts';
import type { CoreEvent } from '../event-feed.ts';
import { OURS } from '../settings.ts';
import { type ClaimableKeyType, OTHER } from './settings.ts';

export interface ClaimsDeps {
  readonly dict: Pick<DictTrafficApi, 'confirmClaim' | 'completeClaim'>;
  /** Opens claims: their registration is not part of the simulated API. */
  readonly state: Pick<SimulatorState, 'registerClaim'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly push: (event: CoreEvent) => void;
}

export interface ClaimsSettings {
  readonly keyType: ClaimableKeyType;
  readonly seed: number;
  readonly everyMs: number;
  readonly stepMaxMs: number;
}

export interface ClaimCounts {
  readonly opened: number;
  /** Keys of ours that went to the other participant. */
  readonly donated: number;
  /** Keys of the other participant that came to us. */
  readonly taken: number;
  /** Calls of DICT that were made for all that: what the claims themselves wrote there. */
  readonly confirmations: number;
  readonly completions: number;
}

export interface Claims {
  /** Opens claims until stopped, or until there is no key left to claim; resolves when none is between its confirmation and its event any more. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when `run` has come to its end, however. */
  readonly ended: Promise<void>;
  readonly counts: ClaimCounts;
}

interface Wanted {
  readonly type: ClaimType;
  readonly donor: Participant;
  /** The entry as it will be. */
  readonly claimer: Entry;
  readonly requestId: string;
}

/** Claims that nobody else has a hand in: each key is claimed once; null once all of one side were. */
function wantedClaims(
  { keyType, seed }: ClaimsSettings,
  keys: Record<'ours' | 'theirs', readonly SampleEntry[]>,
): () => Wanted | null {
  const count = keys.ours.length + keys.theirs.length;
  const accounts = (participant: Participant) =>
    sampleEntries({ seed: `${seed} claims`, participant, keyType, count, first: 3_000_000 });
  const supply = {
    donated: { keys: keys.ours.values(), persons: accounts(OTHER), donor: OURS },
    taken: { keys: keys.theirs.values(), persons: accounts(OURS), donor: OTHER },
  };
  let opened = 0;
  return () => {
    const { keys: left, persons, donor } = opened % 2 === 0 ? supply.donated : supply.taken;
    const key = left.next().value;
    const person = persons.next().value;
    if (key === undefined || person === undefined) return null;
    // A CPF or CNPJ is its owner's own: it can only move with its owner. Other keys do both, two by two.
    const isOwnership = (keyType === 'PHONE' || keyType === 'EMAIL') && opened % 4 < 2;
    opened += 1;
    return {
      type: isOwnership ? 'OWNERSHIP' : 'PORTABILITY',
      donor,
      claimer: { ...key.entry, account: person.entry.account, owner: isOwnership ? person.entry.owner : key.entry.owner },
      requestId: person.requestId,
    };
  };
}

/** `keys`: ours and the other participant's that may be claimed; nothing else may happen to them. */
export function claims(
  deps: ClaimsDeps,
  settings: ClaimsSettings,
  keys: { readonly ours: readonly SampleEntry[]; readonly theirs: readonly SampleEntry[] },
): Claims {
  const { dict, clock, random } = deps;
  const counts = { opened: 0, donated: 0, taken: 0, confirmations: 0, completions: 0 };
  const nextWanted = wantedClaims(settings, keys);

  async function claim(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { type, donor, claimer, requestId } = wanted;
    const { key, keyType, account } = claimer;
    const claimId = deps.state.registerClaim({ type, claimer });
    counts.opened += 1;
    await clock.sleep(random.next() * settings.stepMaxMs, signal);
    await dict.confirmClaim({ participant: donor, claimId, reason: 'USER_REQUESTED' });
    counts.confirmations += 1;
    if (donor === OURS) {
      deps.push({ action: 'key.deleted', participant: OURS, key, keyType, occurredAt: clock.now() });
      counts.donated += 1;
    }
    await clock.sleep(random.next() * settings.stepMaxMs, signal);
    await dict.completeClaim({ participant: account.participant, claimId, requestId });
    counts.completions += 1;
    if (account.participant !== OURS) return;
    deps.push({ action: 'key.created', created: { entry: claimer, requestId }, occurredAt: clock.now() });
    counts.taken += 1;
  }

  const { promise: ended, resolve: end } = Promise.withResolvers<void>();

  async function openAll(signal: AbortSignal): Promise<void> {
    const underWay = new Set<Promise<void>>();
    let failure: unknown = null;
    while (!signal.aborted && failure === null) {
      const wanted = nextWanted();
      if (wanted === null) break;
      const one: Promise<void> = claim(wanted, signal)
        .catch((cause: unknown) => {
          // A claim that was stopped while it waited stays as it is: at rest on both sides.
          if (!signal.aborted) failure ??= cause;
        })
        .finally(() => underWay.delete(one));
      underWay.add(one);
      await clock.sleep(settings.everyMs, signal).catch(() => {});
    }
    await Promise.all(underWay);
    if (failure !== null) throw failure;
  }

  return { run: (signal) => openAll(signal).finally(end), ended, counts };
}
