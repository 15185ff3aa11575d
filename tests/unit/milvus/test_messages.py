"""The protocol's descriptors, read the way Kiteward needs them."""

import pytest
from pymilvus.grpc_gen import common_pb2, milvus_pb2

from kiteward.domain.errors import EngineResponseUnreadable, OperationUnknown, PayloadMalformed
from kiteward.milvus.messages import (
    METHODS,
    SERVICE,
    TELEMETRY_SERVICE,
    CreateCredentialRequest,
    ErrorCode,
    SearchRequest,
    SearchResults,
    Status,
    annotation,
    decode,
    failure,
    method_of,
    status_code,
    success,
)

WITHOUT_STATUS = {"CreateReplicateStream", "Dummy", "GetReplicateInfo"}


def test_every_rpc_of_both_services_is_there() -> None:
    services = milvus_pb2.DESCRIPTOR.services_by_name
    declared = [(SERVICE, services["MilvusService"]), (TELEMETRY_SERVICE, services["ClientTelemetryService"])]
    assert {(method.service, method.name) for method in METHODS.values()} == {
        (name, rpc.name) for name, service in declared for rpc in service.methods
    }
    assert len(METHODS) == sum(len(service.methods) for _, service in declared)


def test_method_knows_its_messages_and_path() -> None:
    search = METHODS["Search"]
    assert (search.request, search.response, search.streaming) == (SearchRequest, SearchResults, False)
    assert search.path == "/milvus.proto.milvus.MilvusService/Search"
    assert METHODS["ClientHeartbeat"].path == "/milvus.proto.milvus.ClientTelemetryService/ClientHeartbeat"


def test_streams_are_known_as_such() -> None:
    streams = {method.name for method in METHODS.values() if method.streaming}
    assert streams == {"CreateReplicateStream", "DumpMessages"}


def test_unknown_rpc_is_refused() -> None:
    for ask in (method_of, annotation, success, lambda name: decode(name, b""), lambda name: status_code(name, b"")):
        with pytest.raises(OperationUnknown):
            ask("NoSuchRpc")
    with pytest.raises(OperationUnknown):
        failure("NoSuchRpc", code=1, legacy_code=ErrorCode.UnexpectedError, reason="")


def test_decode_returns_the_request() -> None:
    request = CreateCredentialRequest(username="alice", password="c2VjcmV0")
    assert decode("CreateCredential", request.SerializeToString()) == request


@pytest.mark.parametrize("payload", [b"\x12", b"\x12\x05ab", b"\x12\x01\xff", b"\x00\x00"])
def test_decode_refuses_what_is_not_the_request(payload: bytes) -> None:
    with pytest.raises(PayloadMalformed, match="CreateCredentialRequest") as refusal:
        decode("CreateCredential", payload)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("method", sorted(METHODS))
def test_success_is_a_response_whose_status_is_there_and_empty(method: str) -> None:
    response = METHODS[method].response.FromString(success(method))
    assert [value for _, value in response.ListFields()] == ([Status()] if METHODS[method].status_field else [])
    assert status_code(method, success(method)) == 0


@pytest.mark.parametrize("method", sorted(METHODS.keys() - WITHOUT_STATUS))
def test_failure_is_a_response_that_carries_the_status(method: str) -> None:
    encoded = failure(
        method,
        code=1100,
        legacy_code=ErrorCode.IllegalArgument,
        reason="no: `x`",
        retriable=True,
        extra_info={"is_input_error": "true"},
    )
    response = METHODS[method].response.FromString(encoded)
    statuses = [response] if METHODS[method].response is Status else [value for _, value in response.ListFields()]
    assert statuses == [
        Status(
            code=1100,
            error_code=ErrorCode.IllegalArgument,
            reason="no: `x`",
            detail="no: `x`",
            retriable=True,
            extra_info={"is_input_error": "true"},
        )
    ]
    assert status_code(method, encoded) == 1100


@pytest.mark.parametrize("method", sorted(WITHOUT_STATUS))
def test_failure_of_an_rpc_without_status_is_left_to_grpc(method: str) -> None:
    with pytest.raises(ValueError, match="no status"):
        failure(method, code=1100, legacy_code=ErrorCode.IllegalArgument, reason="no")
    assert METHODS[method].status_field is None
    assert status_code(method, b"") == 0


def test_failure_without_a_code_is_refused() -> None:
    with pytest.raises(ValueError, match="code"):
        failure("Search", code=0, legacy_code=ErrorCode.Success, reason="no")


def test_legacy_code_alone_is_a_failure_too() -> None:
    assert (
        status_code("CreateRole", failure("CreateRole", code=0, legacy_code=ErrorCode.CreateRoleFailure, reason="no"))
        == 35
    )
    assert status_code("Search", failure("Search", code=0, legacy_code=ErrorCode.UnexpectedError, reason="no")) == 1


def test_status_code_of_success_is_0() -> None:
    assert status_code("Search", b"") == 0
    assert status_code("Search", SearchResults(status=Status(), collection_name="docs").SerializeToString()) == 0
    assert status_code("CreateRole", b"") == 0


def test_status_code_is_found_wherever_the_status_lies() -> None:
    status = Status(code=65535, error_code=ErrorCode.UnexpectedError)
    behind = (
        SearchResults(collection_name="docs").SerializeToString() + SearchResults(status=status).SerializeToString()
    )
    assert status_code("Search", behind) == 65535
    states = milvus_pb2.ComponentStates(status=status)
    assert status_code("GetComponentStates", states.SerializeToString()) == 65535
    schema = milvus_pb2.AlterCollectionSchemaResponse(alter_status=status)
    assert status_code("AlterCollectionSchema", schema.SerializeToString()) == 65535


def test_status_code_is_found_in_a_oneof() -> None:
    dumped = milvus_pb2.DumpMessagesResponse(status=Status(code=100))
    assert status_code("DumpMessages", dumped.SerializeToString()) == 100


def test_status_code_of_what_is_not_a_message_is_refused() -> None:
    with pytest.raises(EngineResponseUnreadable):
        status_code("Search", b"\x0a\x05")


def test_annotation_says_what_a_request_needs() -> None:
    assert annotation("Search") == ("Collection", "Search", 3, 0)
    assert annotation("Flush") == ("Collection", "Flush", 0, 3)
    assert annotation("CreateCredential") == ("Global", "CreateOwnership", -1, 0)
    assert annotation("SelectUser") == ("User", "SelectUser", 2, 0)
    assert annotation("HasCollection") is None


def test_every_annotation_names_a_privilege_of_the_protocol() -> None:
    annotated = [note for name in METHODS if (note := annotation(name)) is not None]
    assert len(annotated) > 90
    for note in annotated:
        assert common_pb2.ObjectPrivilege.Value(f"Privilege{note.privilege}") > 0
        assert common_pb2.ObjectType.Value(note.object_type) >= 0
