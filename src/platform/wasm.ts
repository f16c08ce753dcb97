/**
 * Loads a WebAssembly kernel of wasm/. Where WebAssembly or its SIMD is not there (`node --jitless`, an unusual platform), the
 * answer is null and the caller's plain TypeScript does the work.
 */

import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';

/** What is used of the global; Node's types do not declare it. */
declare const WebAssembly:
  | {
      validate(bytes: Uint8Array): boolean;
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object, imports: object) => { readonly exports: Readonly<Record<string, unknown>> };
      readonly Memory: new () => { readonly buffer: ArrayBuffer };
      readonly Global: new () => { readonly value: unknown };
    }
  | undefined;

/** What the kernels export: functions over numbers, positions in the memory, and the memory. */
export interface Kernel {
  readonly memory: ArrayBuffer;
  /** An exported function. */
  call(name: string): (...args: number[]) => number;
  /** An exported number; it may change with each call of a function. */
  number(name: string): () => number;
}

/** Beside src/ in the clone and dist/ in the package. */
const directory = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../wasm');

/** A new instance, with a memory of its own, of the kernel of that name. */
export function loadKernel(name: string): Kernel | null {
  if (typeof WebAssembly === 'undefined') return null;
  const bytes = readFileSync(path.join(directory, `${name}.wasm`));
  if (!WebAssembly.validate(bytes)) return null;
  const { Memory, Global } = WebAssembly;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), {});
  const memory = exports['memory'];
  if (!(memory instanceof Memory)) throw new TypeError(`the kernel ${name} exports no memory`);
  return {
    memory: memory.buffer,
    call: (exported) => {
      const called = exports[exported];
      if (typeof called !== 'function') throw new TypeError(`the kernel ${name} exports no function ${exported}`);
      // The kernels export functions over numbers alone; their own sources say which.
      return called as (...args: number[]) => number;
    },
    number: (exported) => {
      const global = exports[exported];
      if (!(global instanceof Global)) throw new TypeError(`the kernel ${name} exports no number ${exported}`);
      return () => Number(global.value);
    },
  };
}
