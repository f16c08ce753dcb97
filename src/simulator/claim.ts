/** A claim as far as CIDs are concerned: whose the key is, whose it becomes, and how far things are. */

import type { Attributes } from './directory.ts';

export type ClaimType = 'OWNERSHIP' | 'PORTABILITY';

export interface Claim {
  readonly id: string;
  readonly type: ClaimType;
  /** The entry as it will be: the claimer's account and person. */
  readonly wanted: Attributes;
  readonly donor: string;
  readonly openedMs: number;
  status: 'WAITING_RESOLUTION' | 'CONFIRMED' | 'CANCELLED' | 'COMPLETED';
  modifiedMs: number;
  confirmReason: string | null;
  /** Since when the person behind the key has had it; kept by a portability. */
  ownedSinceMs: number | null;
  createdMs: number | null;
}

export type Claims = Map<string, Claim>;
