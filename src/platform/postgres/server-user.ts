/**
 * Under which user an embedded server runs. PostgreSQL refuses to run as root, so root hands it to somebody else: the owner of
 * the data directory, or, where that is root too, `nobody`. No user has to be created.
 */

import { readFileSync, statSync } from 'node:fs';

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

const fallback: ServerUser = { uid: 65534, gid: 65534 };

/** `nobody` of /etc/passwd. macOS writes it as -2, which is 4294967294 for the calls that take an unsigned id. */
function nobody(): ServerUser {
  let text: string;
  try {
    text = readFileSync('/etc/passwd', 'utf8');
  } catch {
    return fallback;
  }
  const found = /^nobody:[^:]*:(-?[0-9]+):(-?[0-9]+):/m.exec(text);
  if (found === null) return fallback;
  const user = { uid: Number(found[1]) >>> 0, gid: Number(found[2]) >>> 0 };
  return user.uid === 0 ? fallback : user;
}

/**
 * The user to change to before the server's programs run; null where they run as ourselves (anybody but root, and Windows).
 * @param dataDirectory exists already
 */
export function serverUser(dataDirectory: string): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  const owner = statSync(dataDirectory);
  return owner.uid === 0 ? nobody() : { uid: owner.uid, gid: owner.gid };
}

/** The same user as options of `child_process.spawn`, which takes signed ids. */
export function spawnAs(user: ServerUser | null): { readonly uid?: number; readonly gid?: number } {
  return user === null ? {} : { uid: user.uid | 0, gid: user.gid | 0 };
}
