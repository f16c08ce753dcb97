/** The oracle against the published vectors and against node:crypto. */

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type CidAttributes, cidOf, EMPTY_VSYNC, vsyncAccumulator, xorHex } from './oracle.ts';

const PUBLISHED: CidAttributes = {
  keyType: 'PHONE',
  key: '+5511987654321',
  taxIdNumber: '11122233300',
  name: 'João Silva',
  tradeName: null,
  participant: '12345678',
  branch: '00001',
  accountNumber: '0007654321',
  accountType: 'CACC',
};
const PUBLISHED_CIDS = [
  '28c06eb41c4dc9c3ae114831efcac7446c8747777fca8b145ecd31ff8480ae88',
  '4d4abb9168114e349672b934d16ed201a919cb49e28b7f66a240e62c92ee007f',
  'fce514f84f37934bc8aa0f861e4f7392273d71b9d18e8209d21e4192a7842058',
] as const;

describe('the oracle', () => {
  it('computes the CID that the DICT API publishes', () => {
    assert.equal(cidOf(PUBLISHED, '01020304-0506-0708-090a-0b0c0d0e0f10'), PUBLISHED_CIDS[0]);
  });

  it('computes the VSync that the DICT API publishes', () => {
    const vsync = vsyncAccumulator();
    assert.equal(vsync.hex(), EMPTY_VSYNC);
    for (const cid of PUBLISHED_CIDS) vsync.mix(cid);
    assert.equal(vsync.hex(), '996fc1dd3b6b14bcf0c9fe8320eb66d7e2a3fd874ccf767b2e939641b1ea8eaf');
    for (const cid of PUBLISHED_CIDS) vsync.mix(cid);
    assert.equal(vsync.hex(), EMPTY_VSYNC);
    assert.equal(xorHex(PUBLISHED_CIDS[0], EMPTY_VSYNC), PUBLISHED_CIDS[0]);
  });

  it('is HMAC-SHA256 of the attributes joined by "&", whatever they hold', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.string({ unit: 'grapheme' }), fc.option(fc.string()), (requestId, name, tradeName) => {
        const message = ['PHONE', '+5511987654321', '11122233300', name, tradeName ?? '', '12345678', '1', '2', 'CACC'].join('&');
        const key = Buffer.from(requestId.replaceAll('-', ''), 'hex');
        const expected = createHmac('sha256', key).update(message, 'utf8').digest('hex');
        assert.equal(cidOf({ ...PUBLISHED, name, tradeName, branch: '1', accountNumber: '2' }, requestId), expected);
      }),
    );
  });
});
