/** Import of NDJSON, the form in which bases are exchanged: parsed by blocks on several threads. */

import type { Bench } from '../bench.ts';
import { importBench } from '../fixtures/import-sides.ts';

export const bench: Bench = importBench('ndjson');
