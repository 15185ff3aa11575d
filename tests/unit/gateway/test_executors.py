"""No executor runs anything without the proof that it is authorized."""

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast, get_type_hints

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, presented

from kiteward.audit.events import Outcome
from kiteward.domain.errors import EngineResponseUnreadable
from kiteward.gateway import executors
from kiteward.gateway.authorize import AuthorizedRequest
from kiteward.gateway.call import Call
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.object_ids import Owner
from kiteward.gateway.operations import OPERATIONS, Executor
from kiteward.gateway.recording import Recording
from kiteward.gateway.rows import row_named
from kiteward.iam import milvus_rpc
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.milvus_rpc.base import Request
from kiteward.milvus import messages

CLASSES = [
    each
    for _, each in inspect.getmembers(executors, inspect.isclass)
    if each.__module__ == executors.__name__ and hasattr(each, "run")
] + [DdlExecutor]


def recording(operation: str, payload: bytes | Arguments = b"", **fields: Any) -> Recording:
    payload = payload or messages.METHODS[operation].request(**fields).SerializeToString()
    return Recording(Call(operation, payload, presented("root")), row_named(operation))


def every_executor(harness: GatewayHarness) -> list[Any]:
    return [*harness.gateway._executors.values(), harness.gateway._admin_executor]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_executor_takes_an_authorized_request_first(kind: type) -> None:
    run = kind.run  # type: ignore[attr-defined]  # each has it
    first = list(inspect.signature(run).parameters)[1]
    assert get_type_hints(run)[first] is AuthorizedRequest


def test_every_row_that_is_offered_has_an_executor(harness: GatewayHarness) -> None:
    used = {row.executor for row in OPERATIONS.values() if row.executor is not Executor.NOBODY}
    assert harness.gateway._executors.keys() == used
    tested = {type(each) for each in every_executor(harness)} | {DdlExecutor, executors.RequestExecutor}
    assert set(CLASSES) == tested


async def test_what_only_looks_authorized_is_not_executed(harness: GatewayHarness, engine: FakeEngine) -> None:
    before = await harness.state()
    engine.calls.clear()
    for operation, fields in (
        ("Query", {"collection_name": "docs"}),
        ("DropCollection", {"collection_name": "docs"}),
        ("CreateRole", {"entity": {"name": "made"}}),
    ):
        asked = recording(operation, **fields)
        request = await harness.gateway._authorizer.authorize(asked)
        forged: Any = SimpleNamespace(**request._asdict(), operation=request.row, admin_operation=request.row)
        for executor in every_executor(harness):
            with pytest.raises(TypeError, match="only an AuthorizedRequest is executed"):
                await executor.run(forged, asked)

        async def again(forged: Any = forged) -> Any:
            return forged

        with pytest.raises(TypeError, match="only an AuthorizedRequest is executed"):
            await harness.ddl.run(forged, again)
        with pytest.raises(TypeError, match="only an AuthorizedRequest is executed"):
            await harness.ddl.run(request, again)
    assert {call.method for call in engine.calls} <= {"ListDatabases", "ListAliases"}
    assert await harness.state() == before


async def test_executor_of_another_kind_refuses_a_request(harness: GatewayHarness, engine: FakeEngine) -> None:
    rpc = recording("Query", collection_name="docs")
    ours = recording("WhoAmI", Arguments())
    query = await harness.gateway._authorizer.authorize(rpc)
    whoami = await harness.gateway._authorizer.authorize(ours)
    engine.calls.clear()
    for executor, request, asked in (
        (harness.gateway._admin_executor, query, rpc),
        (harness.gateway._executors[Executor.HERE], query, rpc),
        (harness.gateway._executors[Executor.ENGINE], whoami, ours),
        (harness.gateway._executors[Executor.HERE], whoami, ours),
    ):
        with pytest.raises(TypeError):
            await executor.run(request, asked)
    assert engine.calls == []


@pytest.mark.parametrize(
    ("operation", "fields"), [("CreateRole", {"entity": {"name": "made"}}), ("SelectRole", {"role": {"name": "admin"}})]
)
async def test_request_of_an_identity_rpc_is_decoded_once(
    harness: GatewayHarness, monkeypatch: pytest.MonkeyPatch, operation: str, fields: dict[str, Any]
) -> None:
    decoded = []
    decode = messages.decode

    def counted(method: str, payload: bytes) -> Any:
        decoded.append(method)
        return decode(method, payload)

    monkeypatch.setattr(messages, "decode", counted)
    await harness.succeed(operation, **fields)
    assert decoded == [operation]


def test_no_handler_of_an_rpc_decodes_its_request_again() -> None:
    for path in Path(milvus_rpc.__file__).parent.glob("*.py"):
        assert "FromString" not in path.read_text("utf-8"), path.name


def test_handler_reads_no_message_of_another_rpc() -> None:
    message = messages.CreateRoleRequest()
    request = Request(Call("CreateRole", b"", presented("root")), message, *(cast("Any", None),) * 5)
    assert request.read(messages.CreateRoleRequest) is message
    with pytest.raises(TypeError, match="CreateRole is no DropRoleRequest"):
        request.read(messages.DropRoleRequest)


async def test_ids_in_a_failed_response_are_not_kept(harness: GatewayHarness, engine: FakeEngine) -> None:
    engine.create("docs")
    for number, status in ((1, {"code": 100}), (2, {})):
        response = messages.method_of("ManualCompaction").response(status=status, compactionID=number)
        engine.answers["ManualCompaction"] = response.SerializeToString()
        await harness.call("ManualCompaction", collection_name="docs")
    ids = harness.catalog.ids
    assert (ids.owner("compactionID", 1), ids.owner("compactionID", 2)) == (None, Owner("default", "docs"))


@pytest.mark.parametrize("by", ["root", "alice"])
@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("Search", {"collection_name": "docs"}),
        ("Insert", {"collection_name": "docs"}),
        ("ShowCollections", {}),
        ("ManualCompaction", {"collection_name": "docs"}),
        ("CreateAlias", {"collection_name": "docs", "alias": "papers"}),
    ],
)
async def test_unreadable_response_is_the_engines_failure_and_is_recorded_as_one(
    harness: GatewayHarness, engine: FakeEngine, operation: str, fields: dict[str, Any], by: str
) -> None:
    engine.create("docs")
    await harness.role("all", ("CollectionAdmin", "default", "*"))
    await harness.user("alice", "all")
    engine.answers[operation] = b"\x0a\xff"  # a field that crosses the end of its message
    with pytest.raises(EngineResponseUnreadable, match="response"):
        await harness.call(operation, by=by, **fields)
    event = harness.trail.events[-1]
    assert (event.operation, event.outcome, event.error) == (operation, Outcome.FAILED, "EngineResponseUnreadable")
