/**
 * The program's log: JSON lines (or plain text for people) on standard error, so that standard output stays the commands' own.
 * Passwords and personal data are kept out by their fields' names; messages are constant texts. Metrics and traces are not here.
 */

import { pino } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LogFields = Readonly<Record<string, unknown>>;

/** What a stage may log with. An error goes into the field `err`. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger whose every line carries these fields too. */
  child(fields: LogFields): Logger;
}

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'text';
  /** Where lines go; the process's standard error in production. */
  readonly stream: { write(text: string): unknown };
}

const hidden = '[hidden]';
const depthMax = 6;
const causesMax = 5;

/** Compared without case and underscores, so that key_type stays and owner_tax_id goes. */
const hiddenFields: ReadonlySet<string> = new Set(
  ['authorization', 'password', 'secret', 'url', 'databaseUrl', 'connectionString', 'detailsKeys']
    .concat(['key', 'taxIdNumber', 'ownerTaxId', 'name', 'ownerName', 'tradeName', 'ownerTradeName', 'accountNumber'])
    .concat(['requestId', 'cid', 'cids', 'raw', 'payload'])
    .map((name) => name.toLowerCase()),
);

function isHidden(field: string): boolean {
  return hiddenFields.has(field.replaceAll('_', '').toLowerCase());
}

function errorFields(error: Error, depth: number): Record<string, unknown> {
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  const cause = error.cause instanceof Error && depth < causesMax ? { cause: errorFields(error.cause, depth + 1) } : {};
  // Only these: PostgreSQL's errors have a `detail` that quotes rows.
  return { type: error.name, message: error.message, ...code, stack: error.stack, ...cause };
}

function cleaned(value: unknown, depth: number): unknown {
  if (value instanceof Error) return errorFields(value, 0);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= depthMax) return '[deeper]';
  if (Array.isArray(value)) return value.map((item) => cleaned(item, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([field, inner]) => [field, isHidden(field) ? hidden : cleaned(inner, depth + 1)]),
  );
}

/** Every field a log line may carry, with what must not be seen replaced. */
function cleanedFields(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([field, value]) => [field, isHidden(field) ? hidden : cleaned(value, 1)]),
  );
}

function asText(line: string): string {
  // pino's own output.
  const { level, time, msg, ...fields } = JSON.parse(line) as {
    level: string;
    time: string;
    msg: string;
    [field: string]: unknown;
  };
  const shown = Object.entries(fields).map(([field, value]) => {
    // The stack is for machines; people who need it set the format to json.
    const plain = field === 'err' && typeof value === 'object' && value !== null && 'message' in value ? value.message : value;
    return ` ${field}=${typeof plain === 'string' ? plain : JSON.stringify(plain)}`;
  });
  return `${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${msg}${shown.join('')}\n`;
}

/** Opens the log. Lines are written at once: a program that is killed has written all it said. */
export function createLogger({ level, format, stream }: LogOptions): Logger {
  const destination = format === 'json' ? stream : { write: (line: string) => stream.write(asText(line)) };
  const logger = pino(
    {
      level,
      base: null,
      // An error has been reduced to its fields by then; pino's own serializer would write it differently.
      serializers: { err: (fields: unknown) => fields },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => void destination.write(line) },
  );
  return over(logger);
}

function over(logger: pino.Logger): Logger {
  return {
    debug: (fields, message) => logger.debug(cleanedFields(fields), message),
    info: (fields, message) => logger.info(cleanedFields(fields), message),
    warn: (fields, message) => logger.warn(cleanedFields(fields), message),
    error: (fields, message) => logger.error(cleanedFields(fields), message),
    child: (fields) => over(logger.child(cleanedFields(fields))),
  };
}
