"""What the servicers share: the answer of a method that fails, in Milvus's codes."""

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

from milvus_lite.adapter.grpc import errors
from milvus_lite.exceptions import MilvusLiteError
from pymilvus.grpc_gen import common_pb2

CODE_PARAMETER_INVALID: Final = 1100

Method = TypeVar("Method", bound=Callable[..., Any])


def success() -> Any:
    """Return the status of a call that did what was asked."""
    return common_pb2.Status(**errors.success_status_kwargs())


def failure(error: MilvusLiteError) -> Any:
    """Return the status for an error of Milvus Lite."""
    return common_pb2.Status(**errors.to_status_kwargs(error))


def invalid_parameter(reason: str) -> Any:
    """Return the status for a parameter that Milvus does not take."""
    return common_pb2.Status(
        error_code=common_pb2.ErrorCode.IllegalArgument, code=CODE_PARAMETER_INVALID, reason=reason
    )


def answering(response: Callable[..., Any]) -> Callable[[Method], Method]:
    """Make a servicer method answer an error of Milvus Lite with the failure's status.

    Args:
        response: makes the method's answer from its status.
    """

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        def answer(self: Any, request: Any, context: Any) -> Any:
            try:
                return method(self, request, context)
            except MilvusLiteError as error:
                return response(status=failure(error))

        return answer  # type: ignore[return-value]  # it is called as the method is

    return decorate


def status_alone(status: Any) -> Any:
    """Return the answer of an RPC whose response is a status."""
    return status
