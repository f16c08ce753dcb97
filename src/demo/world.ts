/**
 * Everything the demo runs on, in one process: a base on the embedded PostgreSQL, a simulated DICT that listens on real ports with
 * its real limits, and clients for both kinds of callers. The configuration is the program's own, with nothing of the surroundings in it.
 */

import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { createDictTrafficClient, type DictTrafficApi } from '../bridge/dict-traffic-client.ts';
import { CommandFailed, type Io } from '../cli/io.ts';
import { systemClock } from '../platform/clock.ts';
import { initDemoKeys } from '../simulator/demo-keys.ts';
import { dictSide, participantSettings } from '../simulator/demo-sides.ts';
import { type Simulator, startSimulator } from '../simulator/simulator.ts';
import { type Base, openBase } from '../wire.ts';
import { dictClientOptions, type OpenedDict, openDict } from '../wire-dict.ts';
import { DEMO, type DemoOptions } from './settings.ts';
import { type StoryClock, storyClock } from './story-clock.ts';

/** How fast the world's clock runs, and how long before the present it begins. */
export interface Pace {
  readonly scale: number;
  readonly headStartMs: number;
}

export interface DemoWorld {
  readonly directory: string;
  readonly simulator: Simulator;
  readonly base: Base;
  readonly clock: StoryClock;
  /** What verification and reconciliation ask. */
  readonly dict: OpenedDict;
  /** What the participant's channels write with. */
  readonly channels: DictTrafficApi;
  /** What a command needs in its environment to work on this base and this DICT. */
  readonly env: Readonly<Record<string, string>>;
  /** Ends everything; without --keep nothing is left on the disk either. */
  close(): Promise<void>;
}

function demoDirectory(io: Io, keep: string | null): string {
  if (keep === null) return mkdtempSync(path.join(tmpdir(), 'dict-vsync-demo-'));
  const directory = path.resolve(io.cwd, keep);
  try {
    mkdirSync(directory, { recursive: true });
    if (readdirSync(directory).length > 0) {
      throw new CommandFailed(
        `demo: --keep ${keep}: ${directory} is not empty; name a new directory, so that nothing is mixed up`,
      );
    }
  } catch (cause) {
    if (cause instanceof CommandFailed) throw cause;
    throw new CommandFailed(
      `demo: --keep ${keep}: the directory cannot be used (${cause instanceof Error ? cause.message : String(cause)})`,
      1,
      cause,
    );
  }
  return directory;
}

/** Opens it all; what was opened is closed again where a later part fails. */
export async function openWorld(io: Io, options: DemoOptions, pace: Pace = DEMO): Promise<DemoWorld> {
  const directory = demoDirectory(io, options.keep);
  const closings: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const closing of closings.splice(0).reverse()) await closing();
  };
  closings.push(async () => {
    if (options.keep === null) rmSync(directory, { recursive: true, force: true });
  });
  try {
    const clock = storyClock(pace.scale, pace.headStartMs);
    const pki = path.join(directory, 'pki');
    initDemoKeys(pki, systemClock.now());
    const simulator = await startSimulator({ clock, seed: options.seed, ...dictSide(pki) });
    closings.push(() => simulator.close());
    const env = { DATA_DIR: directory, DICT_URL: simulator.apiUrl, ...participantSettings(pki) };
    const base = { ...(await openBase({ ...io, env: { ...env, DICT_VSYNC_LOG_LEVEL: 'error' }, cwd: directory })), clock };
    closings.push(() => base.close());
    const dict = await openDict(base);
    closings.push(() => dict.close());
    const channels = createDictTrafficClient(dictClientOptions(base));
    closings.push(() => channels.close());
    return { directory, simulator, base, clock, dict, channels, env, close };
  } catch (cause) {
    await close();
    throw cause;
  }
}
