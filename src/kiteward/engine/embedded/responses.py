"""Responses of the servicers, with the codes of Milvus."""

import functools
from collections.abc import Callable
from typing import Final, TypeVar

from google.protobuf.message import Message
from milvus_lite.adapter.grpc import errors
from milvus_lite.exceptions import MilvusLiteError
from pymilvus.grpc_gen import common_pb2

from kiteward.engine.embedded.call_context import CallContext

CODE_PARAMETER_INVALID: Final = 1100

Servicer = TypeVar("Servicer")
Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


def success() -> common_pb2.Status:
    """Return the status of a call that did what was asked."""
    return common_pb2.Status(**errors.success_status_kwargs())


def failure(error: MilvusLiteError) -> common_pb2.Status:
    """Return the status for an error of Milvus Lite."""
    return common_pb2.Status(**errors.to_status_kwargs(error))


def invalid_parameter(reason: str) -> common_pb2.Status:
    """Return the status for a parameter that Milvus does not take."""
    return common_pb2.Status(
        error_code=common_pb2.ErrorCode.IllegalArgument, code=CODE_PARAMETER_INVALID, reason=reason
    )


def answering(
    response: Callable[..., Response],
) -> Callable[
    [Callable[[Servicer, Request, CallContext], Response]], Callable[[Servicer, Request, CallContext], Response]
]:
    """Make a servicer method answer an error of Milvus Lite with the failure's status.

    Args:
        response: makes the method's answer from its status.
    """

    def decorate(
        method: Callable[[Servicer, Request, CallContext], Response],
    ) -> Callable[[Servicer, Request, CallContext], Response]:
        @functools.wraps(method)
        def answer(self: Servicer, request: Request, context: CallContext) -> Response:
            try:
                return method(self, request, context)
            except MilvusLiteError as error:
                return response(status=failure(error))

        return answer

    return decorate


def status_alone(status: common_pb2.Status) -> common_pb2.Status:
    """Return the answer of an RPC whose response is a status."""
    return status
