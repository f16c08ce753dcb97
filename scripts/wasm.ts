/**
 * `npm run wasm`: builds the WebAssembly kernels from wasm/*.ts. `check`: builds them again in memory and compares with the files
 * beside the sources, so that what runs is what can be read.
 */

import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { main as compile } from 'assemblyscript/asc';

/** Pages of 64 KiB: room for what each kernel keeps; none of them grows. */
const memoryPages: Readonly<Record<string, string>> = { 'wasm/base-rows.ts': '288', 'wasm/cid-lines.ts': '136' };
const usualMemoryPages = '72';

function optionsOf(source: string): string[] {
  const pages = memoryPages[source] ?? usualMemoryPages;
  return [
    ['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd'],
    ['--initialMemory', pages, '--maximumMemory', pages],
  ].flat();
}

async function build(source: string): Promise<Uint8Array> {
  const target = source.replace(/\.ts$/, '.wasm');
  let built: Uint8Array | null = null;
  const { error, stderr } = await compile([source, '--outFile', target, ...optionsOf(source)], {
    writeFile: (name, contents) => {
      if (name === target) built = typeof contents === 'string' ? Buffer.from(contents) : contents;
    },
  });
  if (error !== null || built === null) throw new Error(`${source} cannot be compiled:\n${stderr.toString()}`);
  return built;
}

const action = process.argv[2];
if (action !== undefined && action !== 'check') throw new TypeError(`wasm: "${action}" is not "check"`);
let stale = 0;
const sources = globSync('wasm/*.ts').sort();
for (const source of sources) {
  const target = source.replace(/\.ts$/, '.wasm');
  const built = await build(source);
  if (action === 'check') {
    if (readFileSync(target).equals(built)) continue;
    console.log(`${target} is not what ${source} makes; "npm run wasm" builds it`);
    stale += 1;
  } else {
    writeFileSync(target, built);
    console.log(`${target}: ${built.length} bytes`);
  }
}
if (action === 'check') console.log(`${sources.length} kernels built, ${stale} stale`);
if (stale > 0) process.exitCode = 1;
