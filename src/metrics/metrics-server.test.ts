/** What a scrape sees after calls of a real simulator, and what /health says. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { createDictClient } from '../bridge/dict-client.ts';
import { participant } from '../dict/participant.ts';
import { systemClock } from '../platform/clock.ts';
import { startSimulator } from '../simulator/simulator.ts';
import { type MetricsServerDeps, serveMetrics } from './metrics-server.ts';
import { createMetrics, type Metrics } from './registry.ts';

const events = { participant: participant('00038166'), keyType: 'CPF' } as const;
const local = { host: '127.0.0.1', port: 0 };

async function served(t: TestContext, checks: MetricsServerDeps['checks'] = {}): Promise<{ metrics: Metrics; url: string }> {
  const metrics = createMetrics();
  const server = await serveMetrics({ metrics, checks }, local);
  t.after(() => server.close());
  return { metrics, url: server.url };
}

/** The value of a series, by its name and labels as they are written. */
function seriesValue(text: string, series: string): number | null {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? null : Number(line.slice(series.length + 1));
}

describe('/metrics', () => {
  it('tells calls by outcome, exchanges by status, tries, waits and the circuit of a DICT that fails', async (t) => {
    const { metrics, url } = await served(t);
    const { state, apiUrl, close } = await startSimulator({ clock: systemClock, policies: null });
    const client = createDictClient({
      ...{ apiUrl, filesHosts: ['127.0.0.1'], clock: systemClock, random: Math.random, observer: metrics.calls },
      retry: { triesMax: 3, firstWaitMs: 1 },
      circuit: { failuresMax: 4, openMs: 600_000 },
      budget: { policies: 'configured' },
    });
    t.after(async () => {
      await client.close();
      await close();
    });
    await client.listCidSetEvents(events);
    state.addFault({ operation: 'any', times: 1, error: 'InternalServerError' });
    await client.listCidSetEvents(events);
    state.addFault({ operation: 'any', times: 10, breakConnection: true });
    await assert.rejects(client.createCidSetFile(events));
    await assert.rejects(client.listCidSetEvents(events));
    await assert.rejects(client.listCidSetEvents(events));
    const response = await fetch(`${url}/metrics`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    const host = new URL(apiUrl).host;
    const wanted: readonly (readonly [string, number | null])[] = [
      ['dict_client_calls_total{operation="listCidSetEvents",outcome="ok"}', 2],
      ['dict_client_calls_total{operation="listCidSetEvents",outcome="CircuitOpen"}', 1],
      ['dict_client_calls_total{operation="createCidSetFile",outcome="ConnectionLost"}', 1],
      ['dict_client_call_duration_seconds_count{operation="listCidSetEvents"}', 4],
      ['dict_client_exchange_duration_seconds_count{operation="listCidSetEvents",status="200"}', 2],
      ['dict_client_exchange_duration_seconds_count{operation="listCidSetEvents",status="500"}', 1],
      ['dict_client_exchange_duration_seconds_count{operation="createCidSetFile",status="0"}', 1],
      ['dict_client_retries_total{operation="listCidSetEvents",error="InternalServerError"}', 1],
      ['dict_client_retries_total{operation="createCidSetFile",error="ConnectionLost"}', null],
      ['dict_client_token_wait_seconds_count{policy="CIDS_FILES_WRITE",priority="routine"}', 1],
      [`dict_client_circuit_state{host="${host}",state="open"}`, 1],
      [`dict_client_circuit_state{host="${host}",state="closed"}`, 0],
      ['dict_client_bulkhead_active{policy="CIDS_EVENTS_LIST"}', 0],
      ['dict_client_bulkhead_queued{policy="CIDS_EVENTS_LIST"}', 0],
    ];
    for (const [series, value] of wanted) assert.equal(seriesValue(text, series), value, series);
    assert.ok((seriesValue(text, 'process_resident_memory_bytes') ?? 0) > 1_000_000);
  });

  it('tells bytes of files and transfers that went on', async (t) => {
    const { metrics, url } = await served(t);
    metrics.calls.downloaded(650);
    metrics.calls.downloaded(65);
    metrics.calls.downloadResumed('ConnectionLost');
    const text = await (await fetch(`${url}/metrics`)).text();
    assert.equal(seriesValue(text, 'dict_client_download_bytes_total'), 715);
    assert.equal(seriesValue(text, 'dict_client_download_resumes_total{error="ConnectionLost"}'), 1);
  });

  it('counts ever new kinds of errors together, so that no answer can make it grow without end', async (t) => {
    const { metrics, url } = await served(t);
    for (let kind = 0; kind < 1_000; kind++) metrics.calls.called('listCidSetEvents', `Made${kind}`, 1);
    const text = await (await fetch(`${url}/metrics`)).text();
    assert.equal(text.split('\n').filter((line) => line.startsWith('dict_client_calls_total{')).length, 101);
    assert.equal(seriesValue(text, 'dict_client_calls_total{operation="listCidSetEvents",outcome="other"}'), 900);
  });

  it('has exactly the metrics of its own that docs/metrics.md describes', async (t) => {
    const { url } = await served(t);
    const text = await (await fetch(`${url}/metrics`)).text();
    const own = [...text.matchAll(/^# TYPE (dict_[a-z_]+) [a-z]+$/gm)].map((match) => match[1]);
    const document = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
    const described = [...document.matchAll(/^\| `(dict_[a-z_]+)`/gm)].map((match) => match[1]);
    assert.deepEqual(own.toSorted(), described.toSorted());
  });
});

describe('/health', () => {
  it('is well while everything is there, and names what is not without saying why', async (t) => {
    let reachable = true;
    const database = (): Promise<void> => (reachable ? Promise.resolve() : Promise.reject(new Error('no route to 10.0.0.1')));
    const { url } = await served(t, { database, other: () => Promise.resolve() });
    const well = await fetch(`${url}/health`);
    assert.deepEqual([well.status, await well.json()], [200, { status: 'ok', database: 'ok', other: 'ok' }]);
    reachable = false;
    const failing = await fetch(`${url}/health`);
    assert.deepEqual([failing.status, await failing.json()], [503, { status: 'failing', database: 'unreachable', other: 'ok' }]);
  });
});

describe('the server of both', () => {
  it('has nothing else, and nothing that could be changed', async (t) => {
    const { url } = await served(t);
    assert.equal((await fetch(`${url}/`)).status, 404);
    assert.equal((await fetch(`${url}//metrics/..%2f`)).status, 404);
    assert.equal((await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })).status, 405);
    assert.equal((await fetch(`${url}/metrics`, { method: 'HEAD' })).status, 200);
  });

  it('says when its port is taken', async (t) => {
    const { metrics, url } = await served(t);
    await assert.rejects(serveMetrics({ metrics, checks: {} }, { ...local, port: Number(new URL(url).port) }), {
      code: 'EADDRINUSE',
    });
  });
});
