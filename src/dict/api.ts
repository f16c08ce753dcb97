/**
 * What the stages may ask of DICT, as types: the read-only reconciliation surface of API v2. Writing operations are not here,
 * so that no stage can call one (rule R19); the demo's traffic uses the bridge's own `DictTrafficApi`.
 *
 * Every call takes the requesting participant, has a time limit of its own, and rejects with a `DictError` (see errors.ts).
 * VSyncs, CIDs and SHA-256 digests cross this seam as 64 lower-case hex digits; Ids as decimal text (they may exceed 2^53).
 */

import type { ExtendedEntry } from './entry.ts';
import type { KeyType } from './key-type.ts';
import type { Participant } from './participant.ts';

export interface CallOptions {
  /** Gives the call up; the rejection is then the signal's reason. */
  readonly signal?: AbortSignal;
  /** Who the call is for: verifications go before by-CID reads, people's requests before both. Default `routine`. */
  readonly priority?: 'person' | 'verification' | 'routine';
}

/** What every answer of DICT carries. */
export interface Stamp {
  /** DICT's clock when it answered. */
  readonly responseTime: Date;
  readonly correlationId: string;
}

export interface SyncVerification extends Stamp {
  readonly id: string;
  readonly result: 'OK' | 'NOK';
}

/** Known values of `FileStatus`; anything else is kept as it came and treated as not yet available. */
export type CidSetFileStatus = 'REQUESTED' | 'PROCESSING' | 'AVAILABLE' | 'UNAVAILABLE' | 'ERROR' | (string & {});

export interface CidSetFile extends Stamp {
  readonly id: string;
  readonly status: CidSetFileStatus;
  readonly participant: string;
  readonly keyType: string;
  readonly requestTime: Date;
  /** These four are present once the status is AVAILABLE. */
  readonly creationTime: Date | null;
  readonly url: string | null;
  readonly bytes: number | null;
  readonly sha256: string | null;
}

export interface CidSetEvent {
  readonly type: 'ADDED' | 'REMOVED';
  readonly cid: string;
  readonly timestamp: Date;
}

/** One page of DICT's event log. There is no cursor: the next page starts at this one's last timestamp and overlaps it. */
export interface CidSetEventPage extends Stamp {
  readonly hasMoreElements: boolean;
  /** VSync after the first event of the page; null where DICT sent none (an empty page). */
  readonly syncVerifierStart: string | null;
  /** VSync after the last event of the page; null where DICT sent none. */
  readonly syncVerifierEnd: string | null;
  /** Ascending by timestamp. */
  readonly events: readonly CidSetEvent[];
}

/** The entry a CID stands for. `found: false` is DICT's own 404: no active entry has that CID. */
export type EntryByCid =
  | (Stamp & { readonly found: true; readonly cid: string; readonly entry: ExtendedEntry; readonly requestId: string })
  | (Stamp & { readonly found: false });

/** State of one token bucket. */
export interface Policy {
  readonly name: string;
  readonly availableTokens: number;
  readonly capacity: number;
  readonly refillTokens: number;
  readonly refillPeriodSec: number;
}

export interface DictApi {
  /** POST /sync-verifications/ */
  createSyncVerification(
    request: { readonly participant: Participant; readonly keyType: KeyType; readonly participantSyncVerifier: string },
    options?: CallOptions,
  ): Promise<SyncVerification>;
  /** POST /cids/files/ */
  createCidSetFile(
    request: { readonly participant: Participant; readonly keyType: KeyType },
    options?: CallOptions,
  ): Promise<CidSetFile>;
  /** GET /cids/files/{Id} */
  getCidSetFile(request: { readonly participant: Participant; readonly id: string }, options?: CallOptions): Promise<CidSetFile>;
  /**
   * GET the file's `Url`: its bytes as they arrive, uncompressed. Stops at `bytesMax`. A transfer that is cut goes on where it was; one
   * that cannot because the file has changed rejects with `FileChanged`. With `from` the caller has that many bytes already and is
   * given those after them; `bytesMax` counts them too. The digest is the caller's to check, since only it sees every byte.
   */
  downloadCidSetFile(
    request: { readonly url: string; readonly bytesMax: number; readonly from?: number },
    options?: CallOptions,
  ): AsyncIterable<Uint8Array>;
  /** GET /cids/events; `limit` 1 to 200, both times inclusive. */
  listCidSetEvents(
    request: {
      readonly participant: Participant;
      readonly keyType: KeyType;
      readonly startTime?: Date;
      readonly endTime?: Date;
      readonly limit?: number;
    },
    options?: CallOptions,
  ): Promise<CidSetEventPage>;
  /** GET /cids/entries/{Cid} */
  getEntryByCid(request: { readonly participant: Participant; readonly cid: string }, options?: CallOptions): Promise<EntryByCid>;
  /** GET /policies/{policy} */
  getPolicy(request: { readonly participant: Participant; readonly name: string }, options?: CallOptions): Promise<Policy>;
  /** GET /policies/ */
  listPolicies(request: { readonly participant: Participant }, options?: CallOptions): Promise<readonly Policy[]>;
}
