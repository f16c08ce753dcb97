/** How starting and stopping an embedded server fails. */

/** The one failure that both end in; its message says what is wrong and what to do. */
export class EmbeddedServerFailed extends Error {
  override readonly name = 'EmbeddedServerFailed';

  constructor(message: string, cause?: unknown) {
    super(`embedded PostgreSQL: ${message}`, cause === undefined ? undefined : { cause });
  }
}

/** What a caught value says. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
