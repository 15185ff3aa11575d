from collections.abc import Iterator

import pytest

from kiteward.api.grpc import status as grpc_status
from kiteward.api.rest.app import failed
from kiteward.api.rest.status import ROWS, failure_of
from kiteward.domain import errors
from kiteward.milvus import messages


def tree(kind: type[errors.KitewardError]) -> Iterator[type[errors.KitewardError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


def ours() -> list[type[errors.KitewardError]]:
    return [kind for kind in dict.fromkeys(tree(errors.KitewardError)) if kind.__module__ == errors.__name__]


def test_every_error_has_a_row() -> None:
    assert set(ROWS) == set(ours())


def test_an_error_without_a_row_is_served_by_its_nearest_ancestor() -> None:
    class Newer(errors.NotFound):
        pass

    assert failure_of(Newer("gone")).code == failure_of(errors.NotFound("gone")).code


@pytest.mark.parametrize("kind", ours())
def test_grpc_tells_the_same_code_and_sentence(kind: type[errors.KitewardError]) -> None:
    error = kind("so it is")
    over_grpc = grpc_status.failure_of("CreateRole", error)
    if isinstance(over_grpc, bytes):
        status = messages.Status.FromString(over_grpc)
        failure = failure_of(error)
        assert (failure.http, failure.code, failure.message) == (200, status.code, status.reason)
    else:
        assert isinstance(grpc_status.STATUSES[kind], grpc_status.GrpcStatus)


@pytest.mark.parametrize(
    ("kind", "http", "code", "message"),
    [
        (errors.PasswordRejected, 401, 1800, "user hasn't authenticated"),
        (errors.CredentialMissing, 401, 1800, "user hasn't authenticated"),
        (errors.AccessDenied, 403, 65535, "rpc error: code = PermissionDenied desc = so it is"),
        (errors.EngineDeadlineExceeded, 408, 10001, "request timeout"),
        (errors.EngineUnavailable, 200, 2, "service unavailable: so it is"),
        (errors.StoreUnavailable, 200, 2, "service unavailable: so it is"),
        (errors.NotReady, 200, 2, "service unavailable: so it is"),
        (errors.OperationRefused, 200, 10, "so it is: service unimplemented"),
        (errors.EngineLacksOperation, 200, 10, "so it is: service unimplemented"),
        (errors.EngineRejected, 200, 1100, "so it is: invalid parameter"),
        (errors.CollectionNotFound, 200, 100, "so it is"),
        (errors.ConfigurationError, 500, 500, "the request failed"),
    ],
)
def test_what_a_client_sees_of_an_error(kind: type[errors.KitewardError], http: int, code: int, message: str) -> None:
    failure = failure_of(kind("so it is"))
    assert (failure.http, failure.code, failure.message) == (http, code, message)


def test_only_a_defect_of_ours_is_a_server_error() -> None:
    server_errors = {kind for kind in ours() if failure_of(kind("x")).http >= 500}
    assert server_errors == {errors.KitewardError, errors.ConfigurationError}


def test_a_suffix_stands_once() -> None:
    assert failure_of(errors.InvalidArgument("no: invalid parameter")).message == "no: invalid parameter"


def test_a_response_that_reports_a_failure_keeps_its_code_and_reason() -> None:
    failure = failure_of(errors.ResponseFailed("because", status=700))
    assert (failure.http, failure.code, failure.message) == (200, 700, "because")


def test_a_limit_is_told_with_the_time_to_wait() -> None:
    failure = failure_of(errors.RequestsLimited("too many requests", retry_after=1.2))
    assert (failure.http, failure.code, failure.retry_after) == (429, 8, 1.2)
    assert failure.message == "too many requests: rate limit exceeded"
    assert failed(failure).headers["Retry-After"] == "2"
    assert "Connection" not in failed(failure).headers
    assert "Retry-After" not in failed(failure_of(errors.CapacityExceeded("full"))).headers
