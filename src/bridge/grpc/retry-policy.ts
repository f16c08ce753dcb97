/**
 * Which methods a client repeats when the bridge is not there (a restart, a lost connection), as a gRPC service config. What is safe
 * stands in the proto as `idempotency_level`. Errors of DICT are not repeated by it: the bridge has done that, and says so.
 */

import type { DescService } from '@bufbuild/protobuf';
import { MethodOptions_IdempotencyLevel } from '@bufbuild/protobuf/wkt';

/** Tries in all; five is what gRPC allows at most. Their waits add up to some seconds. */
const TRIES_MAX = 5;

/** The service config for the methods of a service that may be repeated. */
export function retriesOf(service: DescService) {
  const repeatable = service.methods.filter(
    ({ idempotency, methodKind }) =>
      // Half a download is not taken up again by asking for the whole.
      methodKind === 'unary' && idempotency !== MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN,
  );
  return {
    methodConfig: [
      {
        name: repeatable.map(({ name }) => ({ service: service.typeName, method: name })),
        retryPolicy: {
          maxAttempts: TRIES_MAX,
          initialBackoff: '0.5s',
          maxBackoff: '3s',
          backoffMultiplier: 2,
          retryableStatusCodes: ['UNAVAILABLE'],
        },
      },
    ],
  };
}
