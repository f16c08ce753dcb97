/**
 * One function side of a bench in a process of its own: `node bench/side.ts CASE SIDE FIXTURE`; answers by one line of JSON. Without a
 * fixture it only loads what the side needs.
 */

import { writeSync } from 'node:fs';
import type { Bench } from './bench.ts';

const [name = '', sideName = '', fixtureText = ''] = process.argv.slice(2);
const { bench }: { readonly bench: Bench } = await import(`./cases/${name}.ts`);
if (fixtureText === '') process.exit(0);
const side = bench.sides[sideName];
if (side === undefined || !('run' in side)) throw new TypeError(`bench ${name} has no function side ${sideName}`);
const fixture = JSON.parse(fixtureText);
await side.before?.(fixture);
const startMs = performance.now();
const items = await side.run(fixture);
const seconds = (performance.now() - startMs) / 1_000;
// Kilobytes, on every system that Node knows. A side may have left a handle open: what it came to is written, and it ends.
writeSync(1, `\n${JSON.stringify({ items, seconds, peakBytes: process.resourceUsage().maxRSS * 1_024 })}\n`);
process.exit(0);
