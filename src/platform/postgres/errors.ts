/** PostgreSQL failures under the names that callers decide by. Everything else passes through as the driver threw it. */

/** The `code` of an error: a system's (EACCES) or PostgreSQL's (23505); null where it has none. */
export function errorCode(cause: unknown): string | null {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : null;
}

/** The server cannot be reached, or the connection was lost. Trying again later can help. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';

  constructor(cause: unknown) {
    // A host of several addresses fails without a message of its own.
    const reason = cause instanceof Error ? cause.message || errorCode(cause) : String(cause);
    super(`the database cannot be reached: ${reason}`, { cause });
  }
}

const connectionCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  '57P01',
  '57P02',
  '57P03',
]);

/** The same failure, as `DatabaseUnavailable` where the connection is what failed. */
export function asDatabaseError(cause: unknown): unknown {
  if (!(cause instanceof Error) || cause instanceof DatabaseUnavailable) return cause;
  const code = errorCode(cause);
  const lost =
    (code !== null && (connectionCodes.has(code) || code.startsWith('08'))) ||
    /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error/.test(cause.message);
  return lost ? new DatabaseUnavailable(cause) : cause;
}
