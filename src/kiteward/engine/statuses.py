"""Domain errors for the statuses of an engine: the one table, whichever protocol carried the status."""

from enum import IntEnum

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import (
    EngineAccessDenied,
    EngineAccountRejected,
    EngineDeadlineExceeded,
    EngineError,
    EngineLacksOperation,
    EngineRejected,
    EngineUnavailable,
)


class StatusCode(IntEnum):
    """Status codes of gRPC, as engines and this server answer with (grpc/doc/statuscodes.md)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


def domain_error(method: str, code: int, text: str = "") -> EngineError:
    """Return the error for a call that did not end with OK.

    Args:
        method: the name of the RPC.
        code: the number of a gRPC status code.
        text: the text of a remote engine, which callers get with its code. Not where it is about the connection, or
            about the service account, which callers would take for their own.
    """
    match code:
        case StatusCode.UNAVAILABLE | StatusCode.CANCELLED:
            return EngineUnavailable("the engine cannot be reached")
        case StatusCode.DEADLINE_EXCEEDED:
            return EngineDeadlineExceeded(f"the engine did not answer `{method}` in time")
        case StatusCode.UNIMPLEMENTED:
            return EngineLacksOperation(
                f"the engine does not implement `{method}`", _about(ErrorCode.ENGINE_LACKS_OPERATION, method)
            )
        case StatusCode.UNAUTHENTICATED:
            return EngineAccountRejected("the engine does not accept the service account of this server")
        case StatusCode.PERMISSION_DENIED:
            return EngineAccessDenied(
                f"the engine does not allow `{method}` to the service account of this server",
                _about(ErrorCode.ENGINE_ACCESS_DENIED, method),
            )
    if text:
        detail = ErrorDetail(ErrorCode.ENGINE_FAILED, {"operation": method}, quoted=text)
        return EngineRejected(text, detail, grpc_code=code)
    return _rejection(method, code)


def _rejection(method: str, code: int) -> EngineRejected:
    """Return the error for a call that the engine refused without a text."""
    match code:
        case StatusCode.INVALID_ARGUMENT:
            return EngineRejected(
                f"the engine cannot read this `{method}` request", _about(ErrorCode.ENGINE_REQUEST_UNREADABLE, method)
            )
        case StatusCode.RESOURCE_EXHAUSTED:
            return EngineRejected(
                f"`{method}`: a message is larger than the engine accepts or has resources for",
                _about(ErrorCode.ENGINE_MESSAGE_TOO_LARGE, method),
            )
        case _:
            return EngineRejected(f"the engine failed to execute `{method}`", _about(ErrorCode.ENGINE_FAILED, method))


def _about(code: ErrorCode, operation: str) -> ErrorDetail:
    return ErrorDetail(code, {"operation": operation})
