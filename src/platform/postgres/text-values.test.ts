/** What the server writes in text is read as the driver reads it. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bytesOfText, instantOfText, isoOfText } from './text-values.ts';

describe("a value in the server's text", () => {
  it('is the instant that was written, in every zone and with every fraction', () => {
    assert.equal(instantOfText('2026-03-01 12:00:00+00').toISOString(), '2026-03-01T12:00:00.000Z');
    assert.equal(instantOfText('2026-03-01 12:00:00.5-03').toISOString(), '2026-03-01T15:00:00.500Z');
    assert.equal(instantOfText('1913-12-31 20:53:12.123456-03:06:28').toISOString(), '1913-12-31T23:59:40.123Z');
    assert.throws(() => instantOfText('infinity'), /is a time with zone/);
    fc.assert(
      fc.property(fc.date({ min: new Date('1900-01-01Z'), max: new Date('9999-12-31Z'), noInvalidDate: true }), (date) => {
        const iso = date.toISOString();
        const text = iso.replace('T', ' ').replace('Z', '+00');
        assert.deepEqual(instantOfText(text), date);
        assert.equal(isoOfText(text), iso);
        assert.equal(isoOfText(text.replace(/[.]\d+/, '')), iso.replace(/[.]\d+/, '.000'));
      }),
    );
  });

  it('is the bytes that were written', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        assert.deepEqual(bytesOfText(`\\x${Buffer.from(bytes).toString('hex')}`), Buffer.from(bytes));
      }),
    );
  });
});
