/**
 * Folds rows in the WebAssembly kernel wasm/base-rows.ts: a chunk of the socket goes into its memory as it is, and only keys that may
 * be unsound come out of it. Held equal to plain-folder.ts by property tests.
 */

import type { KeyType } from '../../dict/key-type.ts';
import { assert, InvariantBroken } from '../../platform/assert.ts';
import { type RowsReader, rowsOut } from '../../platform/postgres/rows-out.ts';
import { type Kernel, loadKernel } from '../../platform/wasm.ts';
import { BUCKET_COUNT } from '../../vsync/buckets.ts';
import { cidQuery } from './cid-rows.ts';
import { entryQuery } from './entry-rows.ts';
import type { Candidate, FolderSetup, RowFolder } from './row-folder.ts';

const xorBytes = BUCKET_COUNT * 32;
const nameBytes = 8;
const candidateWords = 4;
const messageHeadBytes = 5;

/** A folder with nothing folded; null where there is no WebAssembly, or where it cannot do what is asked. */
export function kernelFolder(setup: FolderSetup): RowFolder | null {
  const kernel = setup.algorithm === 'dict' ? loadKernel('base-rows') : null;
  if (kernel === null || setup.keyTypes.length > kernel.number('scopesMax')()) return null;
  const { keyTypes } = setup;
  const memory = memoryOf(kernel, setup);
  let cidsAreRead = false;
  return {
    async readEntries(tx, source) {
      const candidates: Candidate[] = [];
      const drain = (): void => {
        candidates.push(...memory.candidates());
      };
      kernel.call('begin')();
      const reader = chunkReader(kernel, memory, kernel.call('entries'), drain, () => {
        candidates.push(...giantEntry(memory.input, keyTypes));
      });
      await rowsOut(tx.connection, entryQuery(source), reader);
      kernel.call('finish')();
      drain();
      return { rows: [...memory.rows.subarray(0, keyTypes.length)], candidates };
    },
    async readCids(tx, source, seqs) {
      cidsAreRead = true;
      for (const [scope, seq] of seqs.entries()) memory.seqs[scope] = BigInt(seq);
      kernel.call('begin')();
      const reader = chunkReader(kernel, memory, kernel.call('cids'), () => {}, unexpectedGiant);
      await rowsOut(tx.connection, cidQuery(source), reader);
    },
    takeSums() {
      const taken = keyTypes.map((_, scope) => ({
        pairs: moved(memory.sums.subarray(scope * BUCKET_COUNT * 2, (scope + 1) * BUCKET_COUNT * 2)),
        buckets: cidsAreRead
          ? {
              xors: moved(memory.xors.subarray(scope * xorBytes, (scope + 1) * xorBytes)),
              counts: moved(memory.counts.subarray(scope * BUCKET_COUNT, (scope + 1) * BUCKET_COUNT)),
            }
          : null,
      }));
      cidsAreRead = false;
      return taken;
    },
  };
}

/** A copy; what was copied becomes zero. */
function moved<Numbers extends Uint8Array | Uint32Array>(numbers: Numbers): Numbers {
  const copy = numbers.slice();
  numbers.fill(0);
  // `slice` of typed numbers is of the same type; its declaration says so only for each type by itself.
  return copy as Numbers;
}

interface KernelMemory {
  readonly input: Buffer;
  readonly rows: Uint32Array;
  readonly seqs: BigInt64Array;
  readonly sums: Uint32Array;
  readonly xors: Uint8Array;
  readonly counts: Uint32Array;
  candidates(): Candidate[];
}

function memoryOf(kernel: Kernel, { participant, keyTypes, seed }: FolderSetup): KernelMemory {
  const at = (name: string): number => kernel.number(name)();
  const all = Buffer.from(kernel.memory);
  const scopes = at('scopesMax');
  for (const [scope, keyType] of keyTypes.entries()) {
    assert(keyType.length < nameBytes, 'the kernel knows short names only');
    all.write(keyType, at('namesAt') + scope * nameBytes, 'latin1');
  }
  const between = `&${participant}&`;
  assert(between.length <= 16, 'a participant has eight digits');
  all.write(between, at('participantAt'), 'latin1');
  kernel.call('configure')(keyTypes.length, between.length, seed.low, seed.high);
  const found = new Int32Array(kernel.memory, at('candidatesAt'));
  return {
    input: all.subarray(at('inputAt'), at('inputAt') + at('inputBytesMax')),
    rows: new Uint32Array(kernel.memory, at('rowsAt'), scopes),
    seqs: new BigInt64Array(kernel.memory, at('seqsAt'), scopes),
    sums: new Uint32Array(kernel.memory, at('sumsAt'), scopes * BUCKET_COUNT * 2),
    xors: new Uint8Array(kernel.memory, at('xorsAt'), scopes * xorBytes),
    counts: new Uint32Array(kernel.memory, at('countsAt'), scopes * BUCKET_COUNT),
    candidates: () =>
      Array.from({ length: at('candidates') }, (_, n): Candidate => {
        const [scope = 0, from = 0, to = 0] = found.subarray(n * candidateWords, n * candidateWords + 3);
        return { scope, key: all.toString('utf8', from, to) };
      }),
  };
}

type Through = (from: number, upto: number) => number;

/** Hands chunks to the kernel, a message in pieces once it is whole. */
function chunkReader(kernel: Kernel, memory: KernelMemory, through: Through, drain: () => void, onGiant: () => void): RowsReader {
  const { input } = memory;
  const paused = kernel.number('paused');
  const stopped = kernel.number('stopped');
  let kept = 0;
  let passing = 0;
  return {
    read(given) {
      let chunk = given;
      if (passing > 0) {
        chunk = given.subarray(passing);
        passing = Math.max(0, passing - given.length);
      }
      if (kept + chunk.length > input.length) {
        // A row larger than the kernel's input, by damage or malice: its key is named, the rest passed over.
        passing = 1 + input.readUInt32BE(1) - kept;
        kept = 0;
        onGiant();
        return this.read(chunk);
      }
      input.set(chunk, kept);
      const upto = kept + chunk.length;
      let at = 0;
      do {
        at = through(at, upto);
        drain();
      } while (paused() !== 0);
      if (stopped() !== 0) return chunk.subarray(chunk.length - (upto - at));
      input.copyWithin(0, at, upto);
      kept = upto - at;
      return null;
    },
  };
}

/** The key of a row of which the input holds the first fields: status, key_type, request_id, cid, key. */
function giantEntry(input: Buffer, keyTypes: readonly KeyType[]): Candidate[] {
  let at = messageHeadBytes + 2;
  const fields = Array.from({ length: 5 }, () => {
    const from = at + 4;
    const bytes = Math.max(0, input.readInt32BE(at));
    at = from + bytes;
    return input.toString('utf8', from, from + bytes);
  });
  const scope = keyTypes.map(String).indexOf(fields[1] ?? '');
  return scope < 0 ? [] : [{ scope, key: fields[4] ?? '' }];
}

/** Keys of dict_cids stand in an index, which takes no more than 2,700 bytes. */
function unexpectedGiant(): never {
  throw new InvariantBroken('a row of dict_cids is larger than its index allows');
}
