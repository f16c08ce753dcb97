/** Lines come out of a byte stream whole, wherever its chunks are cut. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type EventLine, LineCutter } from './event-lines.ts';

function cut(chunks: readonly Uint8Array[], lineBytesMax = 1_000): EventLine[] {
  const cutter = new LineCutter(lineBytesMax);
  const lines = [...chunks.flatMap((chunk) => cutter.push(chunk)), ...cutter.end()];
  return lines.map((line) => ({ ...line, bytes: Uint8Array.from(line.bytes) }));
}

function texts(lines: readonly EventLine[]): string[] {
  return lines.map((line) => Buffer.from(line.bytes).toString());
}

describe('lines of a stream', () => {
  it('come out with their number and where they end; blank ones are counted and passed over', () => {
    const lines = cut([Buffer.from('one\n\n \r\nfour\nlast')]);
    assert.deepEqual(
      lines.map(({ number, endOffset }) => [number, endOffset]),
      [
        [1, 4],
        [4, 13],
        [5, 17],
      ],
    );
    assert.deepEqual(texts(lines), ['one', 'four', 'last']);
  });

  it('are the same however the stream is cut into chunks, inside characters too', () => {
    const content = fc.array(fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => text.replaceAll('\n', '')));
    fc.assert(
      fc.property(content, fc.array(fc.nat({ max: 400 })), (wanted, cuts) => {
        const bytes = Buffer.from(wanted.join('\n'));
        const at = [...new Set([0, ...cuts.filter((position) => position < bytes.length), bytes.length])].sort((a, b) => a - b);
        const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index] ?? 0, end));
        const whole = cut([bytes]);
        assert.deepEqual(cut(chunks), whole);
        assert.deepEqual(
          texts(whole),
          wanted.filter((text) => !/^[ \t\r]*$/.test(text)),
        );
      }),
    );
  });

  it('keep the beginning of a line that is too long, say how long it is, and go on after it', () => {
    const lines = cut([Buffer.from('aaaa'), Buffer.from('bbbb'), Buffer.from('c\nnext\n')], 6);
    assert.deepEqual(texts(lines), ['aaaabb', 'next']);
    assert.deepEqual(
      lines.map((line) => line.tooLongBytes),
      [9, null],
    );
  });

  it('do not hold on to the chunks they came in', () => {
    const chunk = Buffer.from('part');
    const cutter = new LineCutter(100);
    cutter.push(chunk);
    chunk.fill('x');
    assert.deepEqual(texts(cutter.push(Buffer.from('\n'))), ['part']);
  });
});
