"""The table from errors to what a client sees: complete, and nothing that SDKs would retry without an end."""

import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import kiteward
from kiteward.api.grpc.status import STATUSES, GrpcStatus, MilvusStatus, failure_of
from kiteward.domain import errors
from kiteward.domain.errors import KitewardError
from kiteward.engine.statuses import StatusCode
from kiteward.gateway.operations import OPERATIONS, Executor
from kiteward.milvus import messages

RETRIED = {
    StatusCode.UNAVAILABLE,
    StatusCode.INTERNAL,
    StatusCode.RESOURCE_EXHAUSTED,
    StatusCode.UNKNOWN,
}
"""What some SDK tries again, up to 75 times (contract 1.7)."""


def modules() -> Iterator[str]:
    """Name the modules of the product that can be imported."""
    for module in pkgutil.walk_packages(kiteward.__path__, "kiteward."):
        if not module.name.endswith(".__main__") and not module.name.startswith("kiteward.store.migrations."):
            yield module.name


def tree(kind: type[KitewardError] = KitewardError) -> Iterator[type[KitewardError]]:
    """Walk the error classes of the product."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.startswith("kiteward."):
            yield from tree(below)


ERRORS = sorted((kind for kind in set(tree()) if kind.__module__ == errors.__name__), key=lambda kind: kind.__name__)
REFUSALS = [kind for kind in ERRORS if issubclass(kind, errors.RequestRefused)]


def reported(operation: str, error: KitewardError) -> messages.Status:
    answer = failure_of(operation, error)
    assert isinstance(answer, bytes)
    response = messages.method_of(operation).response.FromString(answer)
    field = messages.method_of(operation).status_field
    status = getattr(response, field) if field else response
    assert isinstance(status, messages.Status)
    return status


def test_every_error_has_a_row_and_every_row_an_error() -> None:
    assert set(STATUSES) == set(ERRORS)


def test_errors_that_are_defined_elsewhere_are_those_of_commands() -> None:
    for module in modules():
        importlib.import_module(module)
    elsewhere = set(tree()) - set(ERRORS)
    assert {kind.__name__ for kind in elsewhere} == {"BackupInvalid", "BackupDamaged"}
    assert all(issubclass(kind, errors.ConfigurationError) for kind in elsewhere)


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if issubclass(kind, errors.AuthenticationError)])
def test_authentication_failures_are_unauthenticated(kind: type[KitewardError]) -> None:
    assert failure_of("Query", kind("why")) == GrpcStatus(StatusCode.UNAUTHENTICATED, text="why")


def test_denial_is_permission_denied_and_says_what_was_needed() -> None:
    assert failure_of("Query", errors.AccessDenied("why")) == GrpcStatus(StatusCode.PERMISSION_DENIED, text="why")


@pytest.mark.parametrize("kind", [errors.AccessDenied, errors.OperationUnknown, errors.PayloadMalformed])
def test_what_a_repetition_cannot_change_is_never_reported_as_if_it_could(kind: type[KitewardError]) -> None:
    row = STATUSES[kind]
    assert isinstance(row, GrpcStatus)
    assert row.code not in RETRIED


@pytest.mark.parametrize("kind", REFUSALS)
def test_everything_a_handler_decides_is_a_status_in_the_response(kind: type[KitewardError]) -> None:
    assert isinstance(STATUSES[kind], MilvusStatus)
    status = reported("CreateRole", kind("what is wrong"))
    assert status.code != 0
    assert status.error_code != 0
    assert status.reason.startswith("what is wrong")
    assert status.detail == status.reason
    assert not status.retriable
    expected = {} if kind is errors.LimitReached else {"is_input_error": "true"}
    assert dict(status.extra_info) == expected


CARRYING = {name for name, rpc in messages.METHODS.items() if rpc.status_field is not None and not rpc.streaming}


@pytest.mark.parametrize("operation", sorted(CARRYING))
def test_every_response_with_a_status_carries_a_refusal(operation: str) -> None:
    status = reported(operation, errors.InvalidGrant("what is wrong"))
    assert (status.code, status.error_code) == (1100, OPERATIONS[operation].failure_code)


@pytest.mark.parametrize("operation", sorted(messages.METHODS.keys() - CARRYING))
def test_stream_or_response_without_a_status_fails_by_grpc_and_is_not_retried(operation: str) -> None:
    answer = failure_of(operation, errors.InvalidArgument("what is wrong"))
    assert answer == GrpcStatus(StatusCode.INVALID_ARGUMENT, text="what is wrong: invalid parameter")


NOT_OFFERED = (errors.OperationRefused, errors.EngineLacksOperation)
BY_PROTOCOL = {"AlterCollectionSchema", "ClientHeartbeat"}
"""What Node looks for UNIMPLEMENTED of."""


@pytest.mark.parametrize("kind", NOT_OFFERED)
@pytest.mark.parametrize("operation", sorted(messages.METHODS))
def test_what_is_not_offered_is_never_reported_by_a_grpc_status_that_node_takes_for_success(
    kind: type[KitewardError], operation: str
) -> None:
    answer = failure_of(operation, kind("not here"))
    if operation in BY_PROTOCOL or operation not in CARRYING:
        expected = GrpcStatus(StatusCode.UNIMPLEMENTED, text="not here: service unimplemented")
        assert answer == expected
        return
    status = reported(operation, kind("not here"))
    assert (status.code, status.error_code) == (10, OPERATIONS[operation].failure_code)
    assert status.reason == "not here: service unimplemented"
    assert not status.retriable
    assert "is_input_error" not in status.extra_info


def test_name_of_the_code_is_appended_once() -> None:
    assert reported("CreateRole", errors.InvalidArgument("x")).reason == "x: invalid parameter"
    assert reported("CreateRole", errors.InvalidArgument("x: invalid parameter[1]")).reason == "x: invalid parameter[1]"


def test_errors_not_meant_for_clients_keep_their_text() -> None:
    for kind in (KitewardError, errors.ConfigurationError):
        answer = failure_of("Query", kind("/var/lib/kiteward/store.db is odd"))
        assert isinstance(answer, GrpcStatus)
        assert "store.db" not in answer.text
        assert answer.text


def test_class_without_a_row_is_reported_as_its_nearest_ancestor() -> None:
    class KeyExpired(errors.AuthenticationError):
        pass

    assert failure_of("Query", KeyExpired("why")) == GrpcStatus(StatusCode.UNAUTHENTICATED, text="why")


def test_status_of_an_engine_is_passed_on_and_one_that_grpc_does_not_have_is_unknown() -> None:
    of_engine = errors.EngineRejected("why", grpc_code=StatusCode.DATA_LOSS)
    assert failure_of("Query", of_engine) == GrpcStatus(StatusCode.DATA_LOSS, text="why")
    assert failure_of("Query", errors.EngineRejected("why", grpc_code=99)) == GrpcStatus(StatusCode.UNKNOWN, text="why")


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_legacy_codes_are_those_of_the_protocol(operation: str) -> None:
    row = OPERATIONS[operation]
    codes = [code.name for code in messages.ErrorCode.DESCRIPTOR.values]
    named = f"{operation}Failure" if f"{operation}Failure" in codes else "UnexpectedError"
    names = {
        **dict.fromkeys(("OperatePrivilegeV2", "RestoreRBAC"), "OperatePrivilegeFailure"),
        "BackupRBAC": "UnexpectedError",
    }
    expected = names.get(operation, named) if row.executor is Executor.HERE else "UnexpectedError"
    assert messages.ErrorCode.Name(row.failure_code) == expected


@pytest.mark.parametrize("client", ["grpc-python/1.76.0 grpc-c/51.0.0 (linux; chttp2)", "grpc-java-netty/1.59.1"])
def test_sdks_that_repeat_by_a_status_get_one_for_a_limit(client: str) -> None:
    error = errors.RequestsLimited("too many requests", retry_after=0.25)
    answer = failure_of("Search", error, client=client)
    assert isinstance(answer, bytes)
    status = messages.method_of("Search").response.FromString(answer).status  # type: ignore[attr-defined]
    assert (status.code, status.error_code) == (8, messages.ErrorCode.RateLimit)
    assert (status.reason, status.retriable) == ("too many requests", True)
    assert status.extra_info == {"retry_after_ms": "250"}


@pytest.mark.parametrize("client", ["grpc-go/1.65.0", "grpc-node-js/1.8.17", "grpcurl/1.9", ""])
def test_other_clients_get_resource_exhausted_for_a_limit_with_the_time_to_wait(client: str) -> None:
    error = errors.RequestsLimited("too many requests", retry_after=0.25)
    expected = GrpcStatus(StatusCode.RESOURCE_EXHAUSTED, text="too many requests", retry_after=0.25)
    assert failure_of("Search", error, client=client) == expected
