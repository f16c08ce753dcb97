/** Rows as PostgreSQL sends them, folded by the kernel and in plain TypeScript: both say the same, and what hashing one by one says. */

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { computeCid } from '../../cid/cid.ts';
import { KEY_TYPES } from '../../dict/key-type.ts';
import { participant } from '../../dict/participant.ts';
import type { Transaction } from '../../platform/postgres/database.ts';
import { kernelFolder } from './kernel-folder.ts';
import { unevenBuckets } from './pair-sums.ts';
import { plainFolder } from './plain-folder.ts';
import type { EntriesRead, FoldedSums, FolderSetup, RowFolder } from './row-folder.ts';

const ours = participant('12345678');
const setup: FolderSetup = {
  participant: ours,
  keyTypes: ['EVP', 'PHONE'],
  algorithm: 'dict',
  seed: { low: 0x1234567, high: -0x7654321 },
};
const seqs = [5, 2 ** 40 + 3];

type Field = Buffer | string | null;

function rowOf(fields: readonly Field[]): Buffer {
  const parts = fields.flatMap((field) => {
    const value = field === null ? null : Buffer.from(field);
    const length = Buffer.alloc(4);
    length.writeInt32BE(value?.length ?? -1);
    return value === null ? [length] : [length, value];
  });
  const count = Buffer.alloc(2);
  count.writeInt16BE(fields.length);
  return Buffer.concat([count, ...parts]);
}

function message(kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5, kind);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** What a server sends for a statement of these rows: that it is parsed and bound, the rows, a notice in between, the end. */
function sent(rows: readonly Buffer[]): Buffer {
  const messages = rows.map((row) => message('D', row));
  messages.splice(Math.floor(rows.length / 2), 0, message('N', Buffer.from('a notice')));
  return Buffer.concat([
    message('1', Buffer.alloc(0)),
    message('2', Buffer.alloc(0)),
    ...messages,
    message('C', Buffer.from('SELECT 1\0')),
    message('Z', Buffer.from('I')),
  ]);
}

/** A transaction whose statement sends these bytes in pieces of these lengths, and hears what the driver is given back. */
function transactionSending(bytes: Buffer, pieceBytes: readonly number[]): Transaction & { readonly handedBack: () => Buffer } {
  const stream = Object.assign(new EventEmitter(), { destroy() {}, write() {} });
  const back: Buffer[] = [];
  stream.on('data', (rest: Buffer) => back.push(Buffer.from(rest)));
  const connection = {
    query(query: { submit(of: object): void; handleReadyForQuery(): void }) {
      query.submit({ stream, parse() {}, execute() {}, sync() {} });
      for (let at = 0, n = 0; at < bytes.length; n++) {
        const length = Math.max(1, pieceBytes[n % pieceBytes.length] ?? bytes.length);
        stream.emit('data', Buffer.from(bytes.subarray(at, at + length)));
        at += length;
      }
      query.handleReadyForQuery();
    },
  };
  // Of a transaction only the connection is used, of that only `query`.
  return { connection, inTransaction: true, handedBack: () => Buffer.concat(back) } as never;
}

async function entriesOf(folder: RowFolder, rows: readonly Buffer[], pieces: readonly number[]): Promise<EntriesRead> {
  const tx = transactionSending(sent(rows), pieces);
  const read = await folder.readEntries(tx, '');
  assert.equal(tx.handedBack().toString('latin1', 0, 1), 'C', 'the driver hears of the end');
  return read;
}

interface GivenEntry {
  readonly status: string;
  readonly keyType: string;
  readonly requestId: string;
  readonly key: string;
  readonly taxIdNumber: string;
  readonly name: string;
  readonly tradeName: string | null;
  readonly branch: string | null;
  readonly accountNumber: string;
  readonly accountType: string;
  /** Which byte of its CID is wrong; null: none. */
  readonly wrongAt: number | null;
}

function cidOf({ requestId, ...given }: GivenEntry): Buffer {
  const account = { ...given, participant: ours };
  return Buffer.from(computeCid({ ...given, account, owner: given }, requestId));
}

function textsOf(given: GivenEntry): (string | null)[] {
  const { key, taxIdNumber, name, tradeName, branch, accountNumber, accountType } = given;
  return [key, taxIdNumber, name, tradeName, branch, accountNumber, accountType];
}

function isLong(given: GivenEntry): boolean {
  return Buffer.from(textsOf(given).join('')).length > 3_000;
}

function entryRow(given: GivenEntry): Buffer {
  const cid = cidOf(given);
  if (given.wrongAt !== null) cid[given.wrongAt] = (cid[given.wrongAt] ?? 0) ^ 1;
  const uuid = Buffer.from(given.requestId.replaceAll('-', ''), 'hex');
  const counts = given.status !== 'DELETED' && given.status !== 'UNRESOLVED';
  return rowOf([given.status, given.keyType, counts ? uuid : null, counts ? cid : null, ...textsOf(given)]);
}

const text = (maxLength: number) => fc.string({ unit: 'binary', maxLength }).map((value) => value.toWellFormed());
const anyEntry: fc.Arbitrary<GivenEntry> = fc.record({
  status: fc.constantFrom('ACTIVE', 'ACTIVE', 'ACTIVE', 'ORPHANED', 'PENDING', 'DELETED', 'UNRESOLVED'),
  keyType: fc.constantFrom('EVP', 'PHONE', 'PHONE', 'CPF', 'PHONEXXXX'),
  requestId: fc.uuid(),
  key: text(77),
  taxIdNumber: text(14),
  name: fc.oneof(text(40), text(5_000)),
  tradeName: fc.option(text(60)),
  branch: fc.option(text(4)),
  accountNumber: text(20),
  accountType: fc.constantFrom('CACC', 'SVGS', ''),
  wrongAt: fc.option(fc.nat({ max: 31 }), { freq: 3 }),
});
const anyCid = fc.record({
  cid: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  keyType: fc.constantFrom('EVP', 'PHONE', 'CPF'),
  key: text(77),
  addedSeq: fc.constantFrom(1, 4, 5, 6, 2 ** 40, 2 ** 40 + 4),
  removedSeq: fc.option(fc.constantFrom(5, 6, 2 ** 40 + 3, 2 ** 40 + 4)),
});
const pieces = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 70_000 })), {
  minLength: 1,
  maxLength: 8,
});

function int8(value: number | null): Buffer | null {
  if (value === null) return null;
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}

function sumsEqual(kernel: readonly FoldedSums[], plain: readonly FoldedSums[]): void {
  for (const [scope, sums] of plain.entries()) {
    assert.deepEqual(kernel[scope]?.pairs, sums.pairs);
    assert.deepEqual(kernel[scope]?.buckets?.counts, sums.buckets?.counts);
    assert.equal(Buffer.compare(kernel[scope]?.buckets?.xors ?? Buffer.alloc(0), sums.buckets?.xors ?? Buffer.alloc(0)), 0);
  }
}

const fromKernel = kernelFolder(setup);
assert(fromKernel !== null, 'the tests run where WebAssembly is');
const kernel = fromKernel;
const plain = plainFolder(setup);

describe('rows of a base', () => {
  it('are hashed to their own CID by both, whatever they hold and however they come in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEntry, { maxLength: 60 }), pieces, async (given, lengths) => {
        const rows = given.map(entryRow);
        const [byKernel, byPlain] = [await entriesOf(kernel, rows, lengths), await entriesOf(plain, rows, lengths)];
        const wrong = given.filter(
          ({ status, keyType, wrongAt }) =>
            wrongAt !== null && setup.keyTypes.some((known) => known === keyType) && !['DELETED', 'UNRESOLVED'].includes(status),
        );
        const keysOf = ({ candidates }: EntriesRead) => candidates.map(({ scope, key }) => `${scope} ${key}`).sort();
        const wanted = wrong.map(({ keyType, key }) => `${setup.keyTypes.map(String).indexOf(keyType)} ${key}`);
        assert.deepEqual(keysOf(byPlain), wanted.sort());
        // The kernel names long rows without hashing them: whoever judges them does.
        const extra = keysOf(byKernel);
        for (const one of wanted) extra.splice(extra.indexOf(one), 1);
        const long = new Set(given.filter(isLong).map(({ key }) => key));
        assert.ok(
          extra.every((key) => long.has(key.slice(2))),
          extra.join(),
        );
        assert.deepEqual(byKernel.rows, byPlain.rows);
        sumsEqual(kernel.takeSums(), plain.takeSums());
      }),
      { numRuns: 60 },
    );
  });

  it('are hashed in batches that are full before the rows end', async () => {
    const [one] = fc.sample(
      anyEntry.filter((entry) => !isLong(entry)),
      { numRuns: 1, seed: 7 },
    );
    assert(one !== undefined);
    const given = Array.from({ length: 9_000 }, (_, n): GivenEntry => {
      return { ...one, status: 'ACTIVE', keyType: 'EVP', key: `key ${n}`, wrongAt: n % 1_000 === 999 ? 3 : null };
    });
    const read = await entriesOf(kernel, given.map(entryRow), [65_536]);
    assert.deepEqual(read.rows, [9_000, 0]);
    assert.deepEqual(
      read.candidates.map(({ key }) => key),
      Array.from({ length: 9 }, (_, n) => `key ${n * 1_000 + 999}`),
    );
    kernel.takeSums();
  });

  it('cancel out against the CIDs that count for their keys, and do not where two keys are exchanged', async () => {
    const given = fc.sample(anyEntry, { numRuns: 200, seed: 11 }).map((entry, n): GivenEntry => {
      return { ...entry, status: 'ACTIVE', keyType: 'PHONE', key: `key ${n}`, wrongAt: null };
    });
    for (const folder of [kernel, plain]) {
      const foldCids = async (keys: readonly string[]): Promise<void> => {
        const rows = given.map((entry, n) => rowOf([cidOf(entry), 'PHONE', keys[n] ?? '', int8(1), null]));
        await folder.readCids(transactionSending(sent(rows), [1_000]), '', seqs);
      };
      const keys = given.map(({ key }) => key);
      await entriesOf(folder, given.map(entryRow), [1_000]);
      await foldCids(keys);
      assert.deepEqual(
        folder.takeSums().map(({ pairs }) => unevenBuckets(pairs, 0, 9)),
        [[], []],
      );
      await entriesOf(folder, given.map(entryRow), [1_000]);
      await foldCids(keys.with(0, keys[1] ?? '').with(1, keys[0] ?? ''));
      assert.equal(unevenBuckets(folder.takeSums()[1]?.pairs ?? new Uint32Array(), 0, 9).length, 2);
    }
  });

  it('of CIDs are folded as of each key type’s seq by both', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyCid, { maxLength: 80 }), pieces, async (given, lengths) => {
        const rows = given.map((one) =>
          rowOf([Buffer.from(one.cid), one.keyType, one.key, int8(one.addedSeq), int8(one.removedSeq)]),
        );
        for (const folder of [kernel, plain]) await folder.readCids(transactionSending(sent(rows), lengths), '', seqs);
        const counting = setup.keyTypes.map((keyType, scope) => {
          const seq = seqs[scope] ?? 0;
          return given.filter((one) => one.keyType === keyType && one.addedSeq <= seq && (one.removedSeq ?? seq + 1) > seq)
            .length;
        });
        const [byKernel, byPlain] = [kernel.takeSums(), plain.takeSums()];
        assert.deepEqual(
          byPlain.map(({ buckets }) => buckets?.counts.reduce((sum, count) => sum + count, 0)),
          counting,
        );
        sumsEqual(byKernel, byPlain);
      }),
      { numRuns: 60 },
    );
  });

  it('larger than the kernel’s memory are named by their key, and the rows around them are read', async () => {
    const [before, huge, after] = fc.sample(anyEntry, { numRuns: 3, seed: 3 }).map((entry, n): GivenEntry => {
      const name = n === 1 ? 'x'.repeat(3_000_000) : 'y';
      return { ...entry, status: 'ACTIVE', keyType: 'EVP', key: `key ${n}`, name, wrongAt: n === 2 ? 0 : null };
    });
    assert(before !== undefined && huge !== undefined && after !== undefined);
    for (const order of [
      [before, huge, after],
      [huge, before, after],
    ]) {
      const { candidates } = await entriesOf(kernel, order.map(entryRow), [65_536, 1_000]);
      assert.deepEqual(candidates.map(({ key }) => key).sort(), ['key 1', 'key 2']);
      kernel.takeSums();
    }
  });

  it('are not the kernel’s where the algorithm is another', () => {
    assert.equal(kernelFolder({ ...setup, algorithm: 'canonical-json-1.0' }), null);
    assert.notEqual(kernelFolder({ ...setup, keyTypes: KEY_TYPES }), null);
  });
});
