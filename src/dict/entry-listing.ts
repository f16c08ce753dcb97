/**
 * The paged listing of a participant's entries, as types. It is an interface of its own because API v2 of DICT does not offer it: only
 * a directory with the operation `GetKeys` does. What a page says is a hint and never a proof (rule R17): pages shift while others
 * write, and no entry comes with its RequestId, so that no CID follows from it.
 */

import type { CallOptions, Stamp } from './api.ts';
import type { ExtendedEntry } from './entry.ts';
import type { Participant } from './participant.ts';

/** Entries on one page at most. */
export const LISTING_PAGE_SIZE_MAX = 1_000;

export interface EntryListingRequest {
  /** Whose entries. */
  readonly participant: Participant;
  /** From 1. */
  readonly pageNumber: number;
  /** 1 to 1000. */
  readonly pageSize: number;
  readonly status: 'ACTIVE';
  /** Only entries that were created or changed at this time or later. */
  readonly updatedSince?: Date;
}

/** One page. Nothing says in which order entries come, and the next page may repeat or leave out some. */
export interface EntryPage extends Stamp {
  /** Without their RequestIds. */
  readonly entries: readonly ExtendedEntry[];
  /** Why an entry of the page could not be read, one text each, without its values: the others count all the same. */
  readonly unreadable: readonly string[];
  /** All entries that fit the request, on whichever page, as of this answer. */
  readonly totalCount: number;
  readonly hasNextPage: boolean;
}

export interface EntryListing {
  /** One page; rejects with a `DictError`, and with `TypeError` for a page number or size out of range. */
  listEntries(request: EntryListingRequest, options?: CallOptions): Promise<EntryPage>;
}
