/** Specifies that several readers who take segments in turns, whatever the turns, come to what one comes to in order. */

import assert from 'node:assert/strict';
import { hash, randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { createSealedFile, type Seal } from '../platform/sealed-file.ts';
import { countOfBuckets } from '../vsync/buckets.ts';
import { foldLines } from '../vsync/cid-lines.ts';
import { mergeLineBuckets } from '../vsync/line-fold.ts';
import { LINE_BYTES, type LineBuckets } from '../vsync/line-kernel.ts';
import {
  foldBeside,
  foldTaken,
  isJoined,
  isToldInOrder,
  SEGMENT_BYTES,
  type SharedFolding,
  type StoredFile,
  shareFolding,
  usualLines,
} from './segment-folding.ts';
import { beginFile, filePath } from './stored-file.ts';

const seal: Seal = { key: randomBytes(32), context: randomBytes(32) };

let directory = '';
let files = 0;

before(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-segments-'));
});
after(async () => {
  await rm(directory, { recursive: true });
});

const lineOf = (number: number): string => hash('sha256', String(number));
const textOf = (lines: number): string => Array.from({ length: lines }, (_, number) => `${lineOf(number)}\n`).join('');

async function sealedFile(text: string, segmentBytes: number): Promise<StoredFile> {
  files += 1;
  const file = { path: path.join(directory, `${files}`), seal };
  const writer = await createSealedFile(file.path, seal, segmentBytes);
  await writer.append(Buffer.from(text, 'latin1'));
  await writer.finish();
  await writer.close();
  return file;
}

function foldedInOrder(text: string): LineBuckets {
  const reader = foldLines(() => assert.fail('every line is usual'));
  reader.read(Buffer.from(text, 'latin1'));
  reader.end();
  return reader.buckets;
}

/** What both come to together when they take turns like this, and then as long as there is anything; or what either throws. */
function foldInTurns(shared: SharedFolding, turns: readonly boolean[]): LineBuckets | Error {
  const readers = [usualLines(), usualLines()] as const;
  const [one, other] = [foldTaken(shared, readers[0]), foldTaken(shared, readers[1])];
  let thrown: Error | null = null;
  const go = (folding: Generator<void>): boolean => {
    try {
      return folding.next().done !== true;
    } catch (cause) {
      assert(cause instanceof Error);
      thrown ??= cause;
      return false;
    }
  };
  for (const turn of turns) go(turn ? one : other);
  for (const folding of [other, one]) while (go(folding));
  if (thrown !== null) return thrown;
  mergeLineBuckets(readers[0].buckets, readers[1].buckets);
  return readers[0].buckets;
}

describe('segments folded by whoever takes them', () => {
  it('come to the buckets of the file in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 7 }),
        fc.boolean(),
        fc.array(fc.boolean(), { maxLength: 40 }),
        async (lines, linesPerSegment, isEnded, turns) => {
          const text = textOf(lines).slice(0, isEnded ? undefined : -1);
          const shared = shareFolding(await sealedFile(text, linesPerSegment * LINE_BYTES));
          assert.equal(shared.segments, Math.ceil(lines / linesPerSegment));
          assert.deepEqual(foldInTurns(shared, turns), foldedInOrder(text));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('are left to reading in order by both where a line is not usual, or lies over two of them', async () => {
    const odd = fc.constantFrom('no CID', '', `${lineOf(1)}\r`, 'g'.repeat(64), lineOf(1).slice(1));
    await fc.assert(
      fc.asyncProperty(fc.nat(39), odd, fc.array(fc.boolean(), { maxLength: 40 }), async (at, line, turns) => {
        const texts = Array.from({ length: 40 }, (_, number) => lineOf(number)).toSpliced(at, 1, line);
        const shared = shareFolding(await sealedFile(`${texts.join('\n')}\n`, 3 * LINE_BYTES));
        assert(isToldInOrder(foldInTurns(shared, turns)));
        // Nothing is left to take: the other one has stopped as well.
        assert.deepEqual([...foldTaken(shared, usualLines())], []);
      }),
      { numRuns: 60 },
    );
    const shared = shareFolding(await sealedFile(textOf(40), 2 * LINE_BYTES + 1));
    assert(isToldInOrder(foldInTurns(shared, [true, false])));
  });

  it('are left to reading in order where the file has changed since it was looked at', async () => {
    const shared = shareFolding(await sealedFile(textOf(40), LINE_BYTES));
    const shorter = await sealedFile(textOf(39), LINE_BYTES);
    assert(isToldInOrder(foldInTurns({ ...shared, file: shorter }, [])));
    assert.equal(foldBeside({ ...shareFolding(shorter), segments: 40 }), null);
  });

  it('are none for one who joins when all are taken, which the first one need not wait for', async () => {
    const text = textOf(20);
    const shared = shareFolding(await sealedFile(text, LINE_BYTES));
    const reader = usualLines();
    assert.equal([...foldTaken(shared, reader)].length, 20);
    assert.equal(isJoined(shared), false);
    const late = foldBeside(shared);
    assert(late !== null && countOfBuckets(late) === 0);
    assert.equal(isJoined(shared), true);
    assert.deepEqual(reader.buckets, foldedInOrder(text));
  });

  it('hold whole lines in a file as it is downloaded', async () => {
    const runId = randomUUID();
    const place = { workDirectory: directory, newId: randomUUID };
    const file = await beginFile(place, runId, seal);
    const text = textOf(SEGMENT_BYTES / LINE_BYTES + 100);
    await file.append(Buffer.from(text, 'latin1'));
    await file.place();
    const shared = shareFolding({ path: filePath(place, runId), seal });
    assert.equal(shared.segments, 2);
    assert.deepEqual(foldInTurns(shared, [true, false]), foldedInOrder(text));
  });
});
