/** What a VSync is of. */

import type { KeyType } from '../dict/key-type.ts';
import type { Participant } from '../dict/participant.ts';

/** One participant and one key type: DICT keeps one VSync for each. */
export interface Scope {
  readonly participant: Participant;
  readonly keyType: KeyType;
}
