/** Rows of dict_cids as the server sends them: which CID, for which key, and as of which seqs it counts. */

import { CID_BYTES } from '../../cid/cid.ts';
import type { KeyType } from '../../dict/key-type.ts';
import { assert } from '../../platform/assert.ts';
import type { Transaction } from '../../platform/postgres/database.ts';
import { type OnRow, type RowsQuery, rowReader, rowsOut } from '../../platform/postgres/rows-out.ts';
import type { PairPlace } from './pair-sums.ts';

/** One CID with its key. The same object for all rows: read what is needed before returning. */
export interface CidView extends PairPlace {
  /** Which of the key types. */
  scope: number;
  addedSeq: number;
  /** Null: it counts. */
  removedSeq: number | null;
}

/** The CIDs of a source (row-source.ts). Also wasm/base-rows.ts counts on the order of the columns. */
export function cidQuery(source: string): RowsQuery {
  return {
    statement: `SELECT cid, key_type, key, added_seq, removed_seq ${source}`,
    columns: ['binary', 'text', 'text', 'binary', 'binary'],
  };
}

const seqBytes = 8;

/** Reads the CIDs of a source (row-source.ts). */
export async function readCidRows(
  tx: Transaction,
  source: string,
  keyTypes: readonly KeyType[],
  onCid: (view: CidView) => void,
): Promise<void> {
  const names = keyTypes.map((keyType) => Buffer.from(keyType));
  const none = Buffer.alloc(0);
  const view: CidView = {
    ...{ scope: 0, addedSeq: 0, removedSeq: null, cidBytes: none, cidAt: 0, keyBytes: none, keyFrom: 0, keyTo: 0 },
  };
  const onRow: OnRow = (buffer, from) => {
    const cidAt = from + 6;
    assert(buffer.readInt32BE(from + 2) === CID_BYTES, 'a CID of another length');
    const typeAt = cidAt + CID_BYTES + 4;
    const typeEnd = typeAt + buffer.readInt32BE(typeAt - 4);
    view.scope = names.findIndex((name) => buffer.compare(name, 0, name.length, typeAt, typeEnd) === 0);
    if (view.scope < 0) return;
    view.cidBytes = buffer;
    view.cidAt = cidAt;
    view.keyBytes = buffer;
    view.keyFrom = typeEnd + 4;
    view.keyTo = view.keyFrom + buffer.readInt32BE(typeEnd);
    const removedAt = view.keyTo + 4 + seqBytes + 4;
    view.addedSeq = seqAt(buffer, view.keyTo + 4);
    view.removedSeq = buffer.readInt32BE(removedAt - 4) < 0 ? null : seqAt(buffer, removedAt);
    onCid(view);
  };
  await rowsOut(tx.connection, cidQuery(source), rowReader(onRow));
}

function seqAt(buffer: Buffer, at: number): number {
  return buffer.readInt32BE(at) * 2 ** 32 + buffer.readUInt32BE(at + 4);
}
