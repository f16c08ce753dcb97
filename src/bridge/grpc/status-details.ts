/**
 * A `DictError` as a google.rpc.Status and back. `DictProblem` carries all of it; ErrorInfo, RequestInfo, BadRequest and RetryInfo say
 * the same for clients that know only the standard's details. Everything has to fit into trailers that gRPC's C core still takes by
 * default (8 KiB in all, base64 and percent-encoding counted): texts are cut, and violations beyond are counted instead.
 */

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Any, anyPack, anyUnpack, type Duration, DurationSchema } from '@bufbuild/protobuf/wkt';
import { DictError, type Violation } from '../../dict/errors.ts';
import { remedies } from './dict-words.ts';
import { type DictProblem, DictProblemSchema } from './generated/dict/bridge/v1/bridge_pb.ts';
import {
  type BadRequest_FieldViolation,
  BadRequest_FieldViolationSchema,
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from './generated/google/rpc/error_details_pb.ts';
import { type Status, StatusSchema } from './generated/google/rpc/status_pb.ts';
import { statusCodeOf } from './status-code.ts';

/** `domain` of every ErrorInfo. */
const ERROR_DOMAIN = 'dict.bridge.v1';

/** Name of the trailer that carries the Status. */
export const DETAILS_TRAILER = 'grpc-status-details-bin';

const MESSAGE_BYTES_MAX = 250;
const PROBLEM_MESSAGE_BYTES_MAX = 700;
const DETAIL_BYTES_MAX = 500;
/** Of all violations together; they cross twice. */
const VIOLATIONS_BYTES_MAX = 1_400;
const CORRELATION_BYTES_MAX = 100;

/** The status that a call ends in, or that stands for one key type's error. */
export function statusOf(error: DictError): Status {
  const violations = fitting(error.violations);
  const correlationId = error.correlationId === null ? null : clipped(error.correlationId, CORRELATION_BYTES_MAX);
  const retryAfter = error.retryAfterSec === null ? null : durationOf(error.retryAfterSec);
  const problem = create(DictProblemSchema, {
    kind: error.kind,
    httpStatus: error.status,
    remedy: remedies.valueOf(error.remedy),
    message: clipped(error.message, PROBLEM_MESSAGE_BYTES_MAX),
    ...(correlationId === null ? {} : { correlationId }),
    violations: violations.map(({ reason, value, property }) => ({
      reason,
      ...(value === null ? {} : { value }),
      ...(property === null ? {} : { property }),
    })),
    violationsLeftOut: error.violations.length - violations.length,
    ...(retryAfter === null ? {} : { retryAfter }),
    ...(error.detail === null ? {} : { detail: clipped(error.detail, DETAIL_BYTES_MAX) }),
  });
  return create(StatusSchema, {
    code: statusCodeOf(error),
    message: clipped(error.message, MESSAGE_BYTES_MAX),
    details: [anyPack(DictProblemSchema, problem), ...standardDetails(error, { violations, correlationId, retryAfter })],
  });
}

function standardDetails(
  error: DictError,
  more: {
    readonly violations: readonly Violation[];
    readonly correlationId: string | null;
    readonly retryAfter: Duration | null;
  },
): Any[] {
  const info = create(ErrorInfoSchema, {
    reason: reasonOf(error.kind),
    domain: ERROR_DOMAIN,
    metadata: { kind: error.kind, http_status: String(error.status), remedy: error.remedy },
  });
  const fields = more.violations.map(({ reason, value, property }) =>
    create(BadRequest_FieldViolationSchema, { field: property ?? '', description: value ?? '', reason }),
  );
  return [
    anyPack(ErrorInfoSchema, info),
    ...(more.correlationId === null
      ? []
      : [anyPack(RequestInfoSchema, create(RequestInfoSchema, { requestId: more.correlationId }))]),
    ...(fields.length === 0 ? [] : [badRequest(fields)]),
    ...(more.retryAfter === null ? [] : [anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: more.retryAfter }))]),
  ];
}

/** The detail that says which fields of a request are wrong. */
export function badRequest(fieldViolations: BadRequest_FieldViolation[]): Any {
  return anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations }));
}

/** `ErrorInfo.reason` is UPPER_SNAKE_CASE of at most 63 characters: RateLimited becomes RATE_LIMITED. */
function reasonOf(kind: string): string {
  return kind
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()
    .slice(0, 63);
}

/** The error that a status stands for; null where the status is none of DICT's. `cause` is what the status came with. */
export function dictErrorOf(status: Status, cause?: unknown): DictError | null {
  const problem = problemIn(status);
  if (problem === null) return null;
  return new DictError(problem.kind, problem.httpStatus, problem.message, {
    detail: problem.detail ?? null,
    correlationId: problem.correlationId ?? null,
    violations: problem.violations.map(({ reason, value, property }) => ({
      reason,
      value: value ?? null,
      property: property ?? null,
    })),
    retryAfterSec: problem.retryAfter === undefined ? null : secondsOf(problem.retryAfter),
    ...(cause === undefined ? {} : { cause }),
  });
}

function problemIn(status: Status): DictProblem | null {
  for (const detail of status.details) {
    const problem = anyUnpack(detail, DictProblemSchema);
    if (problem !== undefined) return problem;
  }
  return null;
}

/** The trailer's bytes. */
export function statusBytes(status: Status): Buffer {
  return Buffer.from(toBinary(StatusSchema, status));
}

/** The status in a trailer; null where its bytes are none. */
export function statusIn(bytes: Uint8Array): Status | null {
  try {
    return fromBinary(StatusSchema, bytes);
  } catch {
    // Whoever wrote that is not our bridge: the plain status code has to do.
    return null;
  }
}

const NANOS = 1_000_000_000;

function durationOf(seconds: number): Duration {
  const whole = Math.floor(seconds);
  return create(DurationSchema, { seconds: BigInt(whole), nanos: Math.round((seconds - whole) * NANOS) });
}

function secondsOf({ seconds, nanos }: Duration): number {
  return Number(seconds) + nanos / NANOS;
}

function fitting(violations: readonly Violation[]): readonly Violation[] {
  let bytes = 0;
  const over = violations.findIndex(({ reason, value, property }) => {
    // Tags and lengths of the fields are counted too.
    bytes += Buffer.byteLength(`${reason}${value ?? ''}${property ?? ''}`) + 12;
    return bytes > VIOLATIONS_BYTES_MAX;
  });
  return over < 0 ? violations : violations.slice(0, over);
}

function clipped(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text.toWellFormed();
  // A letter that was cut in two decodes to replacement characters at the end.
  return `${bytes.toString('utf8', 0, bytesMax - 3).replace(/\uFFFD+$/, '')}…`;
}
