"""The in-process client: what it sends, what it makes of answers, and that nothing else makes a `Call`."""

import ast
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.gateway import GatewayHarness, opened, quick_directory
from tests.support.python_sources import syntax_tree

import kiteward
from kiteward.domain.errors import (
    AccessDenied,
    CollectionNotFound,
    EngineResponseUnreadable,
    InvalidArgument,
    KitewardError,
    OperationUnknown,
    ResponseFailed,
)
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.gateway.call import Call
from kiteward.gateway.client import GatewayClient
from kiteward.gateway.gateway import Gateway
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.accounts import Account, Accounts, Named, NewAccount, PerhapsNamed
from kiteward.iam.json_api.base import Done, Outcome
from kiteward.milvus import messages

SOURCE = Path(kiteward.__file__).parent
ROOT = PasswordCredential("root", Secret("Milvus"))


class Answering:
    """A gateway that keeps the calls it gets and gives each the same answer."""

    def __init__(self, answer: bytes | Outcome = b"") -> None:
        self.calls: list[Call[Any]] = []
        self.answer = answer

    async def handle(self, call: Call[Any]) -> Any:
        self.calls.append(call)
        return self.answer


def client_of(gateway: Answering, **facts: Any) -> GatewayClient:
    return GatewayClient(cast("Gateway", gateway), ROOT, transport="rest", **facts)


def made_by_hand(source: str) -> bool:
    """Return whether a module makes requests: it calls `Call` and does not have that name from the filter language."""
    nodes = list(ast.walk(syntax_tree(source)))
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Call" for node in nodes
    ) and not any(
        isinstance(node, ast.ImportFrom)
        and str(node.module).startswith("kiteward.filters")
        and any(alias.name == "Call" for alias in node.names)
        for node in nodes
    )


def test_only_the_client_and_the_grpc_service_make_calls() -> None:
    makers = {
        path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if made_by_hand(path.read_text("utf-8"))
    }
    assert makers == {"gateway/client.py", "api/grpc/service.py"}


async def test_response_that_cannot_be_read_is_an_error_of_the_engine() -> None:
    with pytest.raises(EngineResponseUnreadable):
        await client_of(Answering(b"\x12\x02\xff\xfe")).call(messages.ListAliasesRequest())


def test_every_rpc_has_a_request_type_of_its_own() -> None:
    assert {messages.rpc_of(rpc.request).name for rpc in messages.METHODS.values()} == set(messages.METHODS)


async def test_a_call_carries_what_is_known_of_the_caller() -> None:
    gateway = Answering()
    facts = {"address": "192.0.2.1:5", "request_id": "ab", "user_agent": "browser", "forward": {"traceparent": "00"}}
    await client_of(gateway, database="sales", **facts).call(messages.DropRoleRequest(role_name="reader"))
    [call] = gateway.calls
    assert (call.operation, call.payload) == (
        "DropRole",
        messages.DropRoleRequest(role_name="reader").SerializeToString(),
    )
    assert (call.credential, call.transport, call.database, call.timeout) == (ROOT, "rest", "sales", None)
    assert (call.address, call.request_id, call.client, call.forward) == tuple(facts.values())


async def test_calls_without_a_request_id_get_one_each() -> None:
    gateway = Answering()
    client = client_of(gateway)
    await client.call(messages.DropRoleRequest())
    await client.call(messages.DropRoleRequest())
    assert len({call.request_id for call in gateway.calls}) == 2


async def test_the_timeout_is_what_is_left_until_the_deadline_and_never_nothing() -> None:
    gateway, now = Answering(), asyncio.get_running_loop().time()
    await client_of(gateway, deadline=now + 10).call(messages.DropRoleRequest())
    await client_of(gateway, deadline=now - 10).call(messages.DropRoleRequest())
    before, after = (call.timeout for call in gateway.calls)
    assert before is not None
    assert 9 < before <= 10
    assert after == 0.001


async def test_another_credential_is_forwarded_with_the_same_facts() -> None:
    gateway, alice = Answering(), PasswordCredential("alice", Secret("x"))
    await client_of(gateway, request_id="ab").with_credential(alice).call(messages.DropRoleRequest())
    assert (gateway.calls[0].credential, gateway.calls[0].request_id) == (alice, "ab")


async def test_our_own_operations_are_about_no_database() -> None:
    gateway, named = Answering(Done()), Named(user_name="ann")
    assert await client_of(gateway, database="sales").invoke("DeleteUserAccount", named, Done) is gateway.answer
    [call] = gateway.calls
    assert (call.operation, call.database) == ("DeleteUserAccount", "")
    assert call.payload is named


@pytest.mark.parametrize(("code", "error_code", "status"), [(1100, 5, 1100), (0, 35, 65535), (700, 0, 700)])
async def test_a_response_is_a_failure_by_either_code(
    code: int, error_code: messages.ErrorCode.ValueType, status: int
) -> None:
    gateway = Answering(messages.Status(code=code, error_code=error_code, reason="because").SerializeToString())
    with pytest.raises(ResponseFailed, match="because") as caught:
        await client_of(gateway).call(messages.DropRoleRequest())
    assert caught.value.status == status


async def test_a_collection_that_is_not_there_is_an_error_of_its_own() -> None:
    response = messages.DescribeCollectionResponse(status=messages.Status(code=100, reason="no docs"))
    gateway = Answering(response.SerializeToString())
    with pytest.raises(CollectionNotFound, match="no docs"):
        await client_of(gateway).call(messages.DescribeCollectionRequest(collection_name="docs"))


async def test_a_response_without_codes_is_returned() -> None:
    gateway = Answering(messages.SelectRoleResponse(results=[messages.RoleResult()]).SerializeToString())
    response = await client_of(gateway).call(messages.SelectRoleRequest(), messages.SelectRoleResponse)
    assert len(response.results) == 1


async def test_types_that_do_not_belong_to_the_operation_are_refused_before_anything_is_sent() -> None:
    gateway = Answering(Accounts(users=[], next=""))
    client = client_of(gateway)
    with pytest.raises(TypeError):
        await client.call(messages.DropRoleRequest(), messages.SelectRoleResponse)
    with pytest.raises(TypeError):
        await client.invoke("ListUserAccounts", Named(user_name="root"), Accounts)
    with pytest.raises(TypeError):
        await client.invoke("ListUserAccounts", ADMIN_OPERATIONS["ListUserAccounts"].arguments(), Account)
    assert not gateway.calls


async def test_outcome_of_another_type_is_a_defect() -> None:
    client = client_of(Answering(Accounts(users=[], next="")))
    with pytest.raises(TypeError, match="DeleteUserAccount returned Accounts"):
        await client.invoke("DeleteUserAccount", Named(user_name="ann"), Done)


@pytest.fixture
async def harness() -> AsyncIterator[GatewayHarness]:
    with quick_directory() as directory:
        async with opened(directory / "store.db") as harness:
            yield harness


async def test_an_operation_of_ours_takes_typed_arguments_and_returns_its_outcome(harness: GatewayHarness) -> None:
    client = GatewayClient(harness.gateway, ROOT, transport="rest")
    account = await client.invoke("DescribeUserAccount", PerhapsNamed(user_name="root"), Account)
    assert account.user_name == "root"


async def test_required_argument_that_is_empty_is_refused_by_its_name(harness: GatewayHarness) -> None:
    client = GatewayClient(harness.gateway, ROOT, transport="console")
    with pytest.raises(InvalidArgument, match="`userName` is empty") as caught:
        await client.invoke("DeleteUserAccount", Named(user_name=""), Done)
    assert caught.value.field == "userName"


async def test_no_operation_takes_the_payload_of_another_kind(harness: GatewayHarness) -> None:
    before = await harness.state()
    mismatched: list[tuple[str, Any]] = [
        *((name, b"{}") for name in ADMIN_OPERATIONS),
        *((name, Named(user_name="root")) for name in messages.METHODS),
        ("DeleteUserAccount", PerhapsNamed(user_name="root")),
    ]
    for operation, payload in mismatched:
        with pytest.raises(OperationUnknown):
            await harness.gateway.handle(Call(operation, payload, ROOT))
    assert await harness.state() == before


async def test_password_in_typed_arguments_is_in_no_representation_of_the_call() -> None:
    call = Call("CreateUserAccount", NewAccount(user_name="bob", password=Secret("Password-9")), ROOT)
    for shown in (repr(call), repr(call.payload)):
        assert "Password-9" not in shown


async def test_errors_of_the_gateway_arrive_as_they_are(harness: GatewayHarness) -> None:
    await harness.user("alice")
    client = GatewayClient(harness.gateway, PasswordCredential("alice", Secret("wrong")), transport="rest")
    with pytest.raises(KitewardError) as caught:
        await client.call(messages.SelectRoleRequest())
    assert not isinstance(caught.value, AccessDenied)
    with pytest.raises(type(caught.value)):
        await client.admit()
