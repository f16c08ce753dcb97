/** The public library as a user meets it; the algorithms themselves are specified beside them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CidEntry, cid, toggleCid, vsync } from './index.ts';

const entry: CidEntry = {
  key: '+5511987654321',
  keyType: 'PHONE',
  account: { participant: '12345678', branch: '00001', accountNumber: '0007654321', accountType: 'CACC' },
  owner: { taxIdNumber: '11122233300', name: 'João Silva' },
};
const requestId = '01020304-0506-0708-090a-0b0c0d0e0f10';
const others = [
  '4d4abb9168114e349672b934d16ed201a919cb49e28b7f66a240e62c92ee007f',
  'FCE514F84F37934BC8AA0F861E4F7392273D71B9D18E8209D21E4192A7842058',
];
const published = '996fc1dd3b6b14bcf0c9fe8320eb66d7e2a3fd874ccf767b2e939641b1ea8eaf';

describe('the library', () => {
  it('computes the published CID and VSync', () => {
    assert.equal(cid(entry, { requestId }), '28c06eb41c4dc9c3ae114831efcac7446c8747777fca8b145ecd31ff8480ae88');
    assert.equal(vsync([cid(entry, { requestId }), ...others]), published);
    assert.equal(vsync(new Set()), '0'.repeat(64));
  });

  it('keeps a VSync up to date one CID at a time', () => {
    const before = vsync(others);
    const after = toggleCid(before, cid(entry, { requestId }));
    assert.equal(after, published);
    assert.equal(toggleCid(after, cid(entry, { requestId })), before);
  });

  it('takes the algorithm by name', () => {
    assert.notEqual(cid(entry, { requestId, algorithm: 'canonical-json-1.0' }), cid(entry, { requestId, algorithm: 'dict' }));
  });

  it('names what is wrong', () => {
    assert.throws(() => cid(entry, { requestId: '1' }), /request_id: "1" is not a UUID/);
    assert.throws(() => vsync(['abc']), /"abc" is not a CID \(64 hex digits\)/);
    assert.throws(() => toggleCid('abc', others[0] ?? ''), /"abc" is not a VSync/);
  });
});
