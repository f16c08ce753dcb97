/** What a CID is, by the published vector and by properties; canonical-json-1.0 has its own file. */

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { asCid, type CidEntry, cidFromHex, cidToHex, computeCid, packCids, unpackCids } from './cid.ts';
import { dictAttributes } from './dict-cid.ts';

const requestId = '01020304-0506-0708-090a-0b0c0d0e0f10';

const published: CidEntry = {
  key: '+5511987654321',
  keyType: 'PHONE',
  account: { participant: '12345678', branch: '00001', accountNumber: '0007654321', accountType: 'CACC' },
  owner: { taxIdNumber: '11122233300', name: 'João Silva', tradeName: null },
};

/** The nine attributes in the order they are hashed in, to make entries from. */
type Attributes = [string, string, string, string, string, string, string, string, string];

function entryOf(attributes: Attributes): CidEntry {
  const [keyType, key, taxIdNumber, name, tradeName, participant, branch, accountNumber, accountType] = attributes;
  return { key, keyType, account: { participant, branch, accountNumber, accountType }, owner: { taxIdNumber, name, tradeName } };
}

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const attributes = fc.tuple(text, text, text, text, text, text, text, text, text);
const anyRequestId = fc.uuid();
const hexOf = (entry: CidEntry, id: string) => cidToHex(computeCid(entry, id));

describe('a CID under dict', () => {
  it('is the one the Central Bank published for its example', () => {
    assert.equal(dictAttributes(published), 'PHONE&+5511987654321&11122233300&João Silva&&12345678&00001&0007654321&CACC');
    assert.equal(hexOf(published, requestId), '28c06eb41c4dc9c3ae114831efcac7446c8747777fca8b145ecd31ff8480ae88');
  });

  it('is HMAC-SHA256 of the attributes, keyed by the 16 bytes of the RequestId, whatever they hold', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'binary', maxLength: 3_000 }), { minLength: 9, maxLength: 9 }),
        anyRequestId,
        (given, id) => {
          const entry = entryOf(given as Attributes); // the array has nine elements by construction
          const key = Buffer.from(id.replaceAll('-', ''), 'hex');
          assert.equal(hexOf(entry, id), createHmac('sha256', key).update(given.join('&'), 'utf8').digest('hex'));
        },
      ),
    );
  });

  it('takes null, absent and empty as the same', () => {
    const { tradeName: _, ...owner } = published.owner;
    assert.equal(hexOf({ ...published, owner }, requestId), hexOf(published, requestId));
    assert.equal(hexOf({ ...published, owner: { ...owner, tradeName: '' } }, requestId), hexOf(published, requestId));
  });

  it('does not hash the opening date, the owner type or the dates of registration', () => {
    const dated: CidEntry = {
      ...published,
      account: { ...published.account, openingDate: '2010-01-10T03:00:00Z' },
      owner: { ...published.owner, type: 'NATURAL_PERSON' },
      registeredAt: '2019-11-18T03:00:00Z',
      participantRegisteredAt: '2019-11-18T03:00:00Z',
    };
    assert.equal(hexOf(dated, requestId), hexOf(published, requestId));
  });

  it('differs for entries that differ in any attribute', () => {
    const noAmpersand = attributes.filter((given) => !given.join('').includes('&'));
    fc.assert(
      fc.property(noAmpersand, noAmpersand, anyRequestId, (a, b, id) => {
        assert.equal(hexOf(entryOf(a), id) === hexOf(entryOf(b), id), a.join('&') === b.join('&'));
      }),
    );
    fc.assert(
      fc.property(attributes, fc.nat({ max: 8 }), text, anyRequestId, (given, at, value, id) => {
        fc.pre(given[at] !== value);
        const changed = given.with(at, value) as Attributes; // still nine elements
        assert.notEqual(hexOf(entryOf(given), id), hexOf(entryOf(changed), id));
      }),
    );
  });

  it('differs for every RequestId, whose case does not matter', () => {
    fc.assert(
      fc.property(attributes, anyRequestId, anyRequestId, (given, id, otherId) => {
        fc.pre(id !== otherId);
        assert.notEqual(hexOf(entryOf(given), id), hexOf(entryOf(given), otherId));
        assert.equal(hexOf(entryOf(given), id), hexOf(entryOf(given), id.toUpperCase()));
      }),
    );
  });

  it('is never the same after case, spaces, accent form or & are rewritten: nothing is normalised', () => {
    const rewritings: ((value: string) => string)[] = [
      (value) => value.toUpperCase(),
      (value) => value.toLowerCase(),
      (value) => ` ${value}`,
      (value) => `${value} `,
      (value) => value.trim(),
      (value) => value.replace(/ +/g, '  '),
      (value) => value.replace(/\D/g, ''),
      (value) => value.normalize('NFC'),
      (value) => value.normalize('NFD'),
      (value) => value.replaceAll('&', '&amp;'),
      (value) => value.replaceAll('&', ' e '),
      (value) => value.padStart(14, '0'),
    ];
    const vivid = fc.string({
      unit: fc.constantFrom('João', 'JOÃO', 'Joa\u0303o', ' ', '  ', '&', '&amp;', '0', '-', '.', 'ç', 'É', 'e'),
    });
    fc.assert(
      fc.property(
        attributes,
        fc.nat({ max: 8 }),
        vivid,
        fc.constantFrom(...rewritings),
        anyRequestId,
        (given, at, value, rewrite, id) => {
          fc.pre(rewrite(value) !== value);
          const before = given.with(at, value) as Attributes; // still nine elements
          const after = given.with(at, rewrite(value)) as Attributes; // still nine elements
          assert.notEqual(hexOf(entryOf(before), id), hexOf(entryOf(after), id));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('cannot tell a & within a name from the one after it, as DICT cannot', () => {
    const owner = published.owner;
    const one = { ...published, owner: { ...owner, name: 'A&B', tradeName: 'C' } };
    const two = { ...published, owner: { ...owner, name: 'A', tradeName: 'B&C' } };
    assert.equal(hexOf(one, requestId), hexOf(two, requestId));
    assert.notEqual(hexOf(one, requestId), hexOf({ ...published, owner: { ...owner, name: 'A', tradeName: 'B' } }, requestId));
  });

  it('cannot be computed without a RequestId that is a UUID', () => {
    for (const wrong of ['', 'x', requestId.replaceAll('-', ''), `${requestId}0`, ` ${requestId}`, `{${requestId}}`]) {
      assert.throws(() => computeCid(published, wrong), { name: 'TypeError', message: /^request_id: ".*" is not a UUID/ });
    }
  });
});

describe('CIDs as text and bytes', () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });

  it('are written in lower case and read in either', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const hex = cidToHex(asCid(value));
        assert.match(hex, /^[0-9a-f]{64}$/);
        assert.deepEqual(Buffer.from(cidFromHex(hex.toUpperCase())), Buffer.from(value));
      }),
    );
  });

  it('are refused with what was given when they are none', () => {
    for (const wrong of ['', 'g'.repeat(64), 'a'.repeat(63), 'a'.repeat(65), `${'a'.repeat(64)}\n`, `0x${'a'.repeat(62)}`]) {
      assert.throws(() => cidFromHex(wrong), { name: 'TypeError', message: /is not a CID \(64 hex digits\)/ });
    }
    assert.throws(() => asCid(new Uint8Array(31)), TypeError);
  });

  it('come back from a packed sequence as they went in', () => {
    fc.assert(
      fc.property(fc.array(bytes), (values) => {
        const cids = values.map(asCid);
        assert.deepEqual([...unpackCids(packCids(cids))].map(cidToHex), cids.map(cidToHex));
      }),
    );
    assert.throws(() => [...unpackCids(new Uint8Array(33))], TypeError);
  });
});

it('an unknown algorithm is refused by name', () => {
  // What a caller without types may do.
  assert.throws(
    () => computeCid(published, requestId, 'md5' as 'dict'),
    /algorithm "md5" is unknown \(one of dict, canonical-json-1\.0\)/,
  );
});
