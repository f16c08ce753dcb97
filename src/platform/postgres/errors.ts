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
    const { what, advice } = unavailability(cause);
    super(`${what}: ${reason}; ${advice}`, { cause });
  }
}

/** Codes of a connection that there was: the server ended it, or went away. */
const lostCodes: ReadonlySet<string | null> = new Set(['57P01', '57P02', 'ECONNRESET', 'EPIPE', '08006', '08003']);

/** What is to be done about it, by what the server or the system says. */
const advices: Readonly<Record<string, string>> = {
  '28000': 'see the user and the server’s pg_hba.conf, and DATABASE_URL',
  '28P01': 'see user and password in DATABASE_URL',
  '3D000': 'create it, or name another in DATABASE_URL',
  '53300': 'the server has no connection left: see its max_connections',
  '57P03': 'try again in a moment',
};

function unavailability(cause: unknown): { readonly what: string; readonly advice: string } {
  const code = errorCode(cause);
  const ended =
    cause instanceof Error &&
    /^Connection terminated(?! due to connection timeout)|^Client has encountered a connection error/.test(cause.message);
  if (ended || lostCodes.has(code)) {
    const advice = 'nothing of an unfinished transaction was kept; run the same command again when the server is there';
    return { what: 'the connection to the database was lost', advice };
  }
  const usual = 'see that the server runs and that DATABASE_URL names it';
  return { what: 'the database cannot be reached', advice: (code === null ? undefined : advices[code]) ?? usual };
}

/** What a server that is there refuses for reasons of its own, by PostgreSQL's code. */
const refusals: Readonly<Record<string, string>> = {
  '25006': 'the database takes no changes (a standby, or read-only): name the primary in DATABASE_URL',
  '42501': 'the database’s role may not do that: give it the right, or name another role in DATABASE_URL',
  '53100': 'the database server has no space left on its disk: free some, then run the same command again',
  '53200': 'the database server has no memory left: see its settings, then run the same command again',
  '53300': 'the database server has no connection left: see its max_connections',
  '53400': 'a limit of the database server is reached: see its settings',
  '57014': 'the database ended a statement that took too long: see DICT_VSYNC_DATABASE_STATEMENT_TIMEOUT',
  '58030': 'the database server cannot read or write its files: see its disk and its log',
  XX001: 'the database server found damaged data: see its log, and restore a backup',
  XX002: 'the database server found a damaged index: see its log; REINDEX makes it anew',
};

/** The sentence for what the server refuses, with its own words; null for every other value. */
export function refusalOf(cause: unknown): string | null {
  const code = errorCode(cause);
  const meaning = code === null ? undefined : refusals[code];
  // The server's message names relations and files, never values of rows.
  return meaning === undefined || !(cause instanceof Error) ? null : `${meaning} (${cause.message}, ${code})`;
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
