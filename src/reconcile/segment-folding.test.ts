/** Specifies that several readers who take segments in turns, whatever the turns, come to what one comes to in order. */

import assert from 'node:assert/strict';
import { hash, randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sealedTexts } from '../../test/support/sealed-text.ts';
import { countOfBuckets } from '../vsync/buckets.ts';
import { foldLines } from '../vsync/cid-lines.ts';
import { LINE_BYTES, type LineBuckets } from '../vsync/line-kernel.ts';
import {
  foldBeside,
  foldedTogether,
  foldTaken,
  isToldInOrder,
  type SharedFolding,
  shareFolding,
  usualLines,
} from './segment-folding.ts';
import { beginFile, filePath } from './stored-file.ts';

const texts = sealedTexts();
const sealedFile = texts.write;

const lineOf = (number: number): string => hash('sha256', String(number));
const textOf = (lines: number): string => Array.from({ length: lines }, (_, number) => `${lineOf(number)}\n`).join('');

function foldedInOrder(text: string): LineBuckets {
  const reader = foldLines(() => assert.fail('every line is usual'));
  reader.read(Buffer.from(text, 'latin1'));
  reader.end();
  return reader.buckets;
}

/** Of a file whose segments are long enough. */
async function sharedFile(text: string, segmentBytes: number): Promise<SharedFolding> {
  const shared = shareFolding(await sealedFile(text, segmentBytes));
  assert(shared !== null);
  return shared;
}

/** What both come to together when they take turns like this, and then as long as there is anything; or what any of it throws. */
async function foldInTurns(shared: SharedFolding, turns: readonly boolean[]): Promise<LineBuckets | Error> {
  const [first, second] = [usualLines(), usualLines()];
  const [one, other] = [foldTaken(shared, first), foldTaken(shared, second)];
  try {
    for (const turn of turns) (turn ? one : other).next();
    for (const folding of [other, one]) for (const _ of folding);
    second.end();
    const late = foldBeside(shared);
    assert(late !== null && countOfBuckets(late) === 0);
    const folded = await foldedTogether(shared, first, Promise.resolve(second.buckets));
    assert(folded !== null);
    return folded;
  } catch (cause) {
    assert(cause instanceof Error);
    return cause;
  }
}

describe('segments folded by whoever takes them', () => {
  it('come to the buckets of the file in order, wherever lines lie over segments', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: LINE_BYTES, max: 7 * LINE_BYTES }),
        fc.boolean(),
        fc.array(fc.boolean(), { maxLength: 40 }),
        async (lines, segmentBytes, isEnded, turns) => {
          const text = textOf(lines).slice(0, isEnded ? undefined : -1);
          const shared = await sharedFile(text, segmentBytes);
          assert.equal(shared.segments, Math.ceil(text.length / segmentBytes));
          assert.deepEqual(await foldInTurns(shared, turns), foldedInOrder(text));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('come to them at every length of a file whose last line is cut by its end alone', async () => {
    const text = textOf(9);
    for (const segmentBytes of [65, 66, 100, 129, 130, 194, 500]) {
      for (const lines of [1, 2, 3, 4, 5, 9]) {
        for (const cut of [0, 1]) {
          const whole = text.slice(0, lines * LINE_BYTES - cut);
          const shared = await sharedFile(whole, segmentBytes);
          assert.deepEqual(await foldInTurns(shared, [true, false]), foldedInOrder(whole), `${segmentBytes} ${whole.length}`);
        }
      }
    }
  });

  it('are left to reading in order where a line is not usual', async () => {
    const odd = fc.constantFrom(
      'no CID',
      '',
      `${lineOf(1)}\r`,
      'g'.repeat(64),
      lineOf(1).slice(1),
      `${lineOf(1)}\n${lineOf(2)} `,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.nat(39),
        odd,
        fc.integer({ min: LINE_BYTES, max: 4 * LINE_BYTES }),
        fc.array(fc.boolean(), { maxLength: 40 }),
        async (at, line, segmentBytes, turns) => {
          const texts = Array.from({ length: 40 }, (_, number) => lineOf(number)).toSpliced(at, 1, line);
          const shared = await sharedFile(`${texts.join('\n')}\n`, segmentBytes);
          assert(isToldInOrder(await foldInTurns(shared, turns)));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('stop everybody where one of them is not right, or the file has changed since it was looked at', async () => {
    const shared = await sharedFile(`${textOf(3)}no CID\n${textOf(40)}`, 2 * LINE_BYTES);
    assert.throws(() => [...foldTaken(shared, usualLines())], isToldInOrder);
    assert.deepEqual([...foldTaken(shared, usualLines())], []);
    const changed = { ...(await sharedFile(textOf(40), 100)), file: await sealedFile(textOf(38), 100) };
    assert.throws(() => [...foldTaken(changed, usualLines())], isToldInOrder);
    assert.equal(foldBeside(changed), null);
    assert.equal(shareFolding(await sealedFile(textOf(40), LINE_BYTES - 1)), null);
  });

  it('are not waited for where another thread has come too late for any, and are where it has not', async () => {
    const text = textOf(20);
    const never = new Promise<null>(() => {});
    const alone = await sharedFile(text, 100);
    const reader = usualLines();
    for (const _ of foldTaken(alone, reader));
    assert.deepEqual(await foldedTogether(alone, reader, never), foldedInOrder(text));
    // One that has joined and then failed.
    const joined = await sharedFile(text, 100);
    assert.notEqual(foldBeside(joined), null);
    assert.equal(await foldedTogether(joined, usualLines(), Promise.resolve(null)), null);
  });

  it('are folded so in a file as it is downloaded', async () => {
    const runId = randomUUID();
    const place = { workDirectory: texts.directory(), newId: randomUUID };
    const file = await beginFile(place, runId, texts.seal);
    const text = textOf(5_000);
    await file.append(Buffer.from(text, 'latin1'));
    await file.place();
    const shared = shareFolding({ path: filePath(place, runId), seal: texts.seal });
    assert.equal(shared?.segments, 2);
    assert.deepEqual(await foldInTurns(shared, [true, false]), foldedInOrder(text));
  });
});
