"""Writes to a collection with row policies are checked and executed one after the other; others do not wait."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, presented
from tests.unit.gateway.row_access.collections import Type, column, documents, keys, owners, payload
from tests.unit.gateway.row_access.protected import forwarded, move_in, policy, protect, queued

from kiteward.audit.events import Outcome
from kiteward.authz.row_policies import RowAction
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import (
    AccessDenied,
    EngineDeadlineExceeded,
    EngineRejected,
    EngineUnavailable,
    InvalidArgument,
    PasswordRejected,
)
from kiteward.gateway.call import Call
from kiteward.gateway.operations import OPERATIONS, RowUse
from kiteward.milvus import messages

WRITES = sorted(name for name, row in OPERATIONS.items() if row.rows is RowUse.WRITTEN)


@pytest.fixture(autouse=True)
async def docs(harness: GatewayHarness, engine: FakeEngine) -> None:
    await move_in(harness, engine)
    engine.answers["DescribeCollection"] = documents().SerializeToString()
    stored(engine)
    for name in ("alice", "bob"):  # whose passwords are verified by now: in a test that would take some time
        await harness.call("GetVersion", by=name)


def stored(engine: FakeEngine, **rows: str) -> None:
    """Let queries find rows: `_KEY=OWNER`."""
    found = [keys(*(int(name[1:]) for name in rows)), owners(*rows.values())]
    engine.answers["Query"] = messages.QueryResults(fields_data=found).SerializeToString()


def insert(owner: str = "alice", *, key: int = 1) -> bytes:
    """Return an Insert of one row."""
    return payload(1, keys(key), owners(owner))


def request_of(rpc: str, owner: str = "alice") -> bytes:
    """Return a request of one row."""
    if rpc == "Delete":
        return bytes(messages.DeleteRequest(collection_name="docs", expr="level > 1").SerializeToString())
    return payload(1, keys(1), owners(owner), rpc=rpc)


def test_the_writes_are_these() -> None:
    assert WRITES == ["Delete", "Insert", "Upsert"]
    assert not any(OPERATIONS[name].shows_alias or OPERATIONS[name].response_ids for name in WRITES)


@pytest.mark.parametrize("rpc", WRITES)
async def test_a_write_that_is_allowed_is_forwarded(harness: GatewayHarness, engine: FakeEngine, rpc: str) -> None:
    request = request_of(rpc)
    await harness.succeed(rpc, by="alice", payload=request)
    (call,) = engine.called(rpc)
    assert call.metadata["dbname"] == "default"
    assert rpc == "Delete" or call.payload == request


@pytest.mark.parametrize("rpc", ["Insert", "Upsert"])
async def test_a_write_that_is_denied_reaches_no_engine_and_is_recorded(
    harness: GatewayHarness, engine: FakeEngine, rpc: str
) -> None:
    with pytest.raises(AccessDenied) as refused:
        await harness.call(rpc, by="alice", payload=request_of(rpc, "bob"))
    assert refused.value.code is ErrorCode.ROW_VIOLATES_POLICY
    assert not engine.called(rpc)
    event = harness.trail.events[-1]
    assert event.outcome is Outcome.REFUSED
    assert "row policies: row 0 violates `check_expr` of the row policy own" in event.reason


async def test_an_insert_over_a_foreign_row_reaches_no_engine(harness: GatewayHarness, engine: FakeEngine) -> None:
    stored(engine, _1="bob")
    with pytest.raises(AccessDenied) as refused:
        await harness.call("Insert", by="alice", payload=insert())
    assert refused.value.code is ErrorCode.ROW_NOT_REPLACEABLE
    assert not engine.called("Insert")


@pytest.mark.parametrize("by", ["root", "carol"])
@pytest.mark.parametrize("rpc", WRITES)
async def test_who_bypasses_the_policies_writes_without_a_check(
    harness: GatewayHarness, engine: FakeEngine, by: str, rpc: str
) -> None:
    request = request_of(rpc, "bob")
    engine.calls.clear()
    await harness.succeed(rpc, by=by, payload=request)
    (call,) = engine.called(rpc)
    assert call.payload == request
    assert not engine.called("Query")
    assert not engine.called("DescribeCollection")


class ChangingEngine(FakeEngine):
    """An engine during whose first query the policies change."""

    change: Callable[[], Awaitable[None]] | None = None

    async def call(self, method: str, payload: bytes, *, metadata: Any, timeout: float | None) -> bytes:
        """Change the policies, then answer."""
        if method == "Query" and self.change is not None:
            change, self.change = self.change, None
            await change()
        return await super().call(method, payload, metadata=metadata, timeout=timeout)


class TestChangesDuringTheCheck:
    """Policies, or the collection with the name, change between the check of a write and the write."""

    @pytest.fixture
    def engine(self) -> ChangingEngine:
        return ChangingEngine()

    @pytest.mark.parametrize("rpc", ["Insert", "Upsert"])
    async def test_the_write_is_checked_again(self, harness: GatewayHarness, engine: ChangingEngine, rpc: str) -> None:
        engine.change = lambda: protect(harness, policy(check_expr="owner == 'bob'"))
        with pytest.raises(AccessDenied):
            await harness.call(rpc, by="alice", payload=request_of(rpc))
        assert not engine.called(rpc)

    async def test_a_delete_is_narrowed_again(self, harness: GatewayHarness, engine: ChangingEngine) -> None:
        stored(engine, _1="alice")
        engine.change = lambda: protect(harness, policy(using="owner == 'bob'"))
        request = messages.DeleteRequest(collection_name="docs", expr="id in [1]").SerializeToString()
        await harness.succeed("Delete", by="alice", payload=request)
        assert forwarded(engine, "Delete").expr == "id in []"

    @pytest.mark.parametrize("rpc", ["Insert", "Upsert"])
    async def test_changes_elsewhere_do_not_repeat_it(
        self, harness: GatewayHarness, engine: ChangingEngine, rpc: str
    ) -> None:
        engine.change = lambda: protect(harness, policy(), collection="other")
        await harness.succeed(rpc, by="alice", payload=request_of(rpc))
        assert len(engine.called("Query")) == 1


async def test_where_policies_are_forced_nobody_bypasses_them(harness: GatewayHarness) -> None:
    await protect(harness, policy(), force=True)
    with pytest.raises(AccessDenied):
        await harness.call("Insert", by="root", payload=insert("alice"))


async def test_other_collections_are_written_as_they_were(harness: GatewayHarness, engine: FakeEngine) -> None:
    engine.calls.clear()
    request = messages.InsertRequest(collection_name="open", num_rows=1).SerializeToString()
    await harness.succeed("Insert", by="alice", payload=request)
    assert [call.method for call in engine.calls] == ["Insert"]
    assert engine.calls[0].payload == request


# Deletes


async def deleted(harness: GatewayHarness, engine: FakeEngine, expr: str, **fields: Any) -> Any:
    """Return the filter that is forwarded of a delete by alice."""
    await harness.succeed("Delete", by="alice", collection_name="docs", expr=expr, **fields)
    request = forwarded(engine, "Delete")
    assert request.consistency_level == messages.common_pb2.ConsistencyLevel.Strong
    assert not request.expr_template_values
    return request.expr


async def test_the_filter_of_a_delete_is_joined_with_the_policy(harness: GatewayHarness, engine: FakeEngine) -> None:
    found = await deleted(harness, engine, "level > 1 or level < 0")
    assert found == 'owner == "alice" and (level > 1 or level < 0)'


async def test_the_templates_of_a_delete_are_filled_in(harness: GatewayHarness, engine: FakeEngine) -> None:
    value = messages.schema_pb2.TemplateValue(int64_val=3)
    found = await deleted(harness, engine, "level > {least}", expr_template_values={"least": value})
    assert found == 'owner == "alice" and level > 3'


async def test_of_a_list_of_keys_those_of_allowed_rows_are_deleted(harness: GatewayHarness, engine: FakeEngine) -> None:
    stored(engine, _1="alice", _2="bob", _3="alice")
    assert await deleted(harness, engine, "id in [3, 2, 1, 3, 4]") == "id in [3, 1]"


async def test_without_a_policy_for_deletes_nothing_is_found(harness: GatewayHarness, engine: FakeEngine) -> None:
    await protect(harness, policy(actions=frozenset({RowAction.INSERT})))
    stored(engine, _1="alice")
    assert await deleted(harness, engine, "id in [1]") == "id in []"
    assert await deleted(harness, engine, "level > 1") == "id in [] and level > 1"


@pytest.mark.parametrize("expr", ["", "  "])
async def test_a_delete_without_a_filter_is_refused(harness: GatewayHarness, engine: FakeEngine, expr: str) -> None:
    with pytest.raises(InvalidArgument, match="ids or a filter"):
        await harness.call("Delete", by="alice", collection_name="docs", expr=expr)
    assert not engine.called("Delete")


@pytest.mark.parametrize("expr", ["level > 1) or (level > 0", 'owner == "', "level > {least}"])
async def test_a_delete_whose_filter_cannot_be_parsed_is_refused(
    harness: GatewayHarness, engine: FakeEngine, expr: str
) -> None:
    with pytest.raises(InvalidArgument):
        await harness.call("Delete", by="alice", collection_name="docs", expr=expr)
    assert not engine.called("Delete")


async def test_what_the_engine_says_of_a_delete_that_fails_is_not_shown(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    engine.answers["Delete"] = messages.failure(
        "Delete", code=1, legacy_code=messages.ErrorCode.UnexpectedError, reason="row 77 of bob"
    )
    failed = await harness.call("Delete", by="alice", payload=request_of("Delete"))
    assert failed.status.code == 1
    assert "bob" not in str(failed)
    engine.failures["Delete"] = EngineRejected("row 77 of bob")
    with pytest.raises(EngineRejected) as rejected:
        await harness.call("Delete", by="alice", payload=request_of("Delete"))
    assert "bob" not in str(rejected.value)


# One after the other


async def test_a_checked_write_waits_for_the_one_before_it(harness: GatewayHarness, engine: FakeEngine) -> None:
    gate = engine.hold("Upsert")
    first = asyncio.ensure_future(harness.call("Upsert", by="alice", payload=request_of("Upsert")))
    await engine.reached("Upsert")
    queries = len(engine.called("Query"))
    second = asyncio.ensure_future(harness.call("Insert", by="bob", payload=insert("bob")))
    await queued(harness, second)
    assert len(engine.called("Query")) == queries  # nothing of it has been checked
    stored(engine, _1="alice")
    gate.set()
    await first
    with pytest.raises(AccessDenied) as refused:
        await second
    assert refused.value.code is ErrorCode.ROW_NOT_REPLACEABLE


async def test_who_bypasses_the_policies_waits_for_a_write_that_is_being_checked(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    gate = engine.hold("Query")
    checked = asyncio.ensure_future(harness.call("Upsert", by="alice", payload=request_of("Upsert")))
    await engine.reached("Query")
    bypassing = asyncio.ensure_future(harness.call("Delete", by="root", payload=request_of("Delete")))
    await queued(harness, bypassing)
    assert not engine.called("Delete")
    gate.set()
    await asyncio.gather(checked, bypassing)
    assert [call.method for call in engine.calls[-2:]] == ["Upsert", "Delete"]


async def test_who_bypasses_the_policies_writes_beside_others_who_do(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    gate = engine.hold("Insert")
    first = asyncio.ensure_future(harness.call("Insert", by="root", payload=insert()))
    await engine.reached("Insert")
    await harness.succeed("Delete", by="carol", payload=request_of("Delete"))
    gate.set()
    await first


async def test_a_check_waits_for_a_write_of_who_bypasses_the_policies(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    gate = engine.hold("Delete")
    bypassing = asyncio.ensure_future(harness.call("Delete", by="root", payload=request_of("Delete")))
    await engine.reached("Delete")
    engine.calls.clear()
    checked = asyncio.ensure_future(harness.call("Insert", by="alice", payload=insert()))
    await queued(harness, checked)
    assert not engine.called("Query")
    gate.set()
    await asyncio.gather(checked, bypassing)


async def test_other_collections_do_not_wait(harness: GatewayHarness, engine: FakeEngine) -> None:
    gate = engine.hold("Query")
    checked = asyncio.ensure_future(harness.call("Insert", by="alice", payload=insert()))
    await engine.reached("Query")
    await harness.succeed("Insert", by="bob", collection_name="open")
    gate.set()
    await checked


async def test_a_write_that_has_waited_is_authorized_again(harness: GatewayHarness, engine: FakeEngine) -> None:
    gate = engine.hold("Query")
    first = asyncio.ensure_future(harness.call("Insert", by="alice", payload=insert()))
    await engine.reached("Query")
    second = asyncio.ensure_future(harness.call("Insert", by="bob", payload=insert("bob", key=2)))
    await queued(harness, second)
    await harness.succeed("DeleteCredential", username="bob")
    gate.set()
    await first
    with pytest.raises(PasswordRejected):
        await second
    assert len(engine.called("Insert")) == 1


async def test_a_write_that_has_waited_is_checked_by_the_policies_that_are_in_force_then(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    gate = engine.hold("Query")
    first = asyncio.ensure_future(harness.call("Insert", by="alice", payload=insert()))
    await engine.reached("Query")
    checked = asyncio.ensure_future(harness.call("Insert", by="bob", payload=insert("bob", key=2)))
    bypassing = asyncio.ensure_future(harness.call("Insert", by="carol", payload=insert("alice", key=3)))
    await queued(harness, checked, bypassing)
    await protect(harness, policy("other", "owner == 'nobody'"), force=True)
    gate.set()
    for each in (first, checked, bypassing):
        with pytest.raises(AccessDenied, match="of the row policy other"):
            await each


# Callers who leave


async def test_a_caller_who_leaves_during_the_check_has_written_nothing(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    gate = engine.hold("Query")
    task = asyncio.ensure_future(harness.call("Insert", by="alice", payload=insert()))
    await engine.reached("Query")
    task.cancel()
    await asyncio.wait([task])
    gate.set()
    await harness.gateway.drain()
    assert not engine.called("Insert")
    await harness.succeed("Insert", by="alice", payload=insert())


@pytest.mark.parametrize("by", ["alice", "root"])
async def test_a_write_whose_caller_leaves_is_completed_before_the_next_one_is_checked(
    harness: GatewayHarness, engine: FakeEngine, by: str
) -> None:
    gate = engine.hold("Upsert")
    task = asyncio.ensure_future(harness.call("Upsert", by=by, payload=request_of("Upsert")))
    await engine.reached("Upsert")
    task.cancel()
    await asyncio.wait([task])
    engine.calls.clear()
    checked = asyncio.ensure_future(harness.call("Insert", by="bob", payload=insert("bob")))
    await queued(harness, checked)
    assert not engine.called("Query")
    gate.set()
    await checked


async def test_a_deadline_ends_the_wait_of_the_caller_and_not_the_write(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    gate = engine.hold("Upsert")
    call = Call("Upsert", request_of("Upsert"), presented("alice"), timeout=0.05)
    with pytest.raises(EngineDeadlineExceeded):
        await harness.gateway.handle(call)
    assert (engine.called("Upsert")[0].timeout or 0) > 100
    checked = asyncio.ensure_future(harness.call("Insert", by="bob", payload=insert("bob")))
    await queued(harness, checked)
    assert not engine.called("Insert")
    gate.set()
    await checked


async def test_a_deadline_in_the_queue_ends_the_wait(harness: GatewayHarness, engine: FakeEngine) -> None:
    gate = engine.hold("Query")
    first = asyncio.ensure_future(harness.call("Insert", by="alice", payload=insert()))
    await engine.reached("Query")
    with pytest.raises(EngineDeadlineExceeded):
        await harness.gateway.handle(Call("Insert", insert("bob"), presented("bob"), timeout=0.05))
    gate.set()
    await first
    assert len(engine.called("Insert")) == 1


async def test_a_stopping_server_waits_for_a_write_whose_caller_is_gone(
    harness: GatewayHarness, engine: FakeEngine
) -> None:
    gate = engine.hold("Insert")
    task = asyncio.ensure_future(harness.call("Insert", by="alice", payload=insert()))
    await engine.reached("Insert")
    task.cancel()
    await asyncio.wait([task])
    drained = asyncio.ensure_future(harness.gateway.drain())
    await asyncio.sleep(0.01)
    assert not drained.done()
    gate.set()
    await drained


@pytest.mark.parametrize("method", ["Query", "Insert"])
async def test_a_write_that_fails_lets_the_next_one_pass(
    harness: GatewayHarness, engine: FakeEngine, method: str
) -> None:
    engine.failures[method] = EngineUnavailable("it is gone")
    with pytest.raises(EngineUnavailable):
        await harness.call("Insert", by="alice", payload=insert())
    del engine.failures[method]
    await harness.succeed("Insert", by="alice", payload=insert())


async def test_vectors_are_forwarded_as_they_came(harness: GatewayHarness, engine: FakeEngine) -> None:
    request = payload(1, keys(1), owners("alice"), column("vector", Type.FloatVector, [1]))
    await harness.succeed("Insert", by="alice", payload=request)
    assert engine.called("Insert")[0].payload == request
