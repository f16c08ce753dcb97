/**
 * Rows of dict_entries of a participant with another algorithm than DICT's, read through the driver and hashed one by one: such
 * bases are few, and what is hashed differs (dates, normalised values).
 */

import { type CidAlgorithm, cidToHex } from '../../cid/cid.ts';
import type { KeyType } from '../../dict/key-type.ts';
import { computedCid } from '../entry-integrity.ts';
import { readEntriesFrom } from '../entry-store.ts';
import type { EntryReader } from './entry-rows.ts';

/** A reader that computes each row's CID by the algorithm's own function. */
export function plainEntryReader(keyTypes: readonly KeyType[], algorithm: CidAlgorithm): EntryReader {
  return {
    async read(tx, source, onEntry) {
      const counts = keyTypes.map(() => 0);
      for (const stored of await readEntriesFrom(tx, source)) {
        const scope = keyTypes.indexOf(stored.keyType);
        if (scope < 0) continue;
        counts[scope] = (counts[scope] ?? 0) + 1;
        if (stored.cid === null) continue;
        const computed = computedCid(stored, algorithm);
        const keyBytes = Buffer.from(stored.key);
        onEntry({
          ...{ scope, active: stored.status === 'ACTIVE' },
          sound: computed !== null && cidToHex(computed) === cidToHex(stored.cid),
          ...{ cidBytes: stored.cid, cidAt: 0, keyBytes, keyFrom: 0, keyTo: keyBytes.length },
        });
      }
      return counts;
    },
  };
}
