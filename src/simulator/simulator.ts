/**
 * A DICT of one's own: the reconciliation surface of the real API v2 and enough of the rest to make traffic, over HTTP, with
 * the real limits, delays and silences. It is an oracle for tests and the demo, so it shares no CID, VSync or store code with
 * the product. Left out: anti-fraud.
 */

import { createApi } from './api.ts';
import { type Behaviour, faultScript } from './behaviour.ts';
import type { Parts } from './call.ts';
import { cidSetFiles } from './cid-set-file.ts';
import type { SimulatorState } from './control.ts';
import { controlHandler } from './control-server.ts';
import { createDirectory } from './directory.ts';
import { GET_KEYS_PATH } from './entry-list-operation.ts';
import { plannedFaults } from './fault-plan.ts';
import { fileHandler } from './file-server.ts';
import { type HttpHandler, type HttpListener, type ListenOptions, listen } from './http-server.ts';
import { LOOPBACK, type SimulatorOptions, type SimulatorSettings, simulatorSettings } from './options.ts';
import { seededRandom } from './random.ts';
import { sentinels } from './sentinel.ts';
import { simulatorState } from './simulator-state.ts';
import { tokenBuckets } from './token-bucket.ts';

export interface Simulator {
  /** Base of the API, with a slash at the end, such as `http://127.0.0.1:4000/api/v2/`. */
  readonly apiUrl: string;
  /** The address of GetKeys, the paged listing over SOAP. */
  readonly listingUrl: string;
  /** Where CID set files are served, without a slash at the end. */
  readonly filesUrl: string;
  /** The control interface, or null when it is off. */
  readonly controlUrl: string | null;
  readonly state: SimulatorState;
  close(): Promise<void>;
}

const FIRST_IDS = { small: 1_001n, 'above-2^31': 2n ** 31n + 1n, 'above-2^53': 2n ** 53n + 1n } as const;

function simulatorParts(settings: SimulatorSettings, filesUrl: () => string): Parts {
  const random = seededRandom(settings.seed);
  const directory = createDirectory(settings);
  let lastId = FIRST_IDS[settings.readings.ids] - 1n;
  const nextId = (): string => {
    lastId += 1n;
    return lastId.toString();
  };
  const files = cidSetFiles(directory, {
    file: settings.file,
    seed: settings.seed,
    upperCase: settings.readings.hexCase === 'upper',
    nextId,
  });
  const buckets = tokenBuckets({ clock: settings.clock, policies: settings.policies, refill: settings.readings.refill });
  return { settings, directory, files, claims: new Map(), buckets, random, nextId, filesUrl };
}

/**
 * Starts the servers; they are ready when the promise resolves.
 *
 * @throws RangeError for options that make no sense, and the system's error when a port cannot be had.
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const settings = simulatorSettings(options);
  const { host, gzip, tls } = settings;
  const listeners: HttpListener[] = [];
  let filesUrl = '';
  const parts = simulatorParts(settings, () => filesUrl);
  const script = faultScript();
  const planned = plannedFaults((variant) => parts.files.plan(variant, 1));
  planned.begin(settings.faultPlan);
  const own = settings.behaviour === null ? [] : [settings.behaviour];
  const behaviours: Behaviour[] = [...own, script, sentinels(() => settings.clock.now().getTime()), planned];
  const api = createApi(parts, behaviours);
  const state = simulatorState(parts, { script, planned }, api.counts);

  async function close(): Promise<void> {
    await Promise.all(listeners.splice(0).map((listener) => listener.close()));
  }
  async function open(options: Omit<ListenOptions, 'gzip'>, handler: HttpHandler): Promise<string> {
    const listener = await listen({ ...options, gzip }, handler);
    listeners.push(listener);
    return listener.url;
  }

  try {
    filesUrl = `${await open({ host, port: settings.filesPort, tls }, fileHandler(parts, behaviours))}/cids`;
    const origin = await open({ host, port: settings.port, tls }, api.handle);
    const apiUrl = `${origin}/api/v2/`;
    const listingUrl = `${origin}${GET_KEYS_PATH}`;
    const control = settings.controlPort;
    const controlUrl = control === null ? null : await open({ host: LOOPBACK, port: control, tls: null }, controlHandler(state));
    return { apiUrl, listingUrl, filesUrl, controlUrl, state, close };
  } catch (error) {
    await close();
    throw error;
  }
}
