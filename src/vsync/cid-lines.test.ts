/** Lines of CIDs: both kernels against each other and against a reading of the text as a whole, on files of every kind. */

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { CID_BYTES, cidFromHex, cidToHex, packCids } from '../cid/cid.ts';
import { bucketOf, vsyncOfBuckets } from './buckets.ts';
import { collectLines, combineLines, foldLines, foldPackedCids, type LineJudge, type LineReader } from './cid-lines.ts';
import { wasmLineKernel } from './line-kernel.ts';
import { referenceLineKernel } from './line-kernel-reference.ts';
import { vsyncOf, vsyncToHex } from './vsync.ts';

const hexDigits = fc.constantFrom(...'0123456789abcdefABCDEF');
const usual = fc.array(hexDigits, { minLength: 64, maxLength: 64 }).map((digits) => digits.join(''));
/** Close to a CID, and not one. */
const nearly = fc
  .tuple(usual, fc.nat(63), fc.constantFrom('g', '/', ':', '@', '`', 'G', '\r', '\0', ' ', 'é', ''))
  .map(([line, at, wrong]) => line.slice(0, at) + wrong + line.slice(at + 1));
const odd = fc.oneof(
  nearly,
  fc.string({ unit: 'binary', maxLength: 400 }).map((line) => line.replaceAll('\n', '')),
  usual.map((line) => `${line}\r`),
  fc.constant(''),
  fc.nat(4_000).map((length) => 'a'.repeat(length)),
);
const lines = fc.array(fc.oneof({ weight: 4, arbitrary: usual }, { weight: 1, arbitrary: odd }), { maxLength: 60 });
const file = fc.record({ lines, lastFeed: fc.boolean(), chunkBytes: fc.integer({ min: 1, max: 200 }) });

interface Told {
  readonly number: number;
  readonly length: number;
  readonly beginning: string;
}

/** Reads a file in chunks; what the judge was told of unusual lines. */
function readIn(open: (judge: LineJudge) => LineReader, bytes: Buffer, chunkBytes: number): { lines: number; told: Told[] } {
  const told: Told[] = [];
  const reader = open(({ number, length, bytes: beginning }) => {
    told.push({ number, length, beginning: Buffer.from(beginning).toString('latin1') });
    return null;
  });
  for (let at = 0; at < bytes.length; at += chunkBytes) reader.read(bytes.subarray(at, at + chunkBytes));
  return { lines: reader.end(), told };
}

/** What a file holds, read as a whole: the specification. */
function expected(bytes: Buffer): { cids: [line: number, hex: string][]; told: Told[]; lines: number } {
  const all = bytes.toString('latin1').split('\n');
  if (all.at(-1) === '') all.pop();
  const cids = all.flatMap((line, at): [number, string][] =>
    /^[0-9a-fA-F]{64}$/.test(line) ? [[at + 1, line.toLowerCase()]] : [],
  );
  const told = all.flatMap((line, at) =>
    /^[0-9a-fA-F]{64}$/.test(line) ? [] : [{ number: at + 1, length: line.length, beginning: line.slice(0, 256) }],
  );
  return { cids, told, lines: all.length };
}

const kernels = {
  WebAssembly: () => {
    const kernel = wasmLineKernel();
    assert(kernel !== null, 'the tests run where WebAssembly is');
    return kernel;
  },
  plain: referenceLineKernel,
};

for (const [name, newKernel] of Object.entries(kernels)) {
  describe(`lines of CIDs (${name} kernel)`, () => {
    it('fold to XOR and count of their CIDs, and every other line is told with its number, length and beginning', () => {
      fc.assert(
        fc.property(file, ({ lines: given, lastFeed, chunkBytes }) => {
          const bytes = Buffer.from(given.join('\n') + (lastFeed && given.length > 0 ? '\n' : ''), 'utf8');
          const kernel = newKernel();
          const read = readIn((judge) => foldLines(judge, kernel), bytes, chunkBytes);
          const want = expected(bytes);
          assert.equal(read.lines, want.lines);
          assert.deepEqual(read.told, want.told);
          const cids = want.cids.map(([, hex]) => cidFromHex(hex));
          assert.equal(vsyncToHex(vsyncOfBuckets(kernel.buckets)), vsyncToHex(vsyncOf(cids)));
          assert.equal(
            kernel.buckets.counts.reduce((sum, count) => sum + count, 0),
            cids.length,
          );
        }),
        { numRuns: 60 },
      );
    });

    it('combine to the VSync of their CIDs, those that the judge makes of other lines included', () => {
      fc.assert(
        fc.property(file, ({ lines: given, lastFeed, chunkBytes }) => {
          const bytes = Buffer.from(given.join('\n') + (lastFeed && given.length > 0 ? '\n' : ''), 'utf8');
          const want = expected(bytes);
          const made = cidFromHex('5a'.repeat(32));
          const reader = combineLines(({ length }) => (length === 0 ? made : null), newKernel());
          for (let at = 0; at < bytes.length; at += chunkBytes) reader.read(bytes.subarray(at, at + chunkBytes));
          assert.equal(reader.end(), want.lines);
          const cids = [
            ...want.cids.map(([, hex]) => cidFromHex(hex)),
            ...want.told.filter(({ length }) => length === 0).map(() => made),
          ];
          assert.equal(vsyncToHex(reader.vsync), vsyncToHex(vsyncOf(cids)));
        }),
        { numRuns: 60 },
      );
    });

    it('give the CIDs of wanted buckets, and no others, with their line numbers', () => {
      fc.assert(
        fc.property(file, fc.array(fc.nat(65_535), { maxLength: 5 }), ({ lines: given, chunkBytes }, others) => {
          const bytes = Buffer.from(`${given.join('\n')}\n`, 'utf8');
          const want = expected(bytes).cids;
          const wanted = new Set([
            ...others,
            ...want.filter((_, at) => at % 2 === 0).map(([, hex]) => bucketOf(cidFromHex(hex))),
          ]);
          const found: [number, string][] = [];
          const kernel = newKernel();
          readIn(
            (judge) => collectLines(wanted, (cid, line) => found.push([line, cidToHex(cid)]), judge, kernel),
            bytes,
            chunkBytes,
          );
          assert.deepEqual(
            found,
            want.filter(([, hex]) => wanted.has(bucketOf(cidFromHex(hex)))),
          );
        }),
        { numRuns: 60 },
      );
    });

    it('fold to what their CIDs do when these come packed, by whatever pages', async () => {
      const cids = Array.from({ length: 20_000 }, (_, number) => cidFromHex(hash('sha256', String(number))));
      const packed = packCids(cids);
      async function* pages() {
        const ends = [0, 3, 3, 16_390, 20_000];
        for (const [at, end] of ends.entries()) yield packed.subarray((ends[at - 1] ?? 0) * CID_BYTES, end * CID_BYTES);
      }
      const reader = foldLines(() => assert.fail('every line is usual'), newKernel());
      for (const cid of cids) reader.read(Buffer.from(`${cidToHex(cid)}\n`));
      reader.end();
      assert.deepEqual(await foldPackedCids(pages(), newKernel()), reader.buckets);
    });

    it('take as a CID what the judge makes one of', () => {
      const hex = 'AB'.repeat(32);
      const reader = foldLines(({ bytes }) => cidFromHex(Buffer.from(bytes).toString('latin1').trim()), newKernel());
      const { buckets } = reader;
      reader.read(Buffer.from(`${hex}\r\n  ${hex}\n${'01'.repeat(32)}`));
      assert.equal(reader.end(), 3);
      assert.equal(vsyncToHex(vsyncOfBuckets(buckets)), '01'.repeat(32));
      assert.deepEqual([buckets.counts[0xabab], buckets.counts[0x0101]], [2, 1]);
      assert.notEqual(buckets.sums[0xabab], 0n);
    });

    it('do not take two lines for one that has their length', () => {
      const found: number[] = [];
      const hex = '0f'.repeat(32);
      const reader = collectLines(
        [0x0f0f],
        (_, line) => found.push(line),
        () => null,
        newKernel(),
      );
      reader.read(Buffer.from(`ab\n${'c'.repeat(61)}\n${hex}\n\n${hex}\n`));
      assert.equal(reader.end(), 5);
      assert.deepEqual(found, [3, 5]);
    });

    it('read a line of many mebibytes in constant memory, and go on behind it', () => {
      const reader = foldLines(({ number, length }) => {
        assert.deepEqual([number, length], [2, 5_000_000]);
        return null;
      }, newKernel());
      const line = `${'0f'.repeat(32)}\n`;
      reader.read(Buffer.from(line));
      for (let part = 0; part < 50; part++) reader.read(Buffer.alloc(100_000, 'a'));
      reader.read(Buffer.from(`\n${line}${line}`));
      assert.equal(reader.end(), 4);
      assert.equal(reader.buckets.counts[0x0f0f], 3);
    });
  });
}

describe('both kernels', () => {
  it('make the same buckets, sums included, of the same file', () => {
    fc.assert(
      fc.property(file, ({ lines: given, chunkBytes }) => {
        const bytes = Buffer.from(given.join('\n'), 'utf8');
        const [wasm, plain] = [kernels.WebAssembly(), kernels.plain()];
        readIn((judge) => foldLines(judge, wasm), bytes, chunkBytes);
        readIn((judge) => foldLines(judge, plain), bytes, 1_000);
        assert(Buffer.from(wasm.buckets.xors).equals(plain.buckets.xors));
        assert.deepEqual(wasm.buckets.counts, plain.buckets.counts);
        assert.deepEqual(wasm.buckets.sums, plain.buckets.sums);
      }),
      { numRuns: 60 },
    );
  });

  it('tell a CID twice on both sides apart from another one twice, which XOR and count cannot', () => {
    const folded = (hex: string) => {
      const reader = foldLines(() => null);
      reader.read(Buffer.from(`${hex}\n${hex}\n`));
      reader.end();
      return reader.buckets.sums[0];
    };
    assert.notEqual(folded(`${'0'.repeat(63)}1`), folded(`${'0'.repeat(63)}2`));
  });
});
