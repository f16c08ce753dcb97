/** Bodies signed as DICT demands it, against the RSA in it: what parsing, canonicalising and digesting add. */

import * as path from 'node:path';
import { assert } from '../../src/platform/assert.ts';
import { initDemoKeys } from '../../src/simulator/demo-keys.ts';
import type { Bench } from '../bench.ts';
import { opensslRsa } from '../fixtures/openssl-rsa.ts';
import { demoSigner, question } from '../fixtures/signed-documents.ts';

export const bench: Bench = {
  what: 'bodies signed, on one core',
  items: { usual: 5_000, small: 1_000, unit: 'signatures' },
  timed: 'work',
  rounds: 5,
  sides: {
    ours: {
      run: async ({ items, directory }) => {
        const sign = demoSigner(String(directory));
        let signed = 0;
        for (let number = 0; number < Number(items); number++)
          signed += sign(question(number)).includes('SignatureValue>') ? 1 : 0;
        assert(signed === items, 'each is signed');
        return signed;
      },
    },
    'openssl speed': opensslRsa('signatures'),
  },
  wanted: { 'openssl speed': { atMost: 1.5, smallAtMost: 4 } },
  prepare(items, directory) {
    const keys = path.join(directory, 'pki');
    initDemoKeys(keys, new Date());
    return Promise.resolve({ fixture: { items, directory: keys } });
  },
};
