/** What a server of the simulator answers. */

import type { Marks } from './answer-mark.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | AsyncIterable<Uint8Array>;
  readonly marks?: Marks;
}
