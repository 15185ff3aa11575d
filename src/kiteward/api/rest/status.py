"""The table from domain errors to what a REST client gets.

Rules (contract 1.6, 5.1): 401 means that the caller is not authenticated, 403 that a privilege is missing, 408 that the
timeout has passed, 413 that the body is too large, 429 that too much is in flight already. Any other refusal or failure
is HTTP 200 with a code other than 0, even if the engine or store is unavailable. Milvus does so and its clients check
the code; a 503 would make proxies retry a change that may have been carried out. 500 means a defect of Kiteward; the
log has the details.

A test walks the exception tree and requires a row for each class, and the same codes and texts as over gRPC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from kiteward.domain import errors
from kiteward.domain.error_codes import ErrorCode

SUCCESS: Final = 0
UNAVAILABLE: Final = 2
RATE_LIMITED: Final = 8
UNIMPLEMENTED: Final = 10
INVALID_PARAMETER: Final = 1100
TOO_LARGE: Final = 1102
NOT_AUTHENTICATED: Final = 1800
BODY_MALFORMED: Final = 1801
FIELD_MISSING: Final = 1802
TIMEOUT: Final = 10001
UNEXPECTED: Final = 65535
DEFECT: Final = 500
"""The code of a defect. Codes are those of contract 5.1 and appendix A.

8 is Milvus' "rate limit exceeded", 10 its "service unimplemented".
"""

TIMED_OUT: Final = "request timeout"
"""The message of a timeout, as Milvus has it."""


class RestFailure(Exception):
    """A request fails with a code and a message.

    Attributes:
        code: the member `code` of the response.
        message: the member `message`.
        http: the HTTP status.
        reason: the member `reason`, which only Kiteward's own endpoints return; None where `code` is enough.
        field: the argument at fault, likewise; empty for none or several.
        retry_after: seconds after which the request may be repeated; None says nothing about that.
        others: what else is wrong with the request, likewise of Kiteward's own endpoints alone.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        http: int = HTTPStatus.OK,
        reason: ErrorCode | None = None,
        field: str = "",
        retry_after: float | None = None,
        others: Sequence["RestFailure"] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http = int(http)
        self.reason = reason
        self.field = field
        self.retry_after = retry_after
        self.others = others


@dataclass(frozen=True, slots=True)
class Row:
    """What a client gets for one error class.

    Attributes:
        code: the code in the response; `ResponseFailed` has a code of its own.
        http: the HTTP status.
        suffix: Milvus' name for the code, appended to the text unless the text contains it.
        prefix: put before the text.
        instead: replaces the text.
    """

    code: int
    http: int = HTTPStatus.OK
    suffix: str = ""
    prefix: str = ""
    instead: str = ""

    def failure(self, error: errors.KitewardError) -> RestFailure:
        """Return the failure that reports an error of this class."""
        text = self.instead or f"{self.prefix}{error}"
        if self.suffix and self.suffix not in text:
            text = f"{text}: {self.suffix}"
        code = error.status if isinstance(error, errors.ResponseFailed) else self.code
        later = error.retry_after if isinstance(error, errors.RequestsLimited) else None
        others = [failure_of(each) for each in error.others]
        return RestFailure(
            code, text, http=self.http, reason=error.code, field=error.field, retry_after=later, others=others
        )


_NOT_AUTHENTICATED: Final = Row(NOT_AUTHENTICATED, HTTPStatus.UNAUTHORIZED, instead="user hasn't authenticated")
_INVALID: Final = Row(INVALID_PARAMETER, suffix="invalid parameter")
_UNAVAILABLE: Final = Row(UNAVAILABLE, prefix="service unavailable: ")
_UNIMPLEMENTED: Final = Row(UNIMPLEMENTED, suffix="service unimplemented")
_DEFECT: Final = Row(DEFECT, HTTPStatus.INTERNAL_SERVER_ERROR, instead="the request failed")

ROWS: Final[Mapping[type[errors.KitewardError], Row]] = {
    errors.KitewardError: _DEFECT,
    errors.AuthenticationError: _NOT_AUTHENTICATED,
    errors.CredentialMissing: _NOT_AUTHENTICATED,
    errors.CredentialMalformed: _NOT_AUTHENTICATED,
    # Its user can do something about it.
    errors.CredentialTooLong: Row(NOT_AUTHENTICATED, HTTPStatus.UNAUTHORIZED),
    errors.PasswordRejected: _NOT_AUTHENTICATED,
    errors.KeyRejected: _NOT_AUTHENTICATED,
    errors.TokenRejected: Row(NOT_AUTHENTICATED, HTTPStatus.UNAUTHORIZED),
    errors.SessionEnded: _NOT_AUTHENTICATED,
    errors.AccessDenied: Row(UNEXPECTED, HTTPStatus.FORBIDDEN, prefix="rpc error: code = PermissionDenied desc = "),
    errors.OperationRefused: _UNIMPLEMENTED,
    errors.OperationUnknown: _UNIMPLEMENTED,
    errors.PayloadMalformed: _INVALID,
    errors.RequestRefused: _INVALID,
    errors.InvalidArgument: _INVALID,
    errors.FilterSyntaxError: _INVALID,
    errors.InvalidGroupName: Row(1402),
    errors.InvalidGrant: _INVALID,
    errors.NotFound: _INVALID,
    errors.UserNotFound: _INVALID,
    errors.RoleNotFound: _INVALID,
    errors.AlreadyExists: _INVALID,
    errors.InUse: _INVALID,
    errors.AliasConflict: Row(UNEXPECTED),
    errors.LimitReached: Row(9, suffix="quota exceeded"),
    errors.OldPasswordWrong: Row(1400, suffix="not authenticated"),
    errors.FactorRejected: _INVALID,
    errors.ProtectedObject: Row(1401, suffix="privilege not permitted"),
    errors.DatabaseNotFound: Row(800),
    errors.DatabaseNameInvalid: Row(802),
    errors.FieldNameInvalid: Row(1701),
    errors.CollectionNotFound: Row(100),
    errors.ResponseFailed: Row(UNEXPECTED),
    errors.EngineError: _UNAVAILABLE,
    errors.EngineUnavailable: _UNAVAILABLE,
    errors.EngineAccountRejected: _UNAVAILABLE,
    errors.EngineDeadlineExceeded: Row(TIMEOUT, HTTPStatus.REQUEST_TIMEOUT, instead=TIMED_OUT),
    errors.EngineLacksOperation: _UNIMPLEMENTED,
    errors.EngineAccessDenied: Row(UNEXPECTED, HTTPStatus.FORBIDDEN),
    errors.EngineRejected: _INVALID,
    errors.EngineResponseUnreadable: Row(UNEXPECTED),
    errors.StoreError: _UNAVAILABLE,
    errors.StoreUnavailable: _UNAVAILABLE,
    errors.StoreUnreachable: _UNAVAILABLE,
    errors.CommitUnknown: Row(UNEXPECTED),
    errors.DataDirectoryHeld: _UNAVAILABLE,
    errors.AuditUnavailable: Row(UNAVAILABLE),
    errors.CapacityExceeded: Row(RATE_LIMITED, HTTPStatus.TOO_MANY_REQUESTS, suffix="rate limit exceeded"),
    errors.RequestsLimited: Row(RATE_LIMITED, HTTPStatus.TOO_MANY_REQUESTS, suffix="rate limit exceeded"),
    errors.ConfigurationError: _DEFECT,
    errors.NotReady: _UNAVAILABLE,
    errors.LeaseOver: _UNAVAILABLE,
}
"""The row of each error class; a class without a row has that of its nearest ancestor."""


def failure_of(error: errors.KitewardError) -> RestFailure:
    """Return the failure that reports an error."""
    row = next(ROWS[kind] for kind in type(error).__mro__ if kind in ROWS)
    return row.failure(error)
