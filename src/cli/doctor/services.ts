/**
 * Services of one's own that the configuration may name: whether they are there, and whether they serve us. What is not configured is not
 * examined.
 */

import type { Config } from '../../config.ts';
import { DictError } from '../../dict/errors.ts';
import { KeyFileRefused } from '../../platform/key-files.ts';
import { bridgeIsServing, redisOf } from '../../wire-dict.ts';
import { CommandFailed } from '../io.ts';
import { type Finding, fail, ok, skip } from './finding.ts';
import { checkName, checkPort, placeOf } from './reach.ts';

type Groups = Pick<Config, 'bridge' | 'redis'>;

interface Service {
  readonly check: string;
  readonly address: (config: Groups) => string | null;
  readonly ports: Readonly<Record<string, number>>;
  readonly advice: string;
  /** Asks it something; null where it serves, else what it says. */
  readonly complaint: (config: Groups, limitMs: number) => Promise<string | null>;
}

const services: readonly Service[] = [
  {
    check: 'Redis',
    address: ({ redis }) => redis.url,
    ports: { redis: 6_379, rediss: 6_379 },
    advice: 'check DICT_VSYNC_REDIS_URL, and that the service runs: without it replicas cannot share the token buckets',
    complaint: complaintOfRedis,
  },
  {
    check: 'bridge',
    address: ({ bridge }) => bridge.url,
    ports: { grpc: 50_051, grpcs: 50_051 },
    advice: 'check DICT_VSYNC_BRIDGE_URL, and that the service runs: without it DICT cannot be asked',
    complaint: complaintOfBridge,
  },
];

/** A connection is made and greeted: address, user, password, TLS. */
async function complaintOfRedis({ redis }: Groups): Promise<string | null> {
  try {
    (await redisOf(redis))?.close();
    return null;
  } catch (cause) {
    if (cause instanceof CommandFailed) return cause.message;
    throw cause;
  }
}

async function complaintOfBridge({ bridge }: Groups, limitMs: number): Promise<string | null> {
  try {
    return (await bridgeIsServing(bridge, limitMs)) === false ? 'it takes no calls: it is ending' : null;
  } catch (cause) {
    if (cause instanceof DictError || cause instanceof KeyFileRefused) return cause.message;
    throw cause;
  }
}

/** The bridge that DICT is asked through; null where it is asked from here. */
export function bridgeOf({ bridge }: Groups): string | null {
  return bridge.url;
}

/** A finding for each that is configured. */
export async function checkServices(
  config: Groups,
  options: { readonly limitMs: number; readonly signal: AbortSignal },
): Promise<readonly Finding[]> {
  const findings = services.map(async ({ check, address, ports, advice, complaint }): Promise<readonly Finding[]> => {
    const configured = address(config);
    if (configured === null) return [];
    const place = placeOf(configured, ports);
    const { finding } = await checkName(check, place.host, advice);
    if (finding.level !== 'ok') return [finding];
    const port = await checkPort(check, place, options);
    if (port.level !== 'ok') return [{ ...port, advice }];
    const refusal = await complaint(config, options.limitMs);
    return [refusal === null ? ok(check, `${port.seen}, and serves`) : fail(check, refusal, advice)];
  });
  return (await Promise.all(findings)).flat();
}

/** In place of the way to DICT, where the bridge is the one that goes it. */
export function throughBridge(): Finding {
  return skip('DICT address', 'DICT is asked through the bridge: run doctor with the settings of the bridge, where it runs');
}
