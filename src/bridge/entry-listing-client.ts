/**
 * `ListEntries` over SOAP: INT-003's operation `GetKeys` at a directory that offers it. One call is one page and one try; trying again
 * is the flow's, whose patience survives a restart. What the envelope is and where the signature stands is soap-envelope.ts.
 */

import type { CallOptions } from '../dict/api.ts';
import type { ExtendedEntry } from '../dict/entry.ts';
import { type EntryListing, type EntryListingRequest, type EntryPage, LISTING_PAGE_SIZE_MAX } from '../dict/entry-listing.ts';
import { DictError } from '../dict/errors.ts';
import type { Clock } from '../platform/clock.ts';
import { element, parseXml, writeXml, type XmlElement, XmlInvalid, type XmlLimits, type XmlSource } from '../platform/xml.ts';
import { canonicalXml } from '../platform/xml-canonical.ts';
import { count, type Fields, flag, invalidAnswer, sections, stamp } from './answer-fields.ts';
import { type Signatures, signedRoot } from './answer-signature.ts';
import type { HttpAnswer, Transport } from './dict-transport.ts';
import { readListedEntry } from './entry-xml.ts';
import { isXml, problemOf } from './problem.ts';
import { contentOf, envelopeAround } from './soap-envelope.ts';

/** How long one page may take: 1,000 entries are read from a directory that is not made for it. */
export const LISTING_CALL_MS = 120_000;
/** Bytes of a page: 1,000 entries of the longest texts that DICT allows, escaped, are some 3 MiB. */
export const LISTING_ANSWER_BYTES_MAX = 8 * 1024 * 1024;

/** An entry has at most 17 elements: with the envelope and some unknown ones for each, this is never reached by an honest page. */
const XML_LIMITS: XmlLimits = { bytesMax: LISTING_ANSWER_BYTES_MAX, depthMax: 32, elementsMax: 60_000 };

const operation = 'listEntries';

export interface EntryListingClientOptions {
  /** The address of `GetKeys` itself, such as `https://dict.bcb.gov.br/api/v1/dict/entries/list`. */
  readonly url: string;
  /** Connections, mutual TLS and limits; closed by this client's `close`. */
  readonly transport: Transport;
  readonly clock: Clock;
  readonly signatures: Signatures;
}

/**
 * A client for one directory, for any number of participants.
 *
 * @throws TypeError when `url` is no http or https URL.
 */
export function createEntryListingClient(options: EntryListingClientOptions): EntryListing & { close(): Promise<void> } {
  const url = URL.parse(options.url);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new TypeError(`url: "${options.url}" is not an http or https URL`);
  }
  return {
    listEntries: (request, callOptions) => listEntries(options, url, request, callOptions),
    close: () => options.transport.close(),
  };
}

async function listEntries(
  { transport, clock, signatures }: EntryListingClientOptions,
  url: URL,
  request: EntryListingRequest,
  options?: CallOptions,
): Promise<EntryPage> {
  const document = writeXml(requestXml(request));
  const body = envelopeAround(signatures.sign === null ? document : signatures.sign(document));
  const headers = {
    accept: 'text/xml',
    'user-agent': 'dict-vsync',
    'content-type': 'text/xml; charset=utf-8',
    soapaction: '"GetKeys"',
  };
  const answer = await transport.send({ operation, method: 'POST', url, headers, body }, options?.signal);
  return readPage(openAnswer(signatures, answer, clock.now()), request);
}

function requestXml(request: EntryListingRequest): XmlSource {
  const { participant, pageNumber, pageSize, status, updatedSince } = request;
  if (!(Number.isInteger(pageNumber) && pageNumber >= 1)) {
    throw new TypeError(`pageNumber: ${pageNumber} is not a whole number from 1`);
  }
  if (!(Number.isInteger(pageSize) && pageSize >= 1 && pageSize <= LISTING_PAGE_SIZE_MAX)) {
    throw new TypeError(`pageSize: ${pageSize} is not a whole number from 1 to ${LISTING_PAGE_SIZE_MAX}`);
  }
  return element('GetKeysRequest', [
    element('ISPB', participant),
    element('Status', status),
    element('Page', String(pageNumber)),
    element('PageSize', String(pageSize)),
    updatedSince === undefined ? null : element('UpdatedSince', updatedSince.toISOString()),
  ]);
}

/** The payload, of which only what was signed is left; a Fault, or what is no SOAP, is thrown. */
function openAnswer(signatures: Signatures, answer: HttpAnswer, now: Date): Fields {
  const { status } = answer;
  const root = rootOf(answer);
  // A gateway's answer is judged by its status; nothing about the directory follows from it.
  if (root === null) throw problemOf(operation, { ...answer, body: new Uint8Array() }, now, (problem) => problem);
  const content = contentOf(root);
  if (content.kind === 'refused') throw invalid(status, content.why);
  if (content.kind === 'fault') throw faultOf(signatures, answer, content, now);
  if (status !== 200) throw invalid(status, `HTTP ${status} without a Fault`);
  const payload = signedRoot(signatures, content.payload, { operation, status, now });
  if (payload.name !== 'GetKeysResponse') throw invalid(status, `its payload is not GetKeysResponse`);
  return { element: payload, operation, status, path: payload.name };
}

/** Null: no XML although an error status says that something else than the directory may have answered. */
function rootOf(answer: HttpAnswer): XmlElement | null {
  const isError = answer.status !== 200;
  if (!isXml(answer.headers['content-type'])) {
    if (isError) return null;
    throw invalid(answer.status, 'its content type is not XML in UTF-8');
  }
  try {
    return parseXml(answer.body, XML_LIMITS);
  } catch (cause) {
    if (!(cause instanceof XmlInvalid)) throw cause;
    if (isError) return null;
    throw invalid(answer.status, cause.message);
  }
}

/** What a Fault without a problem document says; the others of SOAP (`VersionMismatch`, …) are for a person to look at. */
const FAULT_KINDS: ReadonlyMap<string, string> = new Map([
  ['Client', 'BadRequest'],
  ['Server', 'InternalServerError'],
]);

interface Fault {
  readonly code: string;
  readonly problem: XmlElement | null;
}

/**
 * The error that a Fault stands for. Its detail holds the problem document that DICT would have answered over REST, signed as that is;
 * HTTP says 500 for all of them, so that the document's own status counts.
 */
function faultOf(signatures: Signatures, answer: HttpAnswer, { code, problem }: Fault, now: Date): DictError {
  if (problem === null) {
    const kind = FAULT_KINDS.get(code) ?? 'InvalidAnswer';
    return new DictError(
      kind,
      answer.status,
      `${operation}: the directory answered with the Fault ${/^[A-Za-z.]{1,40}$/.test(code) ? code : '(unnamed)'}`,
    );
  }
  const status = Number(problem.children.find(({ name }) => name === 'status')?.text.trim() ?? answer.status);
  const known = Number.isInteger(status) && status >= 400 && status <= 599 ? status : answer.status;
  const alone: HttpAnswer = {
    status: known,
    headers: { ...answer.headers, 'content-type': 'application/problem+xml' },
    body: Buffer.from(canonicalXml(problem)),
  };
  const signed = (root: XmlElement): XmlElement => signedRoot(signatures, root, { operation, status: known, now });
  return problemOf(operation, alone, now, signed);
}

function invalid(status: number, why: string): DictError {
  return new DictError('InvalidAnswer', status, `${operation}: the answer cannot be used: ${why}`);
}

function readPage(answer: Fields, { pageSize }: EntryListingRequest): EntryPage {
  const listed = sections(answer, 'Keys', 'Entry');
  if (listed.length > pageSize) throw invalidAnswer(answer, 'Keys', `holds more than the ${pageSize} entries asked for`);
  const entries: ExtendedEntry[] = [];
  const unreadable: string[] = [];
  for (const fields of listed) {
    try {
      entries.push(readListedEntry(fields));
    } catch (cause) {
      // One entry that cannot be read (a key type of tomorrow, say) must not hide the others.
      if (!(cause instanceof DictError)) throw cause;
      unreadable.push(cause.message);
    }
  }
  return {
    ...stamp(answer),
    entries,
    unreadable,
    totalCount: count(answer, 'TotalCount'),
    hasNextPage: flag(answer, 'HasNextPage'),
  };
}
