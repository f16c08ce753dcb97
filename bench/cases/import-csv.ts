/** Import of CSV: row by row on one thread, since only the parser knows where a row ends. */

import type { Bench } from '../bench.ts';
import { importBench } from '../fixtures/import-sides.ts';

export const bench: Bench = importBench('csv');
