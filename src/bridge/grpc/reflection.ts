/**
 * Server reflection: what tools such as grpcurl ask to call methods without a proto at hand. The descriptions are those that the
 * generated code was made with, byte for byte, so no proto file is read at run time.
 */

import { type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { file_dict_bridge_v1_bridge } from './generated/dict/bridge/v1/bridge_pb.ts';
import { file_google_rpc_error_details } from './generated/google/rpc/error_details_pb.ts';
import { file_grpc_health_v1_health } from './generated/grpc/health/v1/health_pb.ts';

/** Offers grpc.reflection.v1 and v1alpha on a server: the bridge's service, its health, and the details of errors. */
export function addReflection(server: Server): void {
  const files = new Map<string, Buffer>();
  // The details are not named by any method: they travel in trailers. Health's own package describes it with a map that grpcurl refuses.
  for (const file of [file_dict_bridge_v1_bridge, file_google_rpc_error_details, file_grpc_health_v1_health])
    collect(file, files);
  const described = [...files.values()];
  // Only the files of a definition are looked at; the service finds what they define by itself.
  const definition = { format: 'Protocol Buffer 3 EnumDescriptorProto', type: {}, fileDescriptorProtos: described } as const;
  new ReflectionService({ 'dict.bridge.v1': definition }).addToServer(server);
}

function collect(file: DescFile, into: Map<string, Buffer>): void {
  if (into.has(file.name)) return;
  into.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  for (const needed of file.dependencies) collect(needed, into);
}
