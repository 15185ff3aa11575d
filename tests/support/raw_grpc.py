"""Calls of single RPCs with exactly the metadata that a test asks for, without an SDK in between."""

import base64
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from pymilvus.grpc_gen import milvus_pb2

_SERVICE = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"]


def authorization(text: str) -> str:
    """Return the header value of a token, as SDKs send it."""
    return base64.b64encode(text.encode()).decode()


def call(uri: str, method: str, *, header: str | None, database: str | None = None, **fields: Any) -> Any:
    """Call one RPC over a channel of its own and return the response message.

    Args:
        uri: the server's endpoint.
        method: RPC name.
        header: value of `authorization` as it goes over the wire; None sends none.
        database: value of `dbname`; None sends none.
        fields: fields of the request.

    Raises:
        grpc.RpcError: the call was refused at the protocol level.
    """
    described = _SERVICE.methods_by_name[method]
    metadata = [(key, value) for key, value in (("authorization", header), ("dbname", database)) if value is not None]
    with grpc.insecure_channel(uri.removeprefix("http://")) as channel:
        invoke = channel.unary_unary(
            f"/{_SERVICE.full_name}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        return invoke(GetMessageClass(described.input_type)(**fields), metadata=metadata, timeout=20)


def refusal(uri: str, method: str, *, header: str | None, **fields: Any) -> tuple[grpc.StatusCode, str]:
    """Call one RPC that must be refused at the protocol level, and return the code and the text."""
    try:
        response = call(uri, method, header=header, **fields)
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError(f"{method} was answered: {response}")


def accepts(uri: str, token: str) -> bool:
    """Return whether the server authenticates a caller with this token."""
    try:
        call(uri, "GetVersion", header=authorization(token))
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNAUTHENTICATED:
            return False
        raise
    return True
