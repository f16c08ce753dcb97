/** What of a key and of a CID may be seen. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cidFingerprint, maskKey } from './masking.ts';

describe('masking a key', () => {
  const cases: readonly (readonly [keyType: string, key: string, shown: string])[] = [
    ['CPF', '52998224725', '***982247**'],
    ['CNPJ', '11222333000181', '**222333****81'],
    ['PHONE', '+5511987654321', '+55*******4321'],
    ['EMAIL', 'someone@example.com', 's***@***.com'],
    ['EMAIL', 'no-at-sign', 'n*********'],
    ['EVP', '123e4567-e89b-12d3-a456-426614174000', `123e4567${'*'.repeat(28)}`],
    ['CPF', '123', '***'],
    ['PHONE', '+55', '***'],
    ['SOMETHING_NEW', 'abc', 'a*c'],
  ];
  for (const [keyType, key, shown] of cases) {
    it(`shows the ${keyType} ${key.length > 20 ? 'key' : key} as ${shown}`, () => assert.equal(maskKey(key, keyType), shown));
  }
});

it('a CID’s fingerprint is 16 hex digits of its SHA-256, not of the CID', () => {
  assert.equal(cidFingerprint(new Uint8Array(32)), '66687aadf862bd77');
});
