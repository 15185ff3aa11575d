"""The one table from domain errors to what a Milvus client sees over gRPC (contract 1.4, 2.1, appendix A).

Authentication and authorization failures are gRPC statuses that no SDK retries. Failures of a handler are gRPC OK with
a `Status` in the response. A test walks the exception tree and requires a row for each class.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kiteward.domain import errors
from kiteward.engine.statuses import StatusCode
from kiteward.gateway.operations import OPERATIONS
from kiteward.milvus import messages

_UNEXPECTED: Final = messages.ErrorCode.UnexpectedError
_NOT_READY: Final = 2
_ILLEGAL_ARGUMENT: Final = messages.ErrorCode.IllegalArgument
_RATE_LIMIT: Final = 8
_REPEATS_BY_STATUS: Final = ("grpc-python", "grpc-java")
"""How the user agents begin of the libraries whose Milvus SDKs repeat a call that is answered by code 8."""


@dataclass(frozen=True, slots=True)
class GrpcStatus:
    """The call fails at the protocol level.

    Attributes:
        code: the gRPC status code.
        shown: whether the error's own text is sent; otherwise `text` is.
        text: the text that is sent instead.
        retry_after: seconds after which the call may be repeated; None says nothing about that.
    """

    code: StatusCode
    shown: bool = True
    text: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class MilvusStatus:
    """The call succeeds at the protocol level and its response carries a status.

    Attributes:
        code: `Status.code`.
        legacy_code: `Status.error_code`; None takes `failure_code` of the operation's row.
        suffix: Milvus' name for the code, appended to the text unless the text contains it.
        input_error: whether the request is at fault, which `extra_info` reports to SDKs.
        otherwise: the gRPC status code for RPCs whose response has no status field.
    """

    code: int
    legacy_code: messages.ErrorCode.ValueType | None = None
    suffix: str = ""
    input_error: bool = True
    otherwise: StatusCode = StatusCode.INVALID_ARGUMENT


_INVALID: Final = "invalid parameter"

# The Node SDK takes gRPC's UNIMPLEMENTED for success (decision 0033).
_NOT_OFFERED: Final = MilvusStatus(
    10, None, "service unimplemented", input_error=False, otherwise=StatusCode.UNIMPLEMENTED
)

STATUSES: Final[Mapping[type[errors.KitewardError], GrpcStatus | MilvusStatus]] = {
    errors.KitewardError: GrpcStatus(StatusCode.UNKNOWN, shown=False, text="the request failed"),
    errors.AuthenticationError: GrpcStatus(StatusCode.UNAUTHENTICATED),
    errors.CredentialMissing: GrpcStatus(StatusCode.UNAUTHENTICATED),
    errors.CredentialMalformed: GrpcStatus(StatusCode.UNAUTHENTICATED),
    errors.CredentialTooLong: GrpcStatus(StatusCode.UNAUTHENTICATED),
    errors.PasswordRejected: GrpcStatus(StatusCode.UNAUTHENTICATED),
    errors.KeyRejected: GrpcStatus(StatusCode.UNAUTHENTICATED),
    errors.TokenRejected: GrpcStatus(StatusCode.UNAUTHENTICATED),
    errors.SessionEnded: GrpcStatus(StatusCode.UNAUTHENTICATED),
    errors.AccessDenied: GrpcStatus(StatusCode.PERMISSION_DENIED),
    errors.OperationRefused: _NOT_OFFERED,
    errors.OperationUnknown: GrpcStatus(StatusCode.UNIMPLEMENTED),
    errors.PayloadMalformed: GrpcStatus(StatusCode.INVALID_ARGUMENT),
    errors.RequestRefused: MilvusStatus(1100, _ILLEGAL_ARGUMENT, _INVALID),
    errors.InvalidArgument: MilvusStatus(1100, _ILLEGAL_ARGUMENT, _INVALID),
    errors.FilterSyntaxError: MilvusStatus(1100, _ILLEGAL_ARGUMENT, _INVALID),
    errors.InvalidGroupName: MilvusStatus(1402, _UNEXPECTED),
    errors.InvalidGrant: MilvusStatus(1100, None, _INVALID),
    errors.NotFound: MilvusStatus(1100, None, _INVALID),
    errors.UserNotFound: MilvusStatus(1100, None, _INVALID),
    errors.RoleNotFound: MilvusStatus(1100, None, _INVALID),
    errors.AlreadyExists: MilvusStatus(1100, None, _INVALID),
    errors.InUse: MilvusStatus(1100, None, _INVALID),
    errors.AliasConflict: MilvusStatus(65535, _UNEXPECTED),
    errors.LimitReached: MilvusStatus(9, None, "quota exceeded", input_error=False),
    errors.OldPasswordWrong: MilvusStatus(1400, _UNEXPECTED, "not authenticated"),
    errors.FactorRejected: MilvusStatus(1100, None, _INVALID),
    errors.ProtectedObject: MilvusStatus(1401, _UNEXPECTED, "privilege not permitted"),
    errors.DatabaseNotFound: MilvusStatus(800, _UNEXPECTED),
    errors.DatabaseNameInvalid: MilvusStatus(802, _UNEXPECTED),
    errors.FieldNameInvalid: MilvusStatus(1701, _UNEXPECTED),
    errors.CollectionNotFound: MilvusStatus(100, messages.LEGACY_COLLECTION_NOT_EXISTS),
    # Raised only by the in-process client: a gRPC client reads the response itself.
    errors.ResponseFailed: MilvusStatus(65535, _UNEXPECTED),
    errors.EngineError: GrpcStatus(StatusCode.UNAVAILABLE),
    errors.EngineUnavailable: GrpcStatus(StatusCode.UNAVAILABLE),
    errors.EngineAccountRejected: GrpcStatus(StatusCode.UNAVAILABLE),
    errors.EngineDeadlineExceeded: GrpcStatus(StatusCode.DEADLINE_EXCEEDED),
    errors.EngineLacksOperation: _NOT_OFFERED,
    errors.EngineAccessDenied: GrpcStatus(StatusCode.PERMISSION_DENIED),
    errors.EngineRejected: GrpcStatus(StatusCode.INVALID_ARGUMENT),
    errors.EngineResponseUnreadable: GrpcStatus(StatusCode.INTERNAL),
    errors.StoreError: GrpcStatus(StatusCode.UNAVAILABLE),
    errors.StoreUnavailable: GrpcStatus(StatusCode.UNAVAILABLE),
    errors.StoreUnreachable: GrpcStatus(StatusCode.UNAVAILABLE),
    # A status in the response: SDKs retry on gRPC's own, and this change may have been made.
    errors.CommitUnknown: MilvusStatus(65535, _UNEXPECTED, input_error=False),
    errors.DataDirectoryHeld: GrpcStatus(StatusCode.UNAVAILABLE),
    # A status in the response: SDKs retry on UNAVAILABLE, even a change that may have been carried out.
    errors.AuditUnavailable: MilvusStatus(_NOT_READY, _UNEXPECTED, input_error=False),
    # Raised before anything was done: SDKs may retry.
    errors.CapacityExceeded: GrpcStatus(StatusCode.RESOURCE_EXHAUSTED),
    # For most clients; see `_limited`.
    errors.RequestsLimited: GrpcStatus(StatusCode.RESOURCE_EXHAUSTED),
    errors.ConfigurationError: GrpcStatus(
        StatusCode.UNKNOWN, shown=False, text="the server is not configured for this"
    ),
    errors.NotReady: GrpcStatus(StatusCode.UNAVAILABLE),
    # Nothing was done, and another server may answer: SDKs may retry.
    errors.LeaseOver: GrpcStatus(StatusCode.UNAVAILABLE),
}
"""The status of each error class; a class without a row has that of its nearest ancestor."""


def failure_of(operation: str, error: errors.KitewardError, *, client: str = "") -> bytes | GrpcStatus:
    """Return what a client gets for an error.

    Args:
        operation: the RPC.
        error: the error.
        client: the user agent of the client.

    Returns:
        The serialised response message with the error's status, or a gRPC status with its text. The few RPCs whose
        response has no status field (contract 2.1), streams among them, fail with a gRPC status that no SDK retries.
    """
    if isinstance(error, errors.RequestsLimited):
        return _limited(operation, error, client)
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    if isinstance(error, errors.EngineRejected):
        return GrpcStatus(_code_of(error), text=str(error))
    if isinstance(status, GrpcStatus):
        return GrpcStatus(status.code, text=str(error)) if status.shown else status
    text = str(error)
    reason = text if not status.suffix or status.suffix in text else f"{text}: {status.suffix}"
    row = OPERATIONS[operation]
    if not _has_room(operation) or (status is _NOT_OFFERED and row.unimplemented_by_grpc):
        return GrpcStatus(status.otherwise, text=reason)
    legacy = status.legacy_code if status.legacy_code is not None else row.failure_code
    extra = {"is_input_error": "true"} if status.input_error else {}
    return messages.failure(operation, code=status.code, legacy_code=legacy, reason=reason, extra_info=extra)


def _limited(operation: str, error: errors.RequestsLimited, client: str) -> bytes | GrpcStatus:
    """Return what a client gets whose requests exceed a limit.

    pymilvus and the SDK for Java wait and repeat a call that is answered by Milvus' status for this, and give up at
    once on RESOURCE_EXHAUSTED. It is the other way round for Go (docs/limits.md).
    """
    if client.startswith(_REPEATS_BY_STATUS) and _has_room(operation):
        return messages.failure(
            operation,
            code=_RATE_LIMIT,
            legacy_code=messages.ErrorCode.RateLimit,
            reason=str(error),
            retriable=True,
            extra_info={"retry_after_ms": str(math.ceil(error.retry_after * 1000))},
        )
    return GrpcStatus(StatusCode.RESOURCE_EXHAUSTED, text=str(error), retry_after=error.retry_after)


def _code_of(error: errors.EngineRejected) -> StatusCode:
    try:
        return StatusCode(error.grpc_code)
    except ValueError:
        return StatusCode.UNKNOWN


def _has_room(operation: str) -> bool:
    """Return whether the response of an RPC is one message with a status field."""
    method = messages.METHODS[operation]
    return method.status_field is not None and not method.streaming
