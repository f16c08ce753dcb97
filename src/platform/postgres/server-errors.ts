/** The one failure that starting and stopping an embedded server ends in; its message says what is wrong and what to do. */
export class EmbeddedServerFailed extends Error {
  override readonly name = 'EmbeddedServerFailed';

  constructor(message: string, cause?: unknown) {
    super(`embedded PostgreSQL: ${message}`, cause === undefined ? undefined : { cause });
  }
}

/** The `code` of a system error (such as EACCES), or null. */
export function systemCode(cause: unknown): string | null {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : null;
}

/** What a caught value says. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
