/**
 * Entries read by CID through the whole bridge: mutual TLS, answer parsed, its signature verified, attributes read; token buckets are
 * never empty. The server is a process of its own and plays one signed answer of the simulated DICT again and again, since signing each
 * would be all that is measured. The peer asks for the same bytes over the same kind of connections and looks at none of them.
 */

import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import * as path from 'node:path';
import { Agent } from 'undici';
import { createDictClient } from '../../src/bridge/dict-client.ts';
import { signaturesFromFiles, tlsFromFiles } from '../../src/bridge/dict-keys.ts';
import { cidToHex, computeCid } from '../../src/cid/cid.ts';
import { participant } from '../../src/dict/participant.ts';
import { sampleEntries } from '../../src/dict/sample-entries.ts';
import { assert } from '../../src/platform/assert.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { demoKeyFiles, initDemoKeys } from '../../src/simulator/demo-keys.ts';
import { dictSide } from '../../src/simulator/demo-sides.ts';
import { startSimulator } from '../../src/simulator/simulator.ts';
import type { Bench } from '../bench.ts';

const ispb = participant('00038166');
/** As many as reconciliation has under way at once. */
const concurrency = 16;
const unlimited = { capacity: 100_000_000, refillTokens: 100_000_000, refillPeriodMs: 1_000 };

/** Runs it so many times, some at once. */
async function repeated(times: number, work: () => Promise<void>): Promise<number> {
  let left = times;
  const one = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await work();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  return times;
}

async function throughBridge(apiUrl: string, keys: string, cid: string, items: number): Promise<number> {
  const files = demoKeyFiles(keys);
  const deps = { clock: systemClock, log: null };
  const client = createDictClient({
    apiUrl,
    filesHosts: [],
    clock: systemClock,
    random: Math.random,
    budget: { policies: 'configured', rates: { CIDS_ENTRIES_READ: unlimited } },
    signatures: signaturesFromFiles(deps, {
      signingKey: files.participantSigning.keyFile,
      signingKeyPassphrase: null,
      signingCertificate: files.participantSigning.certificateFile,
      trustStore: files.dictSigning.certificateFile,
      answersSigned: 'required',
      errorsSigned: 'required',
    }),
    tls: tlsFromFiles(deps, {
      tlsCertificate: files.client.certificateFile,
      tlsKey: files.client.keyFile,
      tlsPkcs12: null,
      tlsPassphrase: null,
      tlsAuthority: files.authorityFile,
    }),
  });
  const done = await repeated(items, async () => {
    const answer = await client.getEntryByCid({ participant: ispb, cid });
    assert(answer.found && answer.cid === cid, 'the entry is read');
  });
  await client.close();
  return done;
}

/** Connections as the bridge makes them. */
function bareAgent(keys: string): Agent {
  const { client, authorityFile } = demoKeyFiles(keys);
  const connect = {
    cert: readFileSync(client.certificateFile, 'utf8'),
    key: readFileSync(client.keyFile, 'utf8'),
    ca: readFileSync(authorityFile, 'utf8'),
  };
  return new Agent({ connections: concurrency, pipelining: 1, connect });
}

interface Answer {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

async function ask(agent: Agent, apiUrl: string, cid: string): Promise<Answer> {
  const url = new URL(`cids/entries/${cid}`, apiUrl);
  const headers = { 'pi-requestingparticipant': ispb };
  const answer = await agent.request({ origin: url.origin, path: url.pathname, method: 'GET', headers });
  const body = Buffer.from(await answer.body.arrayBuffer());
  assert(answer.statusCode === 200, 'the entry is there');
  return { headers: answer.headers, body };
}

/** One signed answer of the simulated DICT. */
async function signedAnswer(keys: string): Promise<Answer & { readonly cid: string }> {
  const [sample] = sampleEntries({ seed: 'bench', participant: ispb, keyType: 'CNPJ', count: 1 });
  assert(sample !== undefined, 'there is a sample');
  const cid = cidToHex(computeCid(sample.entry, sample.requestId));
  const simulator = await startSimulator({ ...dictSide(keys), policies: null });
  const agent = bareAgent(keys);
  try {
    simulator.state.seedEntries([sample]);
    return { ...(await ask(agent, simulator.apiUrl, cid)), cid };
  } finally {
    await agent.close();
    await simulator.close();
  }
}

/** Plays that answer to whoever has a certificate. */
async function playing(keys: string, { headers, body }: Answer): Promise<{ readonly apiUrl: string; close(): Promise<void> }> {
  const { tls } = dictSide(keys);
  assert(tls != null, 'the demo keys hold certificates for TLS');
  const certificates = { cert: tls.certificate, key: tls.key, ca: tls.authority, requestCert: true, rejectUnauthorized: true };
  const server = createServer({ ...certificates, keepAliveTimeout: 60_000 }, (_, response) => {
    response.writeHead(200, { 'content-type': String(headers['content-type']), 'content-length': body.length }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A listening TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { apiUrl: `https://127.0.0.1:${port}/api/v2/`, close };
}

export const bench: Bench = {
  what: 'entries read by CID through the whole bridge, buckets off',
  items: { usual: 50_000, small: 3_000, unit: 'reads' },
  timed: 'work',
  rounds: 5,
  sides: {
    ours: { run: ({ apiUrl, keys, cid, items }) => throughBridge(String(apiUrl), String(keys), String(cid), Number(items)) },
    'undici, nothing read': {
      run: async ({ apiUrl, keys, cid, items }) => {
        const agent = bareAgent(String(keys));
        const done = await repeated(Number(items), async () => {
          await ask(agent, String(apiUrl), String(cid));
        });
        await agent.close();
        return done;
      },
    },
  },
  wanted: { 'undici, nothing read': { atMost: 10, smallAtMost: 10 } },
  async prepare(items, directory) {
    const keys = path.join(directory, 'pki');
    initDemoKeys(keys, new Date());
    const answer = await signedAnswer(keys);
    const server = await playing(keys, answer);
    return { fixture: { items, keys, apiUrl: server.apiUrl, cid: answer.cid }, release: server.close };
  },
};
