/** Signed documents read and verified, from bytes to what was signed, against the RSA in it. Verifying is cheap, so that reading shows. */

import * as path from 'node:path';
import { assert } from '../../src/platform/assert.ts';
import { childOf, parseXml } from '../../src/platform/xml.ts';
import { verifiedXml } from '../../src/platform/xml-signature-verification.ts';
import { initDemoKeys } from '../../src/simulator/demo-keys.ts';
import type { Bench } from '../bench.ts';
import { opensslRsa } from '../fixtures/openssl-rsa.ts';
import { demoSigner, demoTrust, question } from '../fixtures/signed-documents.ts';

const distinct = 200;
/** Signed before anything is timed. */
let documents: readonly Buffer[] = [];

export const bench: Bench = {
  what: 'signed documents read and verified, on one core',
  items: { usual: 20_000, small: 2_000, unit: 'verifications' },
  timed: 'work',
  rounds: 5,
  sides: {
    ours: {
      before: async ({ directory }) => {
        const sign = demoSigner(String(directory));
        documents = Array.from({ length: distinct }, (_, n) => Buffer.from(sign(question(n))));
      },
      run: async ({ items, directory }) => verifyAll(String(directory), Number(items)),
    },
    'openssl speed': opensslRsa('verifications'),
  },
  wanted: { 'openssl speed': { atMost: 12, smallAtMost: 40 } },
  prepare(items, directory) {
    const keys = path.join(directory, 'pki');
    initDemoKeys(keys, new Date());
    return Promise.resolve({ fixture: { items, directory: keys } });
  },
};

function verifyAll(directory: string, items: number): number {
  const trust = demoTrust(directory);
  const now = new Date();
  let verified = 0;
  for (let n = 0; n < items; n++) {
    const { root } = verifiedXml(parseXml(documents[n % distinct] ?? ''), trust, now);
    verified += childOf(root, 'SyncVerification') === undefined ? 0 : 1;
  }
  assert(verified === items, 'each is verified and hands on what was signed');
  return verified;
}
