/** Who is at the keyboard, as far as can be told without a sign-in: named, and recorded as not authenticated. */

import { userInfo } from 'node:os';
import type { Config } from '../config.ts';
import type { Actor } from '../ledger/audit.ts';

/** The configured operator, else the user of the operating system. */
export function operatorOf({ program }: Pick<Config, 'program'>): Actor {
  return { name: program.operator ?? systemUser(), authenticated: false };
}

/** A container's user may have a number and no name. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
