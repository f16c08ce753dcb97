"""A gRPC client of the bridge that shares nothing with it: Google's own for Python, which knows of the interface only what server
reflection tells. Reads one call a line from standard input, as JSON, and answers each with a line of JSON.

    {"call": "services"}
    {"call": "maps", "message": "..."}
    {"call": "health", "service": "..."}
    {"call": "VerifySync", "request": {...}, "timeout": 5}

What a call answers is told as {"answers": [...]} (one for a call without a stream), what it fails of as {"code", "message",
"details"} with every detail of its google.rpc.Status decoded.
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

SERVICE = "dict.bridge.v1.BridgeService"


def as_dict(message, pool):
    return json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=pool)


def details_of(error, pool):
    """The details that the trailer carries, each with the name of its message."""
    status = rpc_status.from_call(error)
    if status is None:
        return []
    found = []
    for detail in status.details:
        message = message_factory.GetMessageClass(pool.FindMessageTypeByName(detail.TypeName()))()
        message.ParseFromString(detail.value)
        found.append({"type": detail.TypeName(), "value": as_dict(message, pool)})
    return found


def call_method(channel, pool, order):
    method = pool.FindServiceByName(SERVICE).FindMethodByName(order["call"])
    request = json_format.ParseDict(order["request"], message_factory.GetMessageClass(method.input_type)())
    answer_class = message_factory.GetMessageClass(method.output_type)
    path = f"/{SERVICE}/{method.name}"
    make = channel.unary_stream if method.server_streaming else channel.unary_unary
    stub = make(path, request_serializer=lambda m: m.SerializeToString(), response_deserializer=answer_class.FromString)
    try:
        answer = stub(request, timeout=order.get("timeout", 30))
        answers = list(answer) if method.server_streaming else [answer]
    except grpc.RpcError as error:
        return {"code": error.code().name, "message": error.details(), "details": details_of(error, pool)}
    return {"answers": [as_dict(each, pool) for each in answers]}


def health(channel, order):
    try:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=order["service"]), timeout=30)
    except grpc.RpcError as error:
        return {"code": error.code().name}
    return {"status": health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}


def maps_of(pool, order):
    """The message's map fields, each with the name of its implicit entry, as reflection describes them."""
    fields = pool.FindMessageTypeByName(order["message"]).fields
    entries = [field for field in fields if field.message_type is not None and field.message_type.GetOptions().map_entry]
    return {"maps": {field.name: field.message_type.name for field in entries}}


def credentials_of(arguments):
    files = [open(name, "rb").read() for name in arguments]
    authority, key, certificate = files + [None] * (3 - len(files))
    return grpc.ssl_channel_credentials(authority, key, certificate)


def main():
    address, *tls = sys.argv[1:]
    channel = grpc.secure_channel(address, credentials_of(tls)) if tls else grpc.insecure_channel(address)
    reflection = ProtoReflectionDescriptorDatabase(channel)
    pool = descriptor_pool.DescriptorPool(reflection)
    for line in sys.stdin:
        order = json.loads(line)
        if order["call"] == "services":
            answer = {"services": sorted(reflection.get_services())}
        elif order["call"] == "maps":
            answer = maps_of(pool, order)
        elif order["call"] == "health":
            answer = health(channel, order)
        else:
            answer = call_method(channel, pool, order)
        print(json.dumps(answer), flush=True)


main()
