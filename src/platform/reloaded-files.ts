/**
 * Values made from files that others replace while the program runs: certificates before they expire, keys, trust stores. On use, and
 * seldom, the files are looked at (`stat`); when they have changed they are read again. `fs.watch` was rejected: it misses what happens on
 * network and container volumes, and a missed renewal shows only when the old certificate has expired.
 */

import { readdirSync, statSync } from 'node:fs';
import * as path from 'node:path';
import type { Clock } from './clock.ts';
import type { Logger } from './log.ts';

export interface ReloadDeps {
  readonly clock: Pick<Clock, 'now'>;
  /** Null: what happens to the files goes unsaid. */
  readonly log: Pick<Logger, 'info' | 'warn'> | null;
}

export interface FileValue<Value> {
  /** Files, or directories of files, that the value is made from. */
  readonly places: readonly string[];
  /** Makes the value; throws where the files do not allow it. */
  readonly read: () => Value;
}

/** The files are looked at no more often than this. */
const CHECK_EVERY_MS = 3_000;

/**
 * The value as of the files' last good state. A change that cannot be used (half written, a key without its certificate) is logged once,
 * and what was read before stays in use.
 *
 * @throws whatever `read` throws, the first time.
 */
export function reloaded<Value>({ clock, log }: ReloadDeps, { places, read }: FileValue<Value>): () => Value {
  // Before reading: a change that comes in between is seen at the next look.
  let seen = stateOf(places);
  let value = read();
  let lookedAtMs = clock.now().getTime();
  return () => {
    const nowMs = clock.now().getTime();
    // A clock that was set back must not put the look off.
    if (nowMs >= lookedAtMs && nowMs - lookedAtMs < CHECK_EVERY_MS) return value;
    lookedAtMs = nowMs;
    const state = stateOf(places);
    if (state === seen) return value;
    seen = state;
    try {
      value = read();
      log?.info({ files: places }, 'changed keys or certificates were read again');
    } catch (err) {
      log?.warn({ files: places, err }, 'changed keys or certificates cannot be used: those read before stay in use');
    }
    return value;
  };
}

/** Differs whenever a file was written, replaced, or came or went. */
function stateOf(places: readonly string[]): string {
  return places.map(placeState).join('\n');
}

function placeState(place: string): string {
  try {
    if (!statSync(place).isDirectory()) return fileState(place);
    return readdirSync(place)
      .sort()
      .map((name) => `${name} ${fileState(path.join(place, name))}`)
      .join('\n');
  } catch {
    return 'unreadable';
  }
}

function fileState(file: string): string {
  try {
    // Its links followed, so that a volume that switches a link is noticed.
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  } catch {
    return 'unreadable';
  }
}
