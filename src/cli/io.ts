/** What a command may touch of the process around it, so that a test can stand in for the terminal. */

import type { Readable, Writable } from 'node:stream';

export interface Io {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Aborted by SIGINT or SIGTERM: a command stops at its next safe point and leaves nothing half done. */
  readonly signal: AbortSignal;
}

/**
 * Ends a command with a message on standard error and that exit status. Nothing else of it is printed; without a message, nothing at
 * all: what the command printed says it.
 */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed';
  readonly exitCode: number;

  constructor(message: string | null, exitCode = 1, cause?: unknown) {
    super(message ?? '', cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}
