/**
 * How a call arrives and ends: the caller's cancellation and deadline become a signal, and whatever goes wrong a status with its details.
 * What a method does is bridge-methods.ts.
 */

import { create } from '@bufbuild/protobuf';
import { type handleUnaryCall, Metadata, type ServerUnaryCall, type StatusObject, status } from '@grpc/grpc-js';
import { DictError } from '../../dict/errors.ts';
import type { Logger } from '../../platform/log.ts';
import { BadRequest_FieldViolationSchema } from './generated/google/rpc/error_details_pb.ts';
import { type Status, StatusSchema } from './generated/google/rpc/status_pb.ts';
import { MethodNotOffered, RequestRefused } from './request-refusal.ts';
import { badRequest, DETAILS_TRAILER, statusBytes, statusOf } from './status-details.ts';

type Log = Pick<Logger, 'debug' | 'error'>;

/** Nobody waits for the answer any more: the caller went away, or its deadline is over. */
class CallGivenUp extends Error {
  override readonly name = 'CallGivenUp';
}

/** Aborted when the caller cancels, loses its connection, or its deadline passes. */
export function cancellationOf(call: Pick<ServerUnaryCall<unknown, unknown>, 'cancelled' | 'on'>): AbortSignal {
  const abort = new AbortController();
  const giveUp = (): void => abort.abort(new CallGivenUp('the caller gave the call up'));
  if (call.cancelled) giveUp();
  else call.on('cancelled', giveUp);
  return abort.signal;
}

/** A method with one answer as grpc-js calls it. */
export function unaryHandler<Request, Response>(
  log: Log,
  name: string,
  method: (request: Request, signal: AbortSignal) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const signal = cancellationOf(call);
    const answer = async (): Promise<void> => {
      let response: Response;
      try {
        response = await method(call.request, signal);
      } catch (error) {
        callback(statusObjectOf(log, name, error, signal));
        return;
      }
      callback(null, response);
    };
    void answer();
  };
}

/** The status that a failed call ends in. */
export function statusObjectOf(log: Log, name: string, error: unknown, signal: AbortSignal): StatusObject {
  if (error instanceof DictError) {
    log.debug({ method: name, kind: error.kind, http_status: error.status }, 'DICT refused or failed');
    return withDetails(statusOf(error), true);
  }
  if (error instanceof RequestRefused) {
    const violation = create(BadRequest_FieldViolationSchema, { field: error.field, description: error.message });
    const details = [badRequest([violation])];
    return withDetails(create(StatusSchema, { code: status.INVALID_ARGUMENT, message: error.message, details }), false);
  }
  if (error instanceof MethodNotOffered) {
    return { code: status.UNIMPLEMENTED, details: error.message, metadata: new Metadata() };
  }
  // What a cancelled call failed of is that; grpc-js has told the caller so already.
  if (signal.aborted) return { code: status.CANCELLED, details: 'the call was given up', metadata: new Metadata() };
  log.error({ method: name, err: error }, 'a fault of the bridge');
  return { code: status.INTERNAL, details: 'a fault of the bridge; its log says more', metadata: new Metadata() };
}

function withDetails(found: Status, repeated: boolean): StatusObject {
  const metadata = new Metadata();
  metadata.set(DETAILS_TRAILER, statusBytes(found));
  // The bridge has repeated the call where that is safe: a client that repeats what UNAVAILABLE ends would do it all again.
  if (repeated) metadata.set('grpc-retry-pushback-ms', '-1');
  return { code: found.code, details: found.message, metadata };
}
