/**
 * Entries of an existing base in the form in which they wait in import_entries: rows of dict_entries as the import makes them where
 * nothing else is known of their keys, CIDs included, in PostgreSQL's binary format. Where something is known, import-merging.ts folds them.
 */

import { CID_BYTES, type CidAlgorithm } from '../cid/cid.ts';
import { cidBatch } from '../cid/cid-batch.ts';
import type { KeyType } from '../dict/key-type.ts';
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

/**
 * The columns that the rows have, in their order; those left out are null. First what a CID is made of, in its order (dict-cid.ts): what is
 * hashed is then copied from what was written, which took a third off the time of a row.
 */
export const STAGED_COLUMNS = `request_id, key_type, key, owner_tax_id, owner_name, owner_trade_name, participant, branch,
  account_number, account_type, cid, status, account_opened_at, owner_type, registered_at, participant_registered_at,
  request_id_since, occurred_at, seq, updated_at`;

const fields = 20;
const hashedFields = 9;
const ampersand = 0x26;
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
  /** The key types of each participant. */
  #scopes = new Map<Participant, Set<KeyType>>();
  #participant: Participant | null = null;
  #keyTypes = new Set<KeyType>();
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
    const start = written.length;
    written.uuid(requestId);
    written.text(entry.keyType);
    written.text(entry.key);
    written.text(owner.taxIdNumber);
    written.text(owner.name);
    written.text(owner.tradeName);
    written.text(account.participant);
    written.text(account.branch);
    written.text(account.accountNumber);
    written.text(account.accountType);
    this.#cid(state, start);
    written.text(requestId === null ? 'UNRESOLVED' : 'ACTIVE');
    written.timestamp(Date.parse(account.openingDate));
    written.text(owner.type);
    written.timestamp(registeredAt === null ? null : registeredAt.getTime());
    written.timestamp(participantRegisteredAt === null ? null : participantRegisteredAt.getTime());
    written.fields(this.#stamp);
    this.#rows += 1;
    if (requestId === null) this.#withoutRequestId += 1;
    if (account.participant !== this.#participant) this.#turnTo(account.participant);
    this.#keyTypes.add(entry.keyType);
  }

  /** Rows of one participant mostly follow each other: its key types are gathered without a look-up for each. */
  #turnTo(participant: Participant): void {
    this.#participant = participant;
    this.#keyTypes = this.#scopes.get(participant) ?? new Set();
    this.#scopes.set(participant, this.#keyTypes);
  }

  /** The CID's field, of what was written from `start` on. Those of `dict` are computed many at once, and written when they are. */
  #cid({ entry, requestId, registeredAt, participantRegisteredAt }: EntryState, start: number): void {
    const algorithm = this.#algorithms[entry.account.participant] ?? 'dict';
    if (requestId === null) {
      this.#written.empty();
    } else if (algorithm === 'dict') {
      if (this.#batch.isFull) this.#writeCids();
      const { bytes, messageAt, messageBytesMax, requestIdAt } = this.#batch;
      const attributesAt = this.#written.copyField(start, bytes, requestIdAt);
      const messageBytes = this.#written.join(
        { from: attributesAt, fields: hashedFields, separator: ampersand },
        bytes,
        messageAt,
        messageBytesMax,
      );
      if (messageBytes === null) this.#batch.add(entry, requestId);
      else this.#batch.commit(messageBytes);
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
      scopes: [...this.#scopes].flatMap(([participant, keyTypes]) => [...keyTypes].map((keyType) => `${participant} ${keyType}`)),
    };
    this.#rows = 0;
    this.#withoutRequestId = 0;
    this.#scopes = new Map();
    this.#participant = null;
    return block;
  }
}
