/** Whether a bridge serves, by the standard health service: needs no participant, asks DICT nothing, costs no token. */

import { create } from '@bufbuild/protobuf';
import { Client } from '@grpc/grpc-js';
import type { BridgeClientOptions } from './bridge-client.ts';
import { unaryCall } from './client-call.ts';
import { BridgeService } from './generated/dict/bridge/v1/bridge_pb.ts';
import { HealthCheckRequestSchema, HealthCheckResponse_ServingStatus } from './generated/grpc/health/v1/health_pb.ts';
import { healthCheck } from './service-definition.ts';

/** Asks once. False: it is there and takes no calls, since it is ending. Rejects with a `DictError` where it cannot be asked. */
export async function bridgeServes(options: Omit<BridgeClientOptions, 'messageBytesMax'>): Promise<boolean> {
  const { host } = new URL(options.url.replace(/^grpcs?:/, 'http:'));
  const client = new Client(host, options.credentials);
  try {
    const deps = { client, clock: options.clock, callMs: options.callMs, address: host };
    const { status } = await unaryCall(
      deps,
      healthCheck,
      create(HealthCheckRequestSchema, { service: BridgeService.typeName }),
      {},
    );
    return status === HealthCheckResponse_ServingStatus.SERVING;
  } finally {
    client.close();
  }
}
