import grpc
import pytest

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import (
    EngineAccessDenied,
    EngineAccountRejected,
    EngineDeadlineExceeded,
    EngineError,
    EngineLacksOperation,
    EngineRejected,
    EngineUnavailable,
)
from kiteward.engine.statuses import StatusCode, domain_error

EXPECTED: dict[str, tuple[type[EngineError], ErrorCode, str]] = {
    "CANCELLED": (EngineUnavailable, ErrorCode.ENGINE_UNAVAILABLE, "the engine cannot be reached"),
    "UNAVAILABLE": (EngineUnavailable, ErrorCode.ENGINE_UNAVAILABLE, "the engine cannot be reached"),
    "DEADLINE_EXCEEDED": (
        EngineDeadlineExceeded,
        ErrorCode.ENGINE_DEADLINE_EXCEEDED,
        "the engine did not answer `Search` in time",
    ),
    "UNIMPLEMENTED": (
        EngineLacksOperation,
        ErrorCode.ENGINE_LACKS_OPERATION,
        "the engine does not implement `Search`",
    ),
    "UNAUTHENTICATED": (
        EngineAccountRejected,
        ErrorCode.ENGINE_ACCOUNT_REJECTED,
        "the engine does not accept the service account of this server",
    ),
    "PERMISSION_DENIED": (
        EngineAccessDenied,
        ErrorCode.ENGINE_ACCESS_DENIED,
        "the engine does not allow `Search` to the service account of this server",
    ),
    "INVALID_ARGUMENT": (
        EngineRejected,
        ErrorCode.ENGINE_REQUEST_UNREADABLE,
        "the engine cannot read this `Search` request",
    ),
    "RESOURCE_EXHAUSTED": (
        EngineRejected,
        ErrorCode.ENGINE_MESSAGE_TOO_LARGE,
        "`Search`: a message is larger than the engine accepts or has resources for",
    ),
}
OTHERWISE = (EngineRejected, ErrorCode.ENGINE_FAILED, "the engine failed to execute `Search`")


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_of_grpc_has_its_error_its_code_and_its_text(code: grpc.StatusCode) -> None:
    error = domain_error("Search", code.value[0])
    assert (type(error), error.code, str(error)) == EXPECTED.get(code.name, OTHERWISE)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_text_of_the_engine_is_passed_on_where_it_is_for_callers(code: grpc.StatusCode) -> None:
    error = domain_error("Search", code.value[0], "rate limited")
    expected = EXPECTED.get(code.name)
    if expected is None or expected[0] is EngineRejected:
        assert isinstance(error, EngineRejected)
        assert (str(error), error.grpc_code, error.details[0].quoted) == ("rate limited", code.value[0], "rate limited")
    else:
        assert (type(error), error.code, str(error)) == expected


def test_codes_are_those_of_grpc() -> None:
    assert {code.name: code.value for code in StatusCode} == {code.name: code.value[0] for code in grpc.StatusCode}
