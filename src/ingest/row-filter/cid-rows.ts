/** Rows of dict_cids as the server copies them out: which CID, for which key. */

import { CID_BYTES } from '../../cid/cid.ts';
import type { KeyType } from '../../dict/key-type.ts';
import { assert } from '../../platform/assert.ts';
import { copyOut } from '../../platform/postgres/copy-out.ts';
import type { Transaction } from '../../platform/postgres/database.ts';
import type { PairPlace } from './pair-sums.ts';

/** One CID with its key. The same object for all rows: read what is needed before returning. */
export interface CidView extends PairPlace {
  /** Which of the key types. */
  scope: number;
}

/** Reads the CIDs of a source (row-source.ts). */
export async function readCidRows(
  tx: Transaction,
  source: string,
  keyTypes: readonly KeyType[],
  onCid: (view: CidView) => void,
): Promise<void> {
  const names = keyTypes.map((keyType) => Buffer.from(keyType));
  const empty = Buffer.alloc(0);
  const view: CidView = { scope: 0, cidBytes: empty, cidAt: 0, keyBytes: empty, keyFrom: 0, keyTo: 0 };
  await copyOut(tx.connection, `COPY (SELECT cid, key_type, key ${source}) TO STDOUT (FORMAT binary)`, (buffer, from, to) => {
    const cidAt = from + 6;
    assert(buffer.readInt32BE(from + 2) === CID_BYTES, 'a CID of another length');
    const typeAt = cidAt + CID_BYTES + 4;
    const typeEnd = typeAt + buffer.readInt32BE(typeAt - 4);
    view.scope = names.findIndex((name) => buffer.compare(name, 0, name.length, typeAt, typeEnd) === 0);
    assert(view.scope >= 0, 'a CID of a key type that was not asked for');
    view.cidBytes = buffer;
    view.cidAt = cidAt;
    view.keyBytes = buffer;
    view.keyFrom = typeEnd + 4;
    view.keyTo = to;
    onCid(view);
  });
}
