/** The simulated DICT over mutual TLS: whom it lets in, in which versions, and what it announces. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type RequestOptions } from 'node:https';
import { describe, it, type TestContext } from 'node:test';
import { type ConnectionOptions, connect } from 'node:tls';
import { type Issued, tlsAuthority } from '../../test/support/tls-authority.ts';
import { startSimulator } from './simulator.ts';

const authority = tlsAuthority('authority');
const server = authority.issue();
const client = authority.issue();

async function started(t: TestContext) {
  const tls = { certificate: server.pem.certificate, key: server.pem.key, authority: authority.pem.certificate };
  const simulator = await startSimulator({ tls, controlPort: 0 });
  t.after(() => simulator.close());
  return simulator;
}

function shown(own: Issued | null): ConnectionOptions & RequestOptions {
  const credentials = own === null ? {} : { cert: own.pem.certificate, key: own.pem.key };
  return { ca: authority.pem.certificate, ...credentials };
}

/** Status and headers of a GET, its body read; an error where there is no answer. */
async function got(url: string, options: RequestOptions) {
  const request = get(url, { agent: false, ...options });
  const [response] = await once(request, 'response');
  response.resume();
  await once(response, 'end');
  return { status: Number(response.statusCode), headers: response.headers };
}

describe('a simulator with certificates for TLS', () => {
  it('serves API and files over TLS to clients that show a certificate of its authority', async (t) => {
    const { apiUrl, filesUrl, controlUrl } = await started(t);
    const options = shown(client);
    const policies = { ...options, headers: { 'pi-requestingparticipant': '00038166' } };
    assert.match(apiUrl, /^https:\/\/127\.0\.0\.1:\d+\/api\/v2\/$/);
    assert.equal((await got(`${apiUrl}policies/`, policies)).status, 200);
    assert.match(filesUrl, /^https:\/\/127\.0\.0\.1:\d+\/cids$/);
    assert.equal((await got(`${filesUrl}/00038166/none.txt`, options)).status, 404);
    assert.match(String(controlUrl), /^http:/, 'the control interface is for this machine alone');
  });

  it('announces how long it keeps a connection', async (t) => {
    const { apiUrl } = await started(t);
    const options = { ...shown(client), headers: { 'pi-requestingparticipant': '00038166', connection: 'keep-alive' } };
    assert.match(String((await got(`${apiUrl}policies/`, options)).headers['keep-alive']), /^timeout=\d+$/);
  });

  const refused: readonly (readonly [string, Issued | null])[] = [
    ['no certificate', null],
    ['one of another authority', tlsAuthority('stranger').issue()],
    ['one that has expired', authority.issue({ notAfter: new Date('2021-01-01T00:00:00Z') })],
  ];
  for (const [what, own] of refused) {
    it(`answers no client that shows ${what}, neither with API nor with files`, async (t) => {
      const { apiUrl, filesUrl, state } = await started(t);
      for (const url of [`${apiUrl}policies/`, `${filesUrl}/00038166/none.txt`]) {
        await assert.rejects(got(url, shown(own)), /certificate required|ECONNRESET|socket hang up|socket disconnected/);
      }
      assert.deepEqual(state.counts(), {});
    });
  }

  it('resets a connection below its TLS where it is told to', { timeout: 30_000 }, async (t) => {
    const { apiUrl, state } = await started(t);
    state.addFault({ operation: 'listPolicies', times: 1, transfer: { kind: 'reset' } });
    const request = get(`${apiUrl}policies/`, {
      ...{ agent: false, ...shown(client) },
      headers: { 'pi-requestingparticipant': '00038166' },
    });
    const failed = new Promise((resolve) => request.once('socket', (socket) => socket.once('error', resolve)));
    request.on('error', () => {}).on('response', (response) => response.resume().on('error', () => {}));
    // What an end without a reset, however abrupt, does not come to.
    assert.match(String(await failed), /read ECONNRESET/);
  });

  it('speaks no TLS older than 1.2, and no plain http', async (t) => {
    const { apiUrl } = await started(t);
    const { hostname: host, port } = new URL(apiUrl);
    const attempt = (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3') => {
      const versions = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT:@SECLEVEL=0' };
      const socket = connect({ host, port: Number(port), ...shown(client), ...versions });
      t.after(() => socket.destroy());
      return once(socket, 'secureConnect').then(() => socket.getProtocol());
    };
    await assert.rejects(attempt('TLSv1.1'), /protocol version/);
    assert.deepEqual([await attempt('TLSv1.2'), await attempt('TLSv1.3')], ['TLSv1.2', 'TLSv1.3']);
    await assert.rejects(fetch(`http://${host}:${port}/api/v2/policies/`));
  });
});
