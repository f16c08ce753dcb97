/** Lines of a CID set file, however they are cut into chunks. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { cidToHex } from '../cid/cid.ts';
import { BUCKET_COUNT } from '../vsync/buckets.ts';
import { collectLines } from '../vsync/cid-lines.ts';
import { FileRefused, refuseLine } from './cid-set-file.ts';

const everyBucket = Array.from({ length: BUCKET_COUNT }, (_, bucket) => bucket);

function cidsOf(chunks: readonly Uint8Array[]): string[] {
  const cids: string[] = [];
  const reader = collectLines(everyBucket, (cid) => cids.push(cidToHex(cid)), refuseLine);
  for (const chunk of chunks) reader.read(chunk);
  assert.equal(reader.end(), cids.length);
  return cids;
}

const line = 'ab'.repeat(32);

describe('reading a CID set file', () => {
  it('gives every line in order, wherever chunks end', () => {
    const cid = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
    fc.assert(
      fc.property(
        fc.array(cid, { maxLength: 20 }),
        fc.array(fc.nat(1_300), { maxLength: 10 }),
        fc.boolean(),
        (cids, cuts, upper) => {
          const text = cids.map((each) => `${upper ? each.toUpperCase() : each}\n`).join('');
          const bytes = Buffer.from(text);
          const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length].toSorted((a, b) => a - b);
          const chunks = ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
          assert.deepEqual(cidsOf(chunks), cids);
        },
      ),
    );
  });

  it('reads a last line without line feed, and an empty file as no lines', () => {
    assert.deepEqual(cidsOf([Buffer.from(`${line}\n${line}`)]), [line, line]);
    assert.deepEqual(cidsOf([]), []);
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['a carriage return', `${line}\r\n`, /line 1: character 13 where the line should end/],
    ['a digit too many', `${line}\n${line}a\n`, /line 2: character 97 where the line should end/],
    ['a digit too few', `${line}\n${line.slice(1)}\n`, /line 2: character 10 at column 64/],
    ['an empty line', `${line}\n\n${line}\n`, /line 2: character 10 at column 1/],
    ['a letter that is no digit', `g${line.slice(1)}\n`, /line 1: character 103 at column 1/],
    ['a byte order mark', `\uFEFF${line}\n`, /line 1: character 239 at column 1/],
    ['a page of HTML', '<html>', /line 1: character 60 at column 1/],
    ['an end within a line', `${line}\n${line.slice(0, 40)}`, /line 2: the last line has 40 of 64 digits/],
    ['a NUL', `${line}\n\0`, /line 2: character 0/],
  ];
  for (const [what, text, message] of wrong) {
    it(`refuses ${what}, naming the line`, () => {
      assert.throws(
        () => cidsOf([Buffer.from(text)]),
        (failure) => {
          assert.ok(failure instanceof FileRefused);
          assert.equal(failure.kind, 'malformed');
          assert.match(failure.message, message);
          return true;
        },
      );
    });
  }

  it('never mistakes noise for a file', () => {
    for (let turn = 0; turn < 200; turn++) assert.throws(() => cidsOf([randomBytes(650)]), FileRefused);
  });
});
