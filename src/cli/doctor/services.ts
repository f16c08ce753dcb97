/**
 * Services of one's own that the configuration may name: whether their ports take connections. They are looked up by the name of their
 * group, so that what a configuration does not know of is not examined either.
 */

import { type Finding, ok, skip } from './finding.ts';
import { checkName, checkPort, placeOf } from './reach.ts';

type Groups = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface Service {
  readonly group: string;
  readonly check: string;
  readonly ports: Readonly<Record<string, number>>;
  /** What goes on, or does not, while it is away. */
  readonly without: string;
  readonly option: string;
}

const services: readonly Service[] = [
  {
    group: 'redis',
    check: 'Redis',
    ports: { redis: 6_379, rediss: 6_379 },
    without: 'without it replicas cannot share the token buckets',
    option: 'DICT_VSYNC_REDIS_URL',
  },
  {
    group: 'bridge',
    check: 'bridge',
    ports: { grpc: 50_051, grpcs: 50_051 },
    without: 'without it DICT cannot be asked',
    option: 'DICT_VSYNC_BRIDGE_URL',
  },
];

function addressIn(config: Groups, group: string): string | null {
  const address = config[group]?.['url'];
  return typeof address === 'string' ? address : null;
}

/** The bridge that DICT is asked through; null where it is asked from here. */
export function bridgeOf(config: Groups): string | null {
  return addressIn(config, 'bridge');
}

/** A finding for each that is configured. */
export async function checkServices(
  config: Groups,
  options: { readonly limitMs: number; readonly signal: AbortSignal },
): Promise<readonly Finding[]> {
  const findings = services.map(async ({ group, check, ports, without, option }): Promise<readonly Finding[]> => {
    const address = addressIn(config, group);
    if (address === null) return [];
    const advice = `check ${option}, and that the service runs: ${without}`;
    const place = placeOf(address, ports);
    const { finding } = await checkName(check, place.host, advice);
    if (finding.level !== 'ok') return [finding];
    const port = await checkPort(check, place, options);
    return [port.level === 'ok' ? ok(check, port.seen) : { ...port, advice }];
  });
  return (await Promise.all(findings)).flat();
}

/** In place of the way to DICT, where the bridge is the one that goes it. */
export function throughBridge(): Finding {
  return skip('DICT address', 'DICT is asked through the bridge: run doctor with the settings of the bridge, where it runs');
}
