/** PostgreSQL failures under the names that callers decide by. Everything else passes through as the driver threw it. */

/** The server cannot be reached, or the connection was lost. Trying again later can help. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';

  constructor(cause: unknown) {
    const reason = cause instanceof Error ? cause.message || String((cause as { code?: unknown }).code) : String(cause);
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
  const code = (cause as { code?: unknown }).code;
  const lost =
    (typeof code === 'string' && (connectionCodes.has(code) || code.startsWith('08'))) ||
    /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error/.test(cause.message);
  return lost ? new DatabaseUnavailable(cause) : cause;
}
