/** The limits and waits of a verification, with the defaults that the configuration documents. Stages never read configuration. */

export interface VerifySettings {
  /** How far DICT's event log may lag behind its writes. */
  readonly logLagMs: number;
  /** How far two timestamps of DICT's may disagree about the order of things. */
  readonly clockSkewMs: number;
  /** How long a change may be known to one side only before it counts as a divergence. */
  readonly inFlightGraceMs: number;
  /** How old ingest's oldest unconsumed event may be before a verification would only measure ingest (rule R1). */
  readonly ingestGraceMs: number;
  /** After this long without a verification, or without an OK, one is sent even so (rules R1 and R13). */
  readonly criticalAgeMs: number;
  /** Questions after the first NOK. */
  readonly reasksMax: number;
  /** Calls of one kind that may fail in a row, the first wait between them (doubling), and the limit of one call. */
  readonly triesMax: number;
  readonly firstRetryMs: number;
  readonly callLimitMs: number;
  /** Pages of 200 events that one look at the log may cost. */
  readonly logPagesMax: number;
  /** Waits between looks: the first, and the longest that doubling leads to. */
  readonly firstPollMs: number;
  readonly longestPollMs: number;
  /** Looks after one NOK, at most. */
  readonly looksMax: number;
  /** How far back the log is read where nothing has been proven yet. */
  readonly firstWindowMs: number;
}

export const VERIFY_DEFAULTS: VerifySettings = {
  logLagMs: 5_000,
  clockSkewMs: 1_000,
  inFlightGraceMs: 300_000,
  ingestGraceMs: 300_000,
  criticalAgeMs: 108_000_000,
  reasksMax: 3,
  triesMax: 3,
  firstRetryMs: 1_000,
  callLimitMs: 60_000,
  logPagesMax: 50,
  firstPollMs: 5_000,
  longestPollMs: 30_000,
  looksMax: 60,
  firstWindowMs: 3_600_000,
};
