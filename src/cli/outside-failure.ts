/**
 * Failures of the world around the program (a disk, a file, a server), told in a sentence: whoever runs the program can mend them,
 * and a stack trace would hide that.
 */

import { DatabaseUnavailable, refusalOf } from '../platform/postgres/errors.ts';
import { fileFailureOf, isSystemFailure } from '../platform/system-failure.ts';

/** Failures wrapped in one another; deeper ones are not looked for. */
const depthMax = 5;

/** What has happened outside; null where the failure is one of the program. */
export function outsideFailureOf(failure: unknown): string | null {
  let cause = failure;
  for (let depth = 0; depth < depthMax && cause instanceof Error; depth++) {
    if (cause instanceof DatabaseUnavailable) return cause.message;
    const refusal = refusalOf(cause);
    if (refusal !== null) return refusal;
    if (isSystemFailure(cause)) return `${cause.path ?? cause.syscall}: ${fileFailureOf(cause)}`;
    cause = cause.cause;
  }
  return null;
}
