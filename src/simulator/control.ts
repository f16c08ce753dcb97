/**
 * The simulator's control, for the program that runs it in process: seeding, tampering as the Central Bank does in
 * homologation, and looking behind the scenes. The control server offers the same over HTTP.
 */

import type { Entry, ExtendedEntry } from '../dict/entry.ts';
import type { KeyType } from '../dict/key-type.ts';
import type { ScriptedFault } from './behaviour.ts';
import type { ClaimType } from './claim.ts';
import type { Attributes } from './directory.ts';
import type { LogEvent } from './event-log.ts';
import type { DrawnFault, FaultPlan } from './fault-plan.ts';
import type { FileVariant } from './file-variant.ts';

/** An entry with the RequestId of the request that created it. */
export interface CreatedEntry {
  readonly entry: Entry;
  readonly requestId: string;
}

/** An active entry as DICT has it. */
export interface ActiveEntry {
  readonly cid: string;
  readonly requestId: string;
  readonly entry: ExtendedEntry;
}

/** How a change behind the participant's back happens. */
export interface TamperOptions {
  /** Whether DICT's event log tells of it. Default false. */
  readonly log?: boolean;
  /** When it happens, for several changes in one millisecond. Default now; never before the last logged event. */
  readonly at?: Date;
  /** The log lists it only so many milliseconds after it happened, between events that it has listed before: a late event. */
  readonly listedAfterMs?: number;
}

/** What of an entry can be altered; the key, its type, the participant and the RequestId stay. */
export type EntryAlteration = Partial<
  Pick<
    Attributes,
    'branch' | 'accountNumber' | 'accountType' | 'openingDate' | 'ownerType' | 'taxIdNumber' | 'name' | 'tradeName'
  >
>;

export interface Scoped {
  readonly participant: string;
  readonly keyType: KeyType;
}

export interface SimulatorState {
  /** Adds entries as if they had always been there: not in the event log. Says how many. */
  seedEntries(entries: Iterable<CreatedEntry>): number;
  /** Changes attributes; the CID follows, the RequestId stays. Returns the entry after the change. */
  alter(key: string, alteration: EntryAlteration, options?: TamperOptions): ActiveEntry;
  /** Removes an entry and returns what it was. */
  remove(key: string, options?: TamperOptions): ActiveEntry;
  insert(created: CreatedEntry, options?: TamperOptions): ActiveEntry;
  /** Makes DICT wrong about its own VSync by XORing these 64 hex digits into it; null mends it. */
  corruptVSync(scope: Scoped, mask: string | null): void;
  /** Events go on listing the VSync of now, whatever happens. */
  freezeVerifiers(scope: Scoped, frozen: boolean): void;
  /** Nothing that happens from now on is listed until the log is thawed. */
  freezeLog(scope: Scoped, frozen: boolean): void;
  /** Takes all events of these CIDs out of the log; says how many. */
  dropEvents(scope: Scoped, cids: readonly string[]): number;
  /** Lists all events of these CIDs twice; says how many events there are more. */
  repeatEvents(scope: Scoped, cids: readonly string[]): number;
  /** Opens a claim on a key's entry by another participant or account; returns its id. */
  registerClaim(claim: { readonly type: ClaimType; readonly claimer: Entry }): string;
  cancelClaim(id: string): void;
  /** Sets or clears the date since when a claim on the entry is open. */
  setOpenClaim(key: string, since: Date | null): void;
  /** Blocks or frees an entry by a judge's order. */
  setBlocked(key: string, blocked: boolean): void;
  /** The next files asked for come out in this form. */
  planFile(variant: FileVariant, times?: number): void;
  addFault(fault: ScriptedFault): void;
  /** Takes away the faults that were added, the plan of faults, and the planned forms of files. */
  clearFaults(): void;
  /** Draws faults for all further calls from a seed; null ends it. */
  planFaults(plan: FaultPlan | null): void;
  /** What the plan has drawn so far, oldest first. */
  drawnFaults(): readonly DrawnFault[];
  setTokens(participant: string, policy: string, tokens: number): void;
  /** Every active entry, or those of a participant or key type. */
  activeEntries(filter?: Partial<Scoped>): Iterable<ActiveEntry>;
  entryByKey(key: string): ActiveEntry | null;
  /** The VSync that DICT believes in, and the number of its active entries. */
  vsync(scope: Scoped): { readonly vsync: string; readonly keys: number };
  /** The whole event log, what is not listed yet included. */
  events(scope: Scoped): readonly LogEvent[];
  /** How often each operation was answered with which status, such as `listCidSetEvents 429`; 0 is a broken connection. */
  counts(): Readonly<Record<string, number>>;
}
