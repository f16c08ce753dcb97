/** What an operation gets to work with, and how it reads a request: every complaint names the field and what would be right. */

import { isKeyType, KEY_TYPES, type KeyType } from '../dict/key-type.ts';
import { childOf, type XmlElement, type XmlSource } from '../platform/xml.ts';
import type { CidSetFiles } from './cid-set-file.ts';
import type { Claims } from './claim.ts';
import type { Directory } from './directory.ts';
import type { SimulatorSettings } from './options.ts';
import { Problem } from './problem.ts';
import type { Random } from './random.ts';
import type { TokenBuckets } from './token-bucket.ts';

/** The simulator's parts. */
export interface Parts {
  readonly settings: SimulatorSettings;
  readonly directory: Directory;
  readonly files: CidSetFiles;
  readonly claims: Claims;
  readonly buckets: TokenBuckets;
  readonly random: Random;
  nextId(): string;
  /** Where CID set files are downloaded, without a slash at the end. */
  filesUrl(): string;
}

/** One request, taken apart. */
export interface Call {
  /** What the path holds in place of {Key}, {Id}, {Cid}, {policy} or {ClaimId}; empty for paths without. */
  readonly argument: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Null for requests without a body. */
  readonly document: XmlElement | null;
  readonly nowMs: number;
}

/** What an operation answers: the root's name and what stands in it, beside time and correlation id. */
export interface Reply {
  readonly status: 200 | 201;
  readonly name: string;
  readonly children: readonly (XmlSource | null)[];
  /** Stamps after the content. Default: before it. */
  readonly stampsLast?: boolean;
  /** The correlation id before the time. Default: after it. */
  readonly correlationFirst?: boolean;
}

/** The element at a path below the root, or undefined. */
export function at(root: XmlElement | null, ...names: readonly string[]): XmlElement | undefined {
  let found: XmlElement | undefined = root ?? undefined;
  for (const name of names) found = found === undefined ? undefined : childOf(found, name);
  return found;
}

/** Text of the element at a path; null when it is missing or empty. */
export function textAt(root: XmlElement | null, ...names: readonly string[]): string | null {
  const text = at(root, ...names)?.text ?? '';
  return text === '' ? null : text;
}

/** The request's body. */
export function documentOf(call: Call, rootName: string): XmlElement {
  if (call.document === null) throw new Problem('BadRequest', 'Could not parse request body: it is empty');
  if (call.document.name !== rootName) {
    throw new Problem('BadRequest', `Could not parse request body: root is ${call.document.name}, expected ${rootName}`);
  }
  return call.document;
}

/** A value that has to match a form. */
export function matching(value: string | null, form: RegExp, property: string): string {
  if (value !== null && form.test(value)) return value;
  const reason = value === null ? 'Value is required' : `Value does not match regex '${form.source}'`;
  throw new Problem('BadRequest', `Invalid ${property}`, [{ reason, property, ...(value === null ? {} : { value }) }]);
}

const ISPB = /^[0-9]{8}$/;

/** A participant that is named and may ask. */
export function participantOf(parts: Parts, value: string | null, property: string): string {
  const ispb = matching(value, ISPB, property);
  if (parts.settings.participants?.has(ispb) === false) {
    throw new Problem('Forbidden', 'Participant is not allowed to access this resource');
  }
  return ispb;
}

/** A key type that the contract knows. */
export function keyTypeOf(value: string | null, property: string): KeyType {
  if (value !== null && isKeyType(value)) return value;
  const reason = value === null ? 'Value is required' : `Value is none of ${KEY_TYPES.join(', ')}`;
  throw new Problem('BadRequest', `Invalid ${property}`, [{ reason, property, ...(value === null ? {} : { value }) }]);
}

/** The participant named in the header that every GET but listCidSetEvents needs. */
export function requesterOf(parts: Parts, call: Call): string {
  return participantOf(parts, call.headers['pi-requestingparticipant'] ?? null, 'PI-RequestingParticipant');
}

/** The refusal to show somebody else's entry or file. */
export function foreignProblem(parts: Parts, detail: string): Problem {
  return parts.settings.readings.foreign === 'forbidden'
    ? new Problem('Forbidden', 'Participant is not allowed to access this resource')
    : new Problem('NotFound', detail);
}

/** CIDs, VSyncs and digests in the case that the reading asks for. */
export function hexAs(parts: Parts, hex: string): string {
  return parts.settings.readings.hexCase === 'upper' ? hex.toUpperCase() : hex;
}

/**
 * Where CID set files are downloaded, without a slash at the end: under the name by which the caller knows this machine, since
 * one that listens on all addresses has no name of its own.
 */
export function filesUrlFor(parts: Parts, call: Call): string {
  const url = new URL(parts.filesUrl());
  const caller = URL.parse(`http://${call.headers['host'] ?? ''}`);
  if (caller !== null && caller.hostname !== '') url.hostname = caller.hostname;
  return url.href;
}

/** An instant as the contract writes it: UTC, with milliseconds. */
export function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}
