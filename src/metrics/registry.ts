/**
 * The metrics of one process, in Prometheus' form. Made once in the composition root; who measures is handed a narrow observer and knows
 * no Prometheus. Every metric is described in docs/metrics.md. No default registry is used: two programs in one process, as in tests, do
 * not share one.
 *
 * No label has values without bound: operations, policies, kinds of errors and expected hosts are a few each; participants and keys are
 * never labels.
 */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { BucketObservers } from '../bridge/bucket-observer.ts';
import type { CallObserver, CircuitState } from '../bridge/call-observer.ts';

export interface Metrics {
  /** For the client of DICT. */
  readonly calls: CallObserver;
  /** For its token buckets. */
  readonly buckets: BucketObservers;
  /** Text in Prometheus' exposition format. */
  text(): Promise<string>;
  readonly contentType: string;
}

const circuitStates: readonly CircuitState[] = ['closed', 'half-open', 'open'];

/** A call may wait for tokens for minutes; an exchange ends within its time limit. */
const callSeconds = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600];
const exchangeSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const msPerSecond = 1_000;
const kindsMax = 100;

/** A registry of its own, with the process's own figures (memory, event loop, garbage collection) beside ours. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return {
    calls: callObserver(registry),
    buckets: bucketObservers(registry),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

function callObserver(registry: Registry): CallObserver {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <Label extends string>(name: string, help: string, labelNames: readonly Label[]): Gauge<Label> =>
    new Gauge({ name, help, labelNames, registers });
  const histogram = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    buckets: readonly number[],
  ): Histogram<Label> => new Histogram({ name, help, labelNames, buckets: [...buckets], registers });

  const calls = counter('dict_client_calls_total', 'Calls of DICT that ended, by outcome.', ['operation', 'outcome']);
  const seconds = histogram(
    'dict_client_call_duration_seconds',
    'Duration of calls of DICT, their waits and tries included.',
    ['operation'],
    callSeconds,
  );
  const exchanges = histogram(
    'dict_client_exchange_duration_seconds',
    'Duration of single HTTP exchanges with DICT; status 0: no answer.',
    ['operation', 'status'],
    exchangeSeconds,
  );
  const retries = counter('dict_client_retries_total', 'Tries that followed an error.', ['operation', 'error']);
  const tokens = histogram(
    'dict_client_token_wait_seconds',
    'Waits for a token of DICT’s rate limits.',
    ['policy', 'priority'],
    callSeconds,
  );
  const circuits = gauge('dict_client_circuit_state', '1 for the state that the circuit of a host is in.', ['host', 'state']);
  const queued = gauge('dict_client_bulkhead_queued', 'Calls that wait for a place among those under way.', ['policy']);
  const underWay = gauge('dict_client_bulkhead_active', 'Calls under way.', ['policy']);
  const bytes = counter('dict_client_download_bytes_total', 'Bytes of CID set files that arrived, uncompressed.', []);
  const resumes = counter('dict_client_download_resumes_total', 'Downloads that went on after an error.', ['error']);
  const kindOf = boundedKinds();
  return {
    called: (operation, outcome, durationMs) => {
      calls.inc({ operation, outcome: kindOf(outcome) });
      seconds.observe({ operation }, durationMs / msPerSecond);
    },
    exchanged: (operation, status, durationMs) => {
      exchanges.observe({ operation, status: String(status) }, durationMs / msPerSecond);
    },
    retried: (operation, error) => retries.inc({ operation, error: kindOf(error) }),
    tokenWaited: (policy, priority, durationMs) => tokens.observe({ policy, priority }, durationMs / msPerSecond),
    circuitChanged: (host, state) => {
      for (const each of circuitStates) circuits.set({ host, state: each }, each === state ? 1 : 0);
    },
    queued: (policy, change) => queued.inc({ policy }, change),
    underWay: (policy, change) => underWay.inc({ policy }, change),
    downloaded: (count) => bytes.inc(count),
    downloadResumed: (error) => resumes.inc({ error: kindOf(error) }),
  };
}

/** Kinds of errors are DICT's own words: where it should invent ever new ones, they are counted together. */
function boundedKinds(): (kind: string) => string {
  const known = new Set<string>();
  return (kind) => {
    if (known.size < kindsMax) known.add(kind);
    return known.has(kind) ? kind : 'other';
  };
}

/**
 * What becomes of the token buckets, over all participants: calls that wait are summed, and of tokens the scarcest bucket of a policy is
 * shown.
 */
function bucketObservers(registry: Registry): BucketObservers {
  const registers = [registry];
  const waiting = new Gauge({
    name: 'dict_client_token_waiting',
    help: 'Calls that wait for a token of DICT’s rate limits.',
    labelNames: ['policy', 'priority'],
    registers,
  });
  const refused = new Counter({
    name: 'dict_client_token_refusals_total',
    help: 'Calls that were given up before they got a token.',
    labelNames: ['policy', 'priority', 'why'],
    registers,
  });
  const share = new Gauge({
    name: 'dict_client_token_share',
    help: 'Tokens that are there, as a share of what the bucket holds: of the participant who has fewest.',
    labelNames: ['policy'],
    registers,
  });
  const exhausted = new Counter({
    name: 'dict_client_rate_limited_total',
    help: 'Answers 429 of DICT, which ordinary work never meets.',
    labelNames: ['policy'],
    registers,
  });
  const shares = new Map<string, Map<string, number>>();
  return ({ participant, policy }) => {
    const ofPolicy = shares.get(policy) ?? new Map<string, number>();
    shares.set(policy, ofPolicy);
    let before: Partial<Record<string, number>> = {};
    return {
      onWaiting: (counts) => {
        for (const [priority, count] of Object.entries(counts))
          waiting.inc({ policy, priority }, count - (before[priority] ?? 0));
        before = { ...counts };
      },
      onRefused: ({ priority, why }) => refused.inc({ policy, priority, why }),
      onTokens: ({ available, capacity }) => {
        ofPolicy.set(participant, available / capacity);
        share.set({ policy }, Math.min(...ofPolicy.values()));
      },
      onExhausted: () => exhausted.inc({ policy }),
    };
  };
}
