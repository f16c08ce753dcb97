/** The binary form of values, against plain ways to write them. That the server reads it so is src/ingest/file-import.postgres.test.ts. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BinaryRows } from './binary-rows.ts';

const text = fc.oneof(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.string({ maxLength: 60 }));
const epochMs = Date.UTC(2000, 0, 1);

describe('rows in the binary form', () => {
  it('have texts as their bytes in UTF-8 behind their length, whatever is in them and however often the buffer grows', () => {
    fc.assert(
      fc.property(fc.array(fc.option(text), { maxLength: 40 }), (values) => {
        const rows = new BinaryRows(8);
        for (const value of values) rows.text(value);
        const expected = values.flatMap((value) => {
          const bytes = Buffer.from(value ?? '');
          const length = Buffer.alloc(4);
          length.writeInt32BE(value === null ? -1 : bytes.length);
          return [length, bytes];
        });
        assert.deepEqual(rows.take(), Buffer.concat(expected));
        assert.equal(rows.length, 0);
      }),
    );
  });

  it('have instants as microseconds since 2000, exactly, from the year 1 to 9999', () => {
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(1, 0, 1), max: Date.UTC(9999, 11, 31) }), (ms) => {
        const rows = new BinaryRows(16);
        rows.timestamp(ms);
        assert.equal(rows.take().readBigInt64BE(4), (BigInt(ms) - BigInt(epochMs)) * 1_000n);
      }),
    );
  });

  it('have UUIDs as their 16 bytes, in either case', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.boolean(), (uuid, upper) => {
        const rows = new BinaryRows(32);
        rows.uuid(upper ? uuid.toUpperCase() : uuid);
        assert.equal(rows.take().toString('hex', 4), uuid.replaceAll('-', ''));
      }),
    );
  });

  it('give values that were written back, one or several joined, as long as there is room', () => {
    fc.assert(
      fc.property(
        fc.uuid(),
        fc.array(fc.option(text), { minLength: 1, maxLength: 9 }),
        fc.nat({ max: 600 }),
        (uuid, values, room) => {
          const rows = new BinaryRows(64);
          rows.uuid(uuid);
          for (const value of values) rows.text(value);
          const target = Buffer.alloc(16 + room);
          const from = rows.copyField(0, target, 0);
          assert.equal(target.toString('hex', 0, 16), uuid.replaceAll('-', ''));
          const wanted = Buffer.from(values.map((value) => value ?? '').join('&'));
          const joined = rows.join({ from, fields: values.length, separator: 0x26 }, target, 16, room);
          if (joined === null) assert.ok(wanted.length + 5 > room, `${wanted.length} bytes have room in ${room}`);
          else assert.deepEqual(target.subarray(16, 16 + joined), wanted);
        },
      ),
    );
  });
});
