/**
 * Entries of an existing base in the form in which they wait in import_entries: rows of dict_entries as the import makes them where
 * nothing else is known of their keys, CIDs included, in PostgreSQL's binary format. Where something is known, import-merging.ts folds them.
 */

import { CID_BYTES, type CidAlgorithm } from '../cid/cid.ts';
import { cidBatch } from '../cid/cid-batch.ts';
import type { Participant } from '../dict/participant.ts';
import type { EntryState } from '../event/key-event.ts';
import { BinaryRows } from '../platform/postgres/binary-rows.ts';
import { cidOfState } from './stored-entry.ts';

/** What all rows of an import have in common; plain data, since it travels to worker threads. */
export interface StagedWith {
  readonly asOfMs: number;
  readonly updatedAtMs: number;
  /** The seq that the commit has in which they become the base. */
  readonly seq: number;
  /** Of participants whose CIDs are not made by `dict`. */
  readonly algorithms: Readonly<Record<Participant, CidAlgorithm>>;
}

/** The columns that the rows have, in their order; those left out are null. */
export const STAGED_COLUMNS = `participant, key, key_type, status, cid, branch, account_number, account_type, account_opened_at,
  owner_type, owner_tax_id, owner_name, owner_trade_name, request_id, registered_at, participant_registered_at, request_id_since,
  occurred_at, seq, updated_at`;

const fields = 20;
/** A block of a file and its rows are of about the same size. */
const startBytes = 1_310_720;

/** The rows of one block. */
export interface StagedBlock {
  /** Without header and trailer. */
  readonly bytes: Buffer<ArrayBuffer>;
  readonly rows: number;
  readonly withoutRequestId: number;
  /** Participants and key types, each as `participant key_type`. */
  readonly scopes: readonly string[];
}

/** Takes entries one by one and hands over their rows. */
export class StagedRows {
  readonly #algorithms: StagedWith['algorithms'];
  /** The last fields of every row. */
  readonly #stamp: Uint8Array;
  readonly #written = new BinaryRows(startBytes);
  readonly #batch = cidBatch();
  /** Where the CIDs of the batch belong. */
  readonly #places: number[] = [];
  #scopes = new Set<string>();
  #lastScope = '';
  #rows = 0;
  #withoutRequestId = 0;

  constructor({ asOfMs, updatedAtMs, seq, algorithms }: StagedWith) {
    this.#algorithms = algorithms;
    const stamp = new BinaryRows(64);
    stamp.timestamp(asOfMs);
    stamp.timestamp(asOfMs);
    const seqBytes = Buffer.alloc(8);
    seqBytes.writeBigInt64BE(BigInt(seq));
    stamp.bytes(seqBytes);
    stamp.timestamp(updatedAtMs);
    this.#stamp = stamp.take();
  }

  /** How much is written since the last `take`. */
  get length(): number {
    return this.#written.length;
  }

  /** One entry with its CID, or, where it has no RequestId, unresolved. */
  add(state: EntryState): void {
    const { entry, requestId, registeredAt, participantRegisteredAt } = state;
    const { account, owner } = entry;
    const written = this.#written;
    written.row(fields);
    written.text(account.participant);
    written.text(entry.key);
    written.text(entry.keyType);
    written.text(requestId === null ? 'UNRESOLVED' : 'ACTIVE');
    this.#cid(state);
    written.text(account.branch);
    written.text(account.accountNumber);
    written.text(account.accountType);
    written.timestamp(Date.parse(account.openingDate));
    written.text(owner.type);
    written.text(owner.taxIdNumber);
    written.text(owner.name);
    written.text(owner.tradeName);
    written.uuid(requestId);
    written.timestamp(registeredAt === null ? null : registeredAt.getTime());
    written.timestamp(participantRegisteredAt === null ? null : participantRegisteredAt.getTime());
    written.fields(this.#stamp);
    this.#rows += 1;
    if (requestId === null) this.#withoutRequestId += 1;
    const scope = `${account.participant} ${entry.keyType}`;
    if (scope !== this.#lastScope) this.#scopes.add(scope);
    this.#lastScope = scope;
  }

  /** The CID's field. Those of `dict` are computed many at once, and written when they are. */
  #cid({ entry, requestId, registeredAt, participantRegisteredAt }: EntryState): void {
    const algorithm = this.#algorithms[entry.account.participant] ?? 'dict';
    if (requestId === null) {
      this.#written.empty();
    } else if (algorithm === 'dict') {
      if (this.#batch.isFull) this.#writeCids();
      this.#batch.add(entry, requestId);
      this.#places.push(this.#written.later(CID_BYTES));
    } else {
      this.#written.bytes(cidOfState({ entry, requestId, registeredAt, participantRegisteredAt }, algorithm));
    }
  }

  #writeCids(): void {
    const cids = this.#batch.compute();
    for (const [index, place] of this.#places.entries()) {
      this.#written.put(place, cids.subarray(index * CID_BYTES, (index + 1) * CID_BYTES));
    }
    this.#places.length = 0;
  }

  /** What was added since the last time. */
  take(): StagedBlock {
    this.#writeCids();
    const block = {
      bytes: this.#written.take(),
      rows: this.#rows,
      withoutRequestId: this.#withoutRequestId,
      scopes: [...this.#scopes],
    };
    this.#rows = 0;
    this.#withoutRequestId = 0;
    this.#scopes = new Set();
    this.#lastScope = '';
    return block;
  }
}
