/**
 * One call of the bridge: its deadline, its cancellation, and what its status means. A status with a DictProblem is the very error that
 * the bridge met; any other is one of the way to the bridge, in the same vocabulary.
 */

import {
  type Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  type CallOptions as GrpcOptions,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { CallOptions } from '../../dict/api.ts';
import { DictError } from '../../dict/errors.ts';
import type { Clock } from '../../platform/clock.ts';
import { DETAILS_TRAILER, dictErrorOf, statusIn } from './status-details.ts';

export interface ClientDeps {
  readonly client: Client;
  readonly clock: Pick<Clock, 'now'>;
  readonly callMs: number;
  /** For messages. */
  readonly address: string;
}

/** A call with one answer. Rejects with a `DictError`, with the signal's reason, or with a TypeError where the request was wrong. */
export function unaryCall<Request, Response>(
  deps: ClientDeps,
  method: MethodDefinition<Request, Response>,
  request: Request,
  options: CallOptions,
): Promise<Response> {
  const { signal } = options;
  const grpcOptions: GrpcOptions = { deadline: deps.clock.now().getTime() + deps.callMs };
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => call.cancel();
    const call: ClientUnaryCall = deps.client.makeUnaryRequest<Request, Response>(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      grpcOptions,
      (error, response) => {
        signal?.removeEventListener('abort', onAbort);
        if (response !== undefined) resolve(response);
        else reject(signal?.aborted ? signal.reason : failureOf(deps, error));
      },
    );
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * A call with a stream of answers, read as fast as its reader reads. It has no deadline: how long a file takes depends on its size, and a bridge
 * that fell silent is noticed by keepalive. Leaving the loop early cancels the call.
 */
export async function* receive<Request, Response>(
  deps: ClientDeps,
  method: MethodDefinition<Request, Response>,
  request: Request,
  options: CallOptions,
): AsyncIterable<Response> {
  const { signal } = options;
  signal?.throwIfAborted();
  const call: ClientReadableStream<Response> = deps.client.makeServerStreamRequest<Request, Response>(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
  );
  const onAbort = (): void => call.cancel();
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    // The stream of a call is made of its answers.
    for await (const answer of call as AsyncIterable<Response>) yield answer;
  } catch (error) {
    signal?.throwIfAborted();
    throw failureOf(deps, error);
  } finally {
    signal?.removeEventListener('abort', onAbort);
    call.on('error', () => undefined).cancel();
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error;
}

function failureOf(deps: ClientDeps, error: unknown): unknown {
  if (!isServiceError(error)) return error;
  const [bytes] = error.metadata.get(DETAILS_TRAILER);
  const told = bytes instanceof Uint8Array ? statusIn(bytes) : null;
  const problem = told === null ? null : dictErrorOf(told, error);
  if (problem !== null) return problem;
  if (error.code === status.INVALID_ARGUMENT) return new TypeError(error.details, { cause: error });
  return wayError(deps, error);
}

/** What a failure on the way to the bridge, or of the bridge itself, means for the caller. */
function wayError({ address, callMs }: ClientDeps, error: ServiceError): DictError {
  const failure = (kind: string, message: string): DictError => new DictError(kind, 0, message, { cause: error });
  switch (error.code) {
    case status.UNAVAILABLE:
      // What grpc-js says when it has no connection: nothing was sent then.
      return /^No connection established|^Name resolution failed/.test(error.details)
        ? failure('Unreachable', `the bridge at ${address} cannot be reached (${error.details})`)
        : failure('ConnectionLost', `the connection to the bridge at ${address} broke (${error.details})`);
    case status.DEADLINE_EXCEEDED:
      return failure('Timeout', `no answer of the bridge at ${address} within ${callMs} ms`);
    case status.RESOURCE_EXHAUSTED:
      return failure('InvalidAnswer', `the bridge at ${address}: ${error.details}`);
    case status.UNIMPLEMENTED:
      return failure('InvalidAnswer', `the bridge at ${address} does not offer this: ${error.details}`);
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return failure('Forbidden', `the bridge at ${address} refuses this client: ${error.details}`);
    case status.CANCELLED:
      return failure('ConnectionLost', `the bridge at ${address} ended the call: ${error.details}`);
    default:
      return failure('InternalServerError', `the bridge at ${address} failed: ${error.details}`);
  }
}
