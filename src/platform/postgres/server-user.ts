/**
 * Under which user an embedded server runs. PostgreSQL refuses to run as root, so root hands it to somebody else: the owner of
 * the data directory, or, where that is root too, `nobody`. No user has to be created.
 */

import { readFileSync, statSync } from 'node:fs';

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

const nobodyUid = 65_534;

interface Account extends ServerUser {
  readonly name: string;
}

/** The accounts of /etc/passwd. macOS writes nobody's id as -2, which is 4294967294 for the calls that take an unsigned one. */
function accounts(): readonly Account[] {
  let text: string;
  try {
    text = readFileSync('/etc/passwd', 'utf8');
  } catch {
    return [];
  }
  return [...text.matchAll(/^([^:#\n]+):[^:\n]*:(-?[0-9]+):(-?[0-9]+):/gm)].map(([, name, uid, gid]) => ({
    name: name ?? '',
    uid: Number(uid) >>> 0,
    gid: Number(gid) >>> 0,
  }));
}

/** `nobody`, or whoever else is not root: initdb wants a user that the system knows, so a number alone is the last resort. */
function unprivileged(): ServerUser {
  const others = accounts().filter(({ uid }) => uid !== 0);
  const found = others.find(({ name }) => name === 'nobody') ?? others.find(({ uid }) => uid === nobodyUid) ?? others[0];
  return found === undefined ? { uid: nobodyUid, gid: nobodyUid } : { uid: found.uid, gid: found.gid };
}

/**
 * The user to change to before the server's programs run; null where they run as ourselves (anybody but root, and Windows).
 * @param dataDirectory exists already
 */
export function serverUser(dataDirectory: string): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  const owner = statSync(dataDirectory);
  return owner.uid === 0 ? unprivileged() : { uid: owner.uid, gid: owner.gid };
}

interface SpawnOptions {
  readonly uid?: number;
  readonly gid?: number;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * How `child_process` runs one of the server's programs as that user (it takes signed ids), and with what environment: only what
 * these programs need, because our own holds secrets. Windows adds what it cannot do without by itself.
 */
export function spawnAs(user: ServerUser | null): SpawnOptions {
  const env = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/local/bin:/usr/bin:/bin' };
  return user === null ? { env } : { uid: user.uid | 0, gid: user.gid | 0, env };
}
