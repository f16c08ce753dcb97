/** Sealed files: what was written comes back, in any pieces; whatever else was done to the file is refused by name. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import {
  createSealedFile,
  openSealedSegments,
  readSealedBeginning,
  readSealedFile,
  type Seal,
  type SealedFileFault,
  SealedFileRefused,
} from './sealed-file.ts';

const seal: Seal = { key: randomBytes(32), context: Buffer.from('one file') };
const header = 36;
const segment = 16;
const record = segment + 45;

async function directoryOf(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'dict-vsync-sealed-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

async function write(file: string, chunks: readonly Uint8Array[], by: Seal = seal, segmentBytes = segment): Promise<void> {
  const writer = await createSealedFile(file, by, segmentBytes);
  for (const chunk of chunks) await writer.append(chunk);
  await writer.finish();
  await writer.close();
}

const contentOf = (file: string, by: Seal = seal): Buffer =>
  // A part is gone when the next one is asked for.
  Buffer.concat(Array.from(readSealedFile(file, by), (part) => Buffer.from(part)));

/** The same, from the last segment to the first. */
function contentBackwards(file: string, by: Seal = seal): Buffer {
  const segments = openSealedSegments(file, by);
  try {
    const numbers = Array.from({ length: segments.count }, (_, at) => segments.count - 1 - at);
    return Buffer.concat(numbers.map((number) => Buffer.from(segments.read(number))).toReversed());
  } finally {
    segments.close();
  }
}

const faultOf = (file: string, by: Seal = seal, read = contentOf): SealedFileFault | null => {
  try {
    read(file, by);
    return null;
  } catch (cause) {
    assert.ok(cause instanceof SealedFileRefused, String(cause));
    return cause.fault;
  }
};

describe('a sealed file', () => {
  it('gives back what was appended, in whatever pieces, and shows none of it', async (t) => {
    const directory = await directoryOf(t);
    let number = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 8 }),
        fc.integer({ min: 1, max: 64 }),
        async (chunks, segmentBytes) => {
          const file = path.join(directory, `${number++}`);
          await write(file, chunks, seal, segmentBytes);
          assert.deepEqual(contentOf(file), Buffer.concat(chunks));
          assert.deepEqual(contentBackwards(file), Buffer.concat(chunks));
        },
      ),
      { numRuns: 200 },
    );
    const told = Buffer.from('a line that nobody else may read\n'.repeat(40));
    await write(path.join(directory, 'told'), [told]);
    const stored = await readFile(path.join(directory, 'told'));
    for (let at = 0; at + 8 <= told.length; at += 8) assert.equal(stored.includes(told.subarray(at, at + 8)), false);
  });

  it('of several megabytes is read in memory that does not grow with it, and is its owner’s alone', async (t) => {
    const file = path.join(await directoryOf(t), 'large');
    const chunk = randomBytes(1_000_003);
    const writer = await createSealedFile(file, seal);
    for (let count = 0; count < 8; count++) await writer.append(chunk);
    await writer.finish();
    await writer.close();
    let bytes = 0;
    let largest = 0;
    for (const part of readSealedFile(file, seal)) {
      bytes += part.length;
      largest = Math.max(largest, part.length);
    }
    assert.deepEqual([bytes, largest], [8 * chunk.length, 262_144]);
    if (process.platform !== 'win32') assert.equal((await stat(file)).mode & 0o777, 0o600);
  });

  it('never looks the same twice', async (t) => {
    const directory = await directoryOf(t);
    const [a, b] = [path.join(directory, 'a'), path.join(directory, 'b')];
    await write(a, [Buffer.alloc(segment * 2)]);
    await write(b, [Buffer.alloc(segment * 2)]);
    const [first, second] = [await readFile(a), await readFile(b)];
    assert.notDeepEqual(first.subarray(header), second.subarray(header));
    // Two segments of the same content in one file neither.
    assert.notDeepEqual(first.subarray(header + 29, header + 45), first.subarray(header + record + 29, header + record + 45));
  });

  it('opens under its own key and for its own content alone', async (t) => {
    const file = path.join(await directoryOf(t), 'set');
    await write(file, [randomBytes(100)]);
    assert.equal(faultOf(file, { ...seal, key: randomBytes(32) }), 'foreign');
    assert.equal(faultOf(file, { ...seal, context: Buffer.from('another file') }), 'foreign');
    assert.equal(faultOf(file), null);
  });

  it('is refused wherever a single bit of it was changed', async (t) => {
    const file = path.join(await directoryOf(t), 'set');
    await write(file, [randomBytes(3 * segment + 5)]);
    const whole = await readFile(file);
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      await writeFile(file, changed);
      assert.notEqual(faultOf(file), null, `byte ${at}`);
      assert.notEqual(faultOf(file, seal, contentBackwards), null, `byte ${at}, by segments`);
    }
  });

  const whole = randomBytes(3 * segment + 5);
  const faults: readonly (readonly [what: string, fault: SealedFileFault, change: (file: Buffer, other: Buffer) => Buffer])[] = [
    ['the last segment is missing', 'truncated', (file) => file.subarray(0, header + 3 * record)],
    ['all segments are missing', 'truncated', (file) => file.subarray(0, header)],
    ['half of the header is missing', 'truncated', (file) => file.subarray(0, header / 2)],
    ['a whole segment ends early', 'truncated', (file) => file.subarray(0, header + record + record - 3)],
    ['the last segment ends early', 'truncated', (file) => file.subarray(0, -3)],
    [
      'two segments have changed places',
      'moved',
      (file) =>
        Buffer.concat([
          file.subarray(0, header),
          file.subarray(header + record, header + 2 * record),
          file.subarray(header, header + record),
          file.subarray(header + 2 * record),
        ]),
    ],
    [
      'a segment stands there twice',
      'moved',
      (file) => Buffer.concat([file.subarray(0, header + record), file.subarray(header)]),
    ],
    [
      'a segment is another file’s',
      'foreign',
      (file, other) =>
        Buffer.concat([file.subarray(0, header), other.subarray(header, header + record), file.subarray(header + record)]),
    ],
    ['something follows', 'overlong', (file) => Buffer.concat([file, Buffer.alloc(1)])],
    ['the content is changed', 'altered', (file) => flipped(file, header + 34)],
    ['the tag is changed', 'altered', (file) => flipped(file, header + record - 1)],
    ['a segment is passed off as the last one', 'altered', (file) => flipped(file, header + 16)],
    ['it is no sealed file at all', 'foreign', () => Buffer.alloc(500, 'ca978112')],
  ];
  for (const [what, fault, change] of faults) {
    it(`is refused as ${fault} where ${what}`, async (t) => {
      const directory = await directoryOf(t);
      const [file, other] = [path.join(directory, 'set'), path.join(directory, 'other')];
      await write(file, [whole]);
      await write(other, [whole]);
      await writeFile(file, change(await readFile(file), await readFile(other)));
      assert.equal(faultOf(file), fault);
      assert.equal(faultOf(file, seal, contentBackwards), fault, 'segment by segment, in whatever order');
    });
  }

  it('that was not finished is not whole, and gives back its whole segments', async (t) => {
    const file = path.join(await directoryOf(t), 'part');
    const writer = await createSealedFile(file, seal, segment);
    const content = randomBytes(5 * segment + 3);
    await writer.append(content);
    await writer.close();
    assert.equal(faultOf(file), 'truncated');
    const beginning = (): Buffer => Buffer.concat(Array.from(readSealedBeginning(file, seal), (part) => Buffer.from(part)));
    assert.deepEqual(beginning(), content.subarray(0, 5 * segment));
    // The process died while it wrote one.
    await writeFile(file, (await readFile(file)).subarray(0, -7));
    assert.deepEqual(beginning(), content.subarray(0, 4 * segment));
    await writeFile(file, flipped(await readFile(file), header + record + 34));
    assert.deepEqual(beginning(), content.subarray(0, segment));
    assert.deepEqual([...readSealedBeginning(`${file}x`, seal)], []);
    assert.deepEqual([...readSealedBeginning(file, { ...seal, key: randomBytes(32) })], []);
  });

  it('is not written over another', async (t) => {
    const file = path.join(await directoryOf(t), 'set');
    await write(file, []);
    await assert.rejects(createSealedFile(file, seal), { code: 'EEXIST' });
  });
});

function flipped(file: Buffer, at: number): Buffer {
  const changed = Buffer.from(file);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}
