/**
 * Certificates of TLS that the other side does not accept, under the whole product: nothing is asked of a DICT that cannot be trusted, what is
 * wrong is said to a person, and with the right certificate again all is repaired. Certificates of signatures are in one-call and every-call.
 */

import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import type { TlsIdentity } from '../../src/platform/tls-files.ts';
import { faultWorld } from '../support/fault-world.ts';
import { authority, identity, participantCertificate, stranger } from '../support/tls-sides.ts';

const expired = authority.issue({ notBefore: new Date('2020-01-01'), notAfter: new Date('2021-01-01') });

const trials: readonly (readonly [what: string, of: (t: TestContext) => TlsIdentity, says: RegExp])[] = [
  [
    'DICT’s is of an authority that is not trusted here',
    (t) => identity(t, participantCertificate, [stranger]),
    /^unavailable: ServerCertificateUntrusted after 1 try: .*shows a certificate that is not trusted here: .*DICT_VSYNC_DICT_TLS_AUTHORITY/,
  ],
  [
    'we show none',
    (t) => identity(t, null),
    /^unavailable: ClientCertificateRefused after 1 try: .*none is presented; set DICT_VSYNC_DICT_TLS_CERTIFICATE/,
  ],
  [
    'ours is of an authority that DICT does not know',
    (t) => identity(t, stranger.issue()),
    /^unavailable: (Unreachable|ConnectionLost) after 3 tries: .*may be refusing our certificate: it has to be the one/,
  ],
  [
    'ours has expired',
    (t) => identity(t, expired),
    /^unavailable: (Unreachable|ConnectionLost) after 3 tries: .*may be refusing our certificate: it expired at 2021-01-01/,
  ],
];

it('of two certificates for TLS', { timeout: 300_000 }, async (t) => {
  const right = identity(t);
  let shown = right;
  const world = await faultWorld(t, { tls: () => shown });
  for (const [what, of, says] of trials) {
    await t.test(what, async () => {
      const before = world.state.counts();
      const ended = await world.endure({
        fault: () => {
          shown = of(t);
        },
        mend: () => {
          assert.deepEqual(world.state.counts(), before, 'nothing has reached DICT');
          shown = right;
        },
        expected: { status: 'FAILED', says, base: 'untouched' },
      });
      assert.match(ended.outcome, /^unavailable/);
    });
  }
});
