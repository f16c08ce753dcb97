/**
 * Everything that can be set on the simulator, with its default. `readings` are the ways to understand what the DICT contract
 * leaves unsaid: a client has to survive each of them.
 */

import type { CertificateStore } from '../platform/certificate.ts';
import { type Clock, systemClock } from '../platform/clock.ts';
import type { XmlSigner } from '../platform/xml-signature.ts';
import type { Behaviour } from './behaviour.ts';
import type { FaultPlan } from './fault-plan.ts';
import type { ServerTls } from './http-server.ts';
import { DEFAULT_POLICIES, type PolicyLimits } from './token-bucket.ts';

/** The readings and their values; the first of each is the default. */
export const READINGS = {
  /** A page without events: echoes the query's times with the current VSync, or leaves the four elements out. */
  emptyEventList: ['echo', 'absent'],
  /** An update that leaves the CID as it is: REMOVED and ADDED of one CID, or no event. */
  unchangedUpdate: ['events', 'silent'],
  /** `Limit` over 200. */
  limitOver200: ['refused', 'clamped'],
  /** Another participant's entry or file: 403 or 404. */
  foreign: ['forbidden', 'not-found'],
  /** Where schema and example of the contract disagree about the order of elements. */
  elementOrder: ['example', 'schema'],
  /** Tokens come back evenly, or all at once when the period ends. */
  refill: ['evenly', 'at-period-end'],
  /** Ids start at 1001, or above 2^31, or above 2^53. */
  ids: ['small', 'above-2^31', 'above-2^53'],
  /** Hex digits of CIDs, VSyncs and digests in answers and files. */
  hexCase: ['lower', 'upper'],
} as const;

export type Readings = { readonly [Name in keyof typeof READINGS]: (typeof READINGS)[Name][number] };

const DEFAULT_READINGS: Readings = {
  emptyEventList: READINGS.emptyEventList[0],
  unchangedUpdate: READINGS.unchangedUpdate[0],
  limitOver200: READINGS.limitOver200[0],
  foreign: READINGS.foreign[0],
  elementOrder: READINGS.elementOrder[0],
  refill: READINGS.refill[0],
  ids: READINGS.ids[0],
  hexCase: READINGS.hexCase[0],
};

/** How a CID set file comes to be, in milliseconds of the simulator's clock. */
export interface FileGeneration {
  /** How long the status stays REQUESTED. Default 1,000. */
  readonly requestedMs: number;
  /** How long the status stays PROCESSING. Default 4,000. */
  readonly processingMs: number;
  /** The instant that the file shows: 0 is RequestTime, 1 is CreationTime. Default 0.5. */
  readonly snapshotAt: number;
  /** Files whose content is kept; older ones become UNAVAILABLE. Default 20. */
  readonly kept: number;
}

/** Signatures of the simulated DICT. */
export interface SimulatorSignatures {
  /** Signs answers and errors. */
  readonly sign: XmlSigner;
  /** The participants' certificates: bodies that are not signed with one of them are refused. */
  readonly trust: CertificateStore;
}

export interface SimulatorOptions {
  /** Address that API and files listen on; the control interface stays on 127.0.0.1. Default 127.0.0.1. */
  readonly host?: string;
  /** Port of the API; 0 takes a free one. Default 0. */
  readonly port?: number;
  /** Port that serves CID set files. Default 0. */
  readonly filesPort?: number;
  /** Port of the control interface; null (the default) switches it off. */
  readonly controlPort?: number | null;
  /** Seed of everything random: order of files, generated keys, correlation ids. Default 1. */
  readonly seed?: number;
  readonly clock?: Clock;
  /** An event is listed this long after it happened. Default 5,000. */
  readonly logLagMs?: number;
  /** Events kept for each participant and key type; older ones are no longer listed. Default 1,000,000. */
  readonly logEventsMax?: number;
  readonly file?: Partial<FileGeneration>;
  /** Overrides of the token buckets by policy name; null switches all limits off. Default: the numbers of API 2.6.1. */
  readonly policies?: Readonly<Record<string, PolicyLimits>> | null;
  readonly readings?: Partial<Readings>;
  /** Whether answers and files are compressed for clients that accept gzip. Default true. */
  readonly gzip?: boolean;
  /** Only these participants may ask; null (the default) lets every ISPB in. */
  readonly participants?: readonly string[] | null;
  /** Consulted before and after every operation, ahead of the faults set through the control interface. */
  readonly behaviour?: Behaviour | null;
  /** Faults drawn from a seed for every call; null (the default): none. */
  readonly faultPlan?: FaultPlan | null;
  /** Null (the default): nothing is signed, and signatures of bodies are passed over. */
  readonly signatures?: SimulatorSignatures | null;
  /** Mutual TLS of API and files; null (the default): plain http. The control interface never has it. */
  readonly tls?: ServerTls | null;
}

/** Where everything listens unless told otherwise, and the control interface always. */
export const LOOPBACK = '127.0.0.1';

/** The options with nothing left open. */
export interface SimulatorSettings {
  readonly host: string;
  readonly port: number;
  readonly filesPort: number;
  readonly controlPort: number | null;
  readonly seed: number;
  readonly clock: Clock;
  readonly logLagMs: number;
  readonly logEventsMax: number;
  readonly file: FileGeneration;
  readonly policies: Readonly<Record<string, PolicyLimits>> | null;
  readonly readings: Readings;
  readonly gzip: boolean;
  readonly participants: ReadonlySet<string> | null;
  readonly behaviour: Behaviour | null;
  readonly faultPlan: FaultPlan | null;
  readonly signatures: SimulatorSignatures | null;
  readonly tls: ServerTls | null;
}

/**
 * Fills in the defaults.
 *
 * @throws RangeError naming the option whose number makes no sense.
 */
export function simulatorSettings(options: SimulatorOptions): SimulatorSettings {
  const file = { requestedMs: 1_000, processingMs: 4_000, snapshotAt: 0.5, kept: 20, ...options.file };
  const settings: SimulatorSettings = {
    host: options.host ?? LOOPBACK,
    port: options.port ?? 0,
    filesPort: options.filesPort ?? 0,
    controlPort: options.controlPort ?? null,
    seed: options.seed ?? 1,
    clock: options.clock ?? systemClock,
    logLagMs: options.logLagMs ?? 5_000,
    logEventsMax: options.logEventsMax ?? 1_000_000,
    file,
    policies: options.policies === null ? null : { ...DEFAULT_POLICIES, ...options.policies },
    readings: { ...DEFAULT_READINGS, ...options.readings },
    gzip: options.gzip ?? true,
    participants: options.participants == null ? null : new Set(options.participants),
    behaviour: options.behaviour ?? null,
    faultPlan: options.faultPlan ?? null,
    signatures: options.signatures ?? null,
    tls: options.tls ?? null,
  };
  inRange('logLagMs', settings.logLagMs, 0, Number.MAX_SAFE_INTEGER);
  inRange('logEventsMax', settings.logEventsMax, 1, 100_000_000);
  inRange('file.requestedMs', file.requestedMs, 0, Number.MAX_SAFE_INTEGER);
  inRange('file.processingMs', file.processingMs, 0, Number.MAX_SAFE_INTEGER);
  inRange('file.snapshotAt', file.snapshotAt, 0, 1);
  inRange('file.kept', file.kept, 1, 1_000);
  return settings;
}

function inRange(name: string, value: number, min: number, max: number): void {
  if (!(value >= min && value <= max)) {
    throw new RangeError(`simulator option ${name}: ${value} is outside ${min} to ${max}`);
  }
}
