/**
 * Who uses an embedded server, kept as locks of the operating system, so that a process that dies in any way (kill -9, power
 * loss) has left at that very moment. Lock files holding a process id and its start time were rejected: ids are reused,
 * containers number their processes alike, and somebody has to decide when such a file is stale. Node has no flock, but
 * SQLite, which comes with it, takes the same kernel locks; nothing is ever written to these files.
 */

import { chmodSync, chownSync, statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as wait } from 'node:timers/promises';

/** Only one process holds it; gives up after `timeoutMs`. */
export interface Guard {
  release(): void;
}

export interface Membership {
  /** Gives the membership up and tells whether nobody else has one. Call it while holding the guard. */
  leave(): { readonly last: boolean };
}

interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

// In memory: SQLite would otherwise make a journal file beside, for writes that never come.
const noJournal = 'PRAGMA journal_mode = MEMORY';
const retryMs = 25;
const sqliteBusy = 5;

// A membership ends when its SQLite handle is collected: this keeps it alive for callers that drop theirs.
const held = new Set<DatabaseSync>();

function open(file: string, owner: FileOwner | null): DatabaseSync {
  const handle = new DatabaseSync(file);
  // Reading would be enough to hold a lock: nobody else shall.
  if (process.getuid === undefined || statSync(file).uid === process.getuid()) chmodSync(file, 0o600);
  if (owner !== null) chownSync(file, owner.uid, owner.gid);
  return handle;
}

function attempt(handle: DatabaseSync, sql: string): boolean {
  try {
    handle.exec(sql);
    return true;
  } catch (cause) {
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === sqliteBusy) return false;
    throw cause;
  }
}

/** Waits for the guard; null when another process holds it for longer than `timeoutMs`. */
export async function takeGuard(file: string, owner: FileOwner | null, timeoutMs: number): Promise<Guard | null> {
  const handle = open(file, owner);
  const deadlineMs = performance.now() + timeoutMs;
  while (!attempt(handle, `${noJournal}; BEGIN EXCLUSIVE`)) {
    if (performance.now() >= deadlineMs) {
      handle.close();
      return null;
    }
    await wait(retryMs);
  }
  held.add(handle);
  return {
    release() {
      if (!held.delete(handle)) return;
      handle.close();
    },
  };
}

/** Becomes a member. Call it while holding the guard: nobody then tries to find out whether they are the last. */
export function joinMembers(file: string, owner: FileOwner | null): Membership {
  const handle = open(file, owner);
  handle.exec(`${noJournal}; BEGIN`);
  // Reading the (empty) schema is what takes the shared lock, held until the transaction ends.
  handle.exec('SELECT 1 FROM sqlite_master');
  held.add(handle);
  return {
    leave() {
      handle.exec('COMMIT');
      const last = attempt(handle, 'BEGIN EXCLUSIVE');
      held.delete(handle);
      handle.close();
      return { last };
    },
  };
}
