/**
 * What a verification can come to, and what its next step is. Plain JSON: both cross the flow's steps and are stored with the
 * run. A NOK alone is no outcome: it is explained first.
 */

/**
 * What should follow an outcome that proves nothing: `wait` and verify again later, compare with the CID set `file`, or hold
 * traffic in a `maintenance-window`.
 */
export type NextRung = 'wait' | 'file' | 'maintenance-window';

export type VerificationOutcome =
  /** DICT said OK to our VSync as of `seq`; it proves no later one. */
  | { readonly kind: 'in-sync'; readonly proof: 'ok'; readonly seq: number; readonly responseTime: string }
  /** DICT's log accounts for everything: at its event of time `at`, DICT's set was ours as of `seq` but for what was in flight and has settled. */
  | { readonly kind: 'in-sync'; readonly proof: 'log'; readonly seq: number; readonly at: string; readonly settled: number }
  /** `located`: how many CIDs are known to differ; 0 means that only the CID set file can tell which. */
  | { readonly kind: 'diverged'; readonly located: number; readonly reason: string }
  | { readonly kind: 'inconclusive'; readonly reason: string; readonly next: NextRung }
  /** DICT could not be asked. Says nothing about the base. */
  | { readonly kind: 'unavailable'; readonly reason: string }
  /** Concluded by a reconciliation only: the file equals the base and DICT still says NOK (rule R15). */
  | { readonly kind: 'dict-inconsistent'; readonly reason: string };

/** What the flow does next with a run. */
export type NextStep =
  | { readonly step: 'ask'; readonly waitMs: number }
  | { readonly step: 'explain'; readonly waitMs: number }
  | { readonly step: 'concluded'; readonly outcome: VerificationOutcome };
