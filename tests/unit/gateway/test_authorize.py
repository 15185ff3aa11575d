"""The funnel: what it proves, that nobody else can prove it, and in which order it goes."""

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, encoded, least_arguments, presented
from tests.support.python_sources import syntax_tree

import kiteward
from kiteward.authn.authenticator import Authenticator
from kiteward.domain.errors import (
    AccessDenied,
    AuthenticationError,
    CredentialMissing,
    NotReady,
    OperationRefused,
    OperationUnknown,
)
from kiteward.domain.identity import Principal
from kiteward.gateway.authorize import AuthorizedRequest, Authorizer
from kiteward.gateway.call import Call, rpc_call
from kiteward.gateway.gateway import hidden_response
from kiteward.gateway.operations import OPERATIONS, Operation
from kiteward.gateway.recording import Recording
from kiteward.gateway.rows import row_named
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import AdminOperation, Arguments
from kiteward.milvus import messages

SOURCES: Final = Path(kiteward.__file__).parent


@pytest.fixture
async def peopled(harness: GatewayHarness, engine: FakeEngine) -> GatewayHarness:
    """Alice may query `docs`."""
    engine.create("docs", "secrets")
    await harness.role("reader", ("Query", "default", "docs"))
    await harness.user("alice", "reader")
    return harness


def recording(operation: str, by: Any = "alice", payload: bytes | Arguments | None = None, **fields: Any) -> Recording:
    if payload is None and operation in ADMIN_OPERATIONS:
        payload = least_arguments(operation)
    elif payload is None:
        payload = messages.METHODS[operation].request(**fields).SerializeToString()
    return Recording(Call(operation, payload, presented(by) if isinstance(by, str) else by), row_named(operation))


def authorizer_of(harness: GatewayHarness) -> Authorizer:
    return harness.gateway._authorizer


# The proof


async def test_request_that_is_allowed_is_proven_with_what_it_was_allowed_by(peopled: GatewayHarness) -> None:
    asked = recording("Query", collection_name="docs")
    request = await authorizer_of(peopled).authorize(asked)
    assert request.operation is request.row is OPERATIONS["Query"]
    assert request.call is asked.call
    assert request.principal is asked.principal
    assert request.principal.user_name == "alice"
    assert request.resolved is asked.resolved
    assert request.resolved.collections == ("docs",)
    assert request.snapshot is peopled.policy_cache.current()
    assert asked.decision is not None
    assert asked.decision.allowed


async def test_proof_cannot_be_made_changed_or_copied_with_changes(peopled: GatewayHarness) -> None:
    request = await authorizer_of(peopled).authorize(recording("Query", collection_name="docs"))
    for proof in (None, object(), True, request):
        with pytest.raises(TypeError, match=r"made by Authorizer\.authorize alone"):
            AuthorizedRequest(proof, *request)
    with pytest.raises(TypeError):
        request._replace(principal=request.principal)
    with pytest.raises(TypeError):
        AuthorizedRequest._make(tuple(request))
    for name in ("principal", "row", "anything"):
        with pytest.raises(AttributeError):
            setattr(request, name, None)


async def test_password_in_a_request_is_in_no_representation_of_it(peopled: GatewayHarness) -> None:
    fields: dict[str, Any] = {"username": "carol", "password": encoded("Long-enough-1")}
    request = await authorizer_of(peopled).authorize(recording("CreateCredential", "root", **fields))
    assert encoded("Long-enough-1").encode() in rpc_call(request.call).payload
    for shown in (request, request.call, request.resolved, request.resolved.fields):
        assert encoded("Long-enough-1") not in repr(shown)


async def test_proof_for_one_kind_of_operation_is_none_for_the_other(peopled: GatewayHarness) -> None:
    rpc = await authorizer_of(peopled).authorize(recording("Query", collection_name="docs"))
    ours = await authorizer_of(peopled).authorize(recording("WhoAmI"))
    assert isinstance(rpc.row, Operation)
    assert isinstance(ours.row, AdminOperation)
    assert ours.admin_operation is ours.row
    with pytest.raises(TypeError, match="Query is an RPC"):
        _ = rpc.admin_operation
    with pytest.raises(TypeError, match="WhoAmI is no RPC"):
        _ = ours.operation


def calls(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the module of each call and the name that is called, without what it is an attribute of."""
    for node in ast.walk(syntax_tree(path.read_text())):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield path.relative_to(SOURCES).as_posix(), name
                case _:
                    pass


def test_authentication_resolution_and_proof_are_in_one_place() -> None:
    """Of all modules behind the APIs, one authenticates and resolves; besides it, the decorator that measures that."""
    found = [call for path in sorted((SOURCES / "gateway").rglob("*.py")) for call in calls(path)]
    assert {path for path, name in found if name == "resolve_request"} == {"gateway/authorize.py"}
    assert {path for path, name in found if name == "AuthorizedRequest"} == {"gateway/authorize.py"}
    authenticating = {path for path, name in found if name == "authenticate"}
    assert authenticating == {"gateway/authorize.py", "gateway/gateway.py", "gateway/instrumentation.py"}
    # `Gateway.admit` has the authorizer authenticate, and nothing else.
    assert [path for path, name in found if name == "authenticate"].count("gateway/gateway.py") == 1


# The order


async def test_denied_request_has_no_proof_and_the_decision_is_reported(peopled: GatewayHarness) -> None:
    telemetry = peopled.gateway.telemetry
    before = dict(telemetry.decisions)
    asked = recording("Query", collection_name="secrets")
    with pytest.raises(AccessDenied):
        await authorizer_of(peopled).authorize(asked)
    assert asked.decision is not None
    assert not asked.decision.allowed
    with pytest.raises(AccessDenied):
        await authorizer_of(peopled).authorize(recording("ListUserAccounts"))
    await authorizer_of(peopled).authorize(recording("WhoAmI"))
    assert dict(telemetry.decisions) == {"allowed": before["allowed"] + 1, "refused": before["refused"] + 2}


async def test_nothing_is_resolved_or_decided_of_who_is_not_authenticated(peopled: GatewayHarness) -> None:
    for operation in (*OPERATIONS, *ADMIN_OPERATIONS):
        asked = recording(operation, CredentialMissing("nothing"), payload=b"\xff")
        with pytest.raises(AuthenticationError):
            await authorizer_of(peopled).authorize(asked)
        assert (asked.principal, asked.resolved, asked.decision) == (None, None, None)


async def test_closed_operation_is_refused_before_its_request_is_read(peopled: GatewayHarness) -> None:
    for name in (name for name, row in OPERATIONS.items() if row.closed):
        with pytest.raises(OperationRefused):
            await authorizer_of(peopled).authorize(recording(name, "root", payload=b"\xff"))


async def test_operation_without_a_row_is_never_authorized(peopled: GatewayHarness) -> None:
    with pytest.raises(OperationUnknown):
        await authorizer_of(peopled).authorize(recording("DropEverything", "root", payload=b""))


async def test_proof_is_of_the_policy_as_it_is_at_each_call(peopled: GatewayHarness) -> None:
    asked = recording("Query", collection_name="docs")
    await authorizer_of(peopled).authorize(asked)
    await peopled.revoke("reader", "Query", "default", "docs")
    with pytest.raises(AccessDenied):
        await authorizer_of(peopled).authorize(asked)


async def test_decision_that_is_made_again_waits_for_no_policy(peopled: GatewayHarness) -> None:
    """It is made inside the writer's place, where loading the policy would wait for itself."""
    peopled.policy_cache._current = None
    with pytest.raises(NotReady):
        await authorizer_of(peopled).authorize(recording("Query", collection_name="docs"), again=True)
    await authorizer_of(peopled).authorize(recording("Query", collection_name="docs"))
    assert peopled.policy_cache._current is not None


async def test_decision_is_made_by_what_is_current_when_the_caller_is_authenticated(
    peopled: GatewayHarness, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verifying a password takes long: the policy and the aliases may change meanwhile."""
    engine.databases["default"].aliases["latest"] = "docs"
    await peopled.catalog.refresh()
    authenticate = Authenticator.authenticate
    slow = [True]

    async def authenticate_slowly(self: Authenticator, *args: Any, **options: Any) -> Principal:
        principal = await authenticate(self, *args, **options)
        if slow:
            slow.clear()
            engine.databases["default"].aliases["latest"] = "secrets"
            engine.restart()
            peopled.policy_cache._current = None
        return principal

    monkeypatch.setattr(Authenticator, "authenticate", authenticate_slowly)
    with pytest.raises(AccessDenied):
        await peopled.gateway.handle(rpc_call(recording("Query", collection_name="latest").call))
    assert "Query" not in [call.method for call in engine.calls]


async def test_caller_who_is_deleted_while_the_catalog_is_loaded_is_not_authorized(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    engine.restart()
    gate = engine.hold("ListDatabases")
    asked = asyncio.create_task(authorizer_of(peopled).authorize(recording("Query", collection_name="docs")))
    await engine.reached("ListDatabases")
    await peopled.succeed("DeleteCredential", username="alice")
    gate.set()
    with pytest.raises(AuthenticationError):
        await asked


async def test_unauthenticated_caller_makes_the_server_load_nothing(
    peopled: GatewayHarness, engine: FakeEngine
) -> None:
    engine.restart()
    engine.calls.clear()
    peopled.policy_cache._current = None
    with pytest.raises(AuthenticationError):
        await authorizer_of(peopled).authorize(recording("Query", presented("alice", "wrong"), collection_name="docs"))
    assert engine.calls == []
    assert peopled.policy_cache._current is None


async def test_closed_operation_makes_the_server_load_nothing(peopled: GatewayHarness) -> None:
    peopled.policy_cache._current = None
    with pytest.raises(OperationRefused):
        await authorizer_of(peopled).authorize(recording("CalcDistance", "root"))
    assert peopled.policy_cache._current is None


async def test_hidden_response_is_given_for_a_denied_request_alone(peopled: GatewayHarness) -> None:
    denied = recording("HasCollection", collection_name="secrets")
    assert hidden_response(denied) is None
    with pytest.raises(AccessDenied):
        await authorizer_of(peopled).authorize(denied)
    assert hidden_response(denied) is not None
    allowed = recording("HasCollection", collection_name="docs")
    await authorizer_of(peopled).authorize(allowed)
    assert hidden_response(allowed) is None
    openly = recording("Query", collection_name="secrets")
    with pytest.raises(AccessDenied):
        await authorizer_of(peopled).authorize(openly)
    assert hidden_response(openly) is None
