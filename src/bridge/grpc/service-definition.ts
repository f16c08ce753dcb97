/**
 * The methods of BridgeService as grpc-js wants them: a path, and how messages become bytes and come back. Made from the generated
 * description, so that server and client cannot differ from the proto. What the methods do is not here.
 */

import {
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { MethodDefinition } from '@grpc/grpc-js';
import { BridgeService } from './generated/dict/bridge/v1/bridge_pb.ts';
import { Health } from './generated/grpc/health/v1/health_pb.ts';

type Described<Request extends DescMessage, Response extends DescMessage> =
  | DescMethodUnary<Request, Response>
  | DescMethodServerStreaming<Request, Response>;

function methodDefinition<Request extends DescMessage, Response extends DescMessage>(
  method: Described<Request, Response>,
): MethodDefinition<MessageShape<Request>, MessageShape<Response>> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: false,
    responseStream: method.methodKind === 'server_streaming',
    requestSerialize: (request) => bytesOf(method.input, request),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (response) => bytesOf(method.output, response),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}

/** The message's bytes without copying them once more. */
function bytesOf<Of extends DescMessage>(schema: Of, message: MessageShape<Of>): Buffer {
  const bytes = toBinary(schema, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const { method } = BridgeService;

/** Every method of the service. */
export const bridgeMethods = {
  verifySync: methodDefinition(method.verifySync),
  requestCidSetFile: methodDefinition(method.requestCidSetFile),
  getCidSetFile: methodDefinition(method.getCidSetFile),
  downloadCidSetFile: methodDefinition(method.downloadCidSetFile),
  listCidSetEvents: methodDefinition(method.listCidSetEvents),
  getEntryByCid: methodDefinition(method.getEntryByCid),
  listEntries: methodDefinition(method.listEntries),
  getPolicies: methodDefinition(method.getPolicies),
} as const satisfies Readonly<Record<keyof typeof method, unknown>>;

/** Of the standard health service: what a server says of itself. */
export const healthCheck = methodDefinition(Health.method.check);
