/**
 * What `ListEntries` is answered from: a directory that lists a participant's entries page by page (GetKeys). API v2 of DICT has no
 * such operation, so a bridge may have no source for it; then the method is unimplemented.
 */

import type { CallOptions } from '../../dict/api.ts';
import type { ExtendedEntry } from '../../dict/entry.ts';
import type { Participant } from '../../dict/participant.ts';

export const PAGE_SIZE_MAX = 1_000;

export interface EntryPageRequest {
  readonly participant: Participant;
  /** From 1 on. */
  readonly pageNumber: number;
  /** 1 to 1,000. */
  readonly pageSize: number;
  /** In the directory's own word; absent: of any status. */
  readonly status?: string;
  /** Entries changed at or after this moment; absent: all. */
  readonly updatedSince?: Date;
}

export interface ListedEntry {
  readonly entry: ExtendedEntry;
  /** In the directory's own word. */
  readonly status: string;
  /** The next three are null where the directory does not tell them. */
  readonly requestId: string | null;
  readonly externalId: string | null;
  readonly updatedAt: Date | null;
}

export interface EntryPage {
  readonly entries: readonly ListedEntry[];
  /** Over all pages, as counted for this answer. */
  readonly totalCount: number;
  readonly hasNextPage: boolean;
}

export interface EntryListing {
  listEntries(request: EntryPageRequest, options?: CallOptions): Promise<EntryPage>;
}
