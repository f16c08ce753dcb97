/** Specifies that a sealed file folded by two threads comes to what it comes to in order, whatever its lines and wherever it is cut. */

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sealedTexts } from '../../test/support/sealed-text.ts';
import { SealedFileRefused } from '../platform/sealed-file.ts';
import { countOfBuckets } from '../vsync/buckets.ts';
import type { LineBuckets } from '../vsync/line-kernel.ts';
import { FileRefused } from './cid-set-file.ts';
import { foldSealedLines } from './sealed-lines.ts';
import type { StoredFile } from './segment-folding.ts';

const texts = sealedTexts();
const sealedFile = texts.write;
const always = 0;
const never = Number.POSITIVE_INFINITY;
const noProgress = (): Promise<void> => Promise.resolve();

/** The buckets, or the words that it is refused with. */
async function folded(file: StoredFile, sharedFrom: number): Promise<LineBuckets | string> {
  try {
    return await foldSealedLines(file, noProgress, sharedFrom);
  } catch (cause) {
    if (cause instanceof FileRefused || cause instanceof SealedFileRefused) return `${cause.name} ${cause.message}`;
    throw cause;
  }
}

async function equalEitherWay(file: StoredFile): Promise<LineBuckets | string> {
  const [together, whole] = [await folded(file, always), await folded(file, never)];
  assert.deepEqual(together, whole);
  return whole;
}

const lineOf = (number: number): string => hash('sha256', String(number));

describe('a sealed file of lines', () => {
  it('folded by two threads is what it is in order', async () => {
    const ending = fc.constantFrom('\n', '\n', '\n', '\r\n');
    const oddLine = fc.constantFrom('', 'no CID', 'g'.repeat(64), 'a'.repeat(300), 'A'.repeat(64));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(60),
        fc.integer({ min: 1, max: 400 }),
        ending,
        fc.boolean(),
        fc.option(fc.tuple(fc.nat(59), oddLine)),
        async (lines, segmentBytes, end, isEnded, odd) => {
          const texts = Array.from({ length: lines }, (_, number) => lineOf(number));
          if (odd !== null) texts.splice(odd[0], 0, odd[1]);
          const text = texts.join(end) + (isEnded && texts.length > 0 ? end : '');
          await equalEitherWay(await sealedFile(text, segmentBytes));
        },
      ),
      { numRuns: 40 },
    );
  });

  it('counts each line once where a line lies over the middle, and where none does', async () => {
    const text = Array.from({ length: 40 }, (_, number) => `${lineOf(number)}\n`).join('');
    for (const segmentBytes of [65, 64, 66, 130, 1_000]) {
      const buckets = await equalEitherWay(await sealedFile(text, segmentBytes));
      assert(typeof buckets !== 'string' && countOfBuckets(buckets) === 40, String(segmentBytes));
    }
  });

  it('that was changed in either half is refused by the segment', async () => {
    const text = Array.from({ length: 40 }, (_, number) => `${lineOf(number)}\n`).join('');
    for (const share of [0.2, 0.8]) {
      const file = await sealedFile(text, 130);
      const bytes = await readFile(file.path);
      const at = Math.floor(bytes.length * share);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await writeFile(file.path, bytes);
      assert.match(String(await equalEitherWay(file)), /^SealedFileRefused .*segment \d+/);
    }
  });

  it('that lacks its end, or has something behind it, is refused', async () => {
    const text = Array.from({ length: 40 }, (_, number) => `${lineOf(number)}\n`).join('');
    const cut = await sealedFile(text, 130);
    await writeFile(cut.path, (await readFile(cut.path)).subarray(0, -200));
    assert.match(String(await equalEitherWay(cut)), /truncated/);
    const long = await sealedFile(text, 130);
    await writeFile(long.path, Buffer.concat([await readFile(long.path), Buffer.alloc(50)]));
    assert.match(String(await equalEitherWay(long)), /overlong/);
  });

  it('names the line that is no CID by its number in the whole file', async () => {
    const texts = Array.from({ length: 40 }, (_, number) => lineOf(number));
    texts[33] = 'no CID';
    assert.match(String(await equalEitherWay(await sealedFile(`${texts.join('\n')}\n`, 130))), /line 34/);
  });
});
