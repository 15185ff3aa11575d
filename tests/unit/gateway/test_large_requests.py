"""Large messages: who may send one, and what share of the event loop one user has by them."""

import asyncio

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, own_call, presented

from kiteward.domain.errors import AccessDenied, AuthenticationError, PayloadMalformed
from kiteward.gateway.call import Call
from kiteward.gateway.large_requests import LARGE, LONG, PAUSE, EventLoopShares
from kiteward.gateway.operations import OPERATIONS, Executor
from kiteward.gateway.operations.row import REQUEST_BUDGET
from kiteward.iam.json_api.base import plain
from kiteward.milvus import messages

UNREAD = b"\x7a\x00"
"""A field that no request has."""


def padded(method: str, size: int = LARGE + 1, /, **fields: object) -> bytes:
    """Return a request of at least this many bytes, whose padding is a field that occurs many times."""
    request = bytes(messages.method_of(method).request(**fields).SerializeToString())
    return request + padding(method) * -((len(request) - size) // 2)


def padding(method: str) -> bytes:
    """Return an occurrence, of two bytes, of a field that selects nothing; of an unknown field if there is none."""
    declared = messages.method_of(method).request.DESCRIPTOR.fields_by_name
    for name in ("base", "query_params"):
        if name in declared:
            return bytes([declared[name].number << 3 | 2, 0])
    return UNREAD


@pytest.fixture
async def peopled(harness: GatewayHarness, engine: FakeEngine) -> GatewayHarness:
    """Alice may query `docs`, bob may do nothing."""
    engine.create("docs")
    harness.catalog.forget(["default"])
    await harness.role("reader", ("Query", "default", "docs"))
    await harness.user("alice", "reader")
    await harness.user("bob")
    engine.calls.clear()
    return harness


# Who may send one


async def test_nothing_large_is_read_of_a_user_without_roles(
    peopled: GatewayHarness, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the message was read")

    monkeypatch.setattr("kiteward.gateway.authorize.resolve_request", read)
    monkeypatch.setattr("kiteward.milvus.request_reader.RequestReader.read", read)
    monkeypatch.setattr("kiteward.milvus.messages.decode", read)
    names = sorted(name for name, row in OPERATIONS.items() if row.executor is not Executor.NOBODY)
    assert len(names) > 100
    for name in names:
        with pytest.raises(AccessDenied, match=f"more than {LARGE} bytes"):
            await peopled.call(name, by="bob", payload=padded(name))
        assert engine.calls == [], name


async def test_a_large_message_is_taken_of_whoever_holds_its_privilege_somewhere(peopled: GatewayHarness) -> None:
    payload = padded("Query", collection_name="docs")
    await peopled.succeed("Query", by="alice", payload=payload)
    await peopled.succeed("Query", by="root", payload=payload)
    with pytest.raises(AccessDenied, match="the privilege Insert"):
        await peopled.call("Insert", by="alice", payload=padded("Insert", collection_name="docs"))


async def test_that_privilege_does_not_decide_what_the_message_asks_for(peopled: GatewayHarness) -> None:
    with pytest.raises(AccessDenied, match="PrivilegeQuery"):
        await peopled.call("Query", by="alice", payload=padded("Query", collection_name="secrets"))


async def test_who_sees_a_collection_may_ask_at_length_what_it_is(peopled: GatewayHarness) -> None:
    payload = padded("DescribeCollection", collection_name="docs")
    await peopled.succeed("DescribeCollection", by="alice", payload=payload)


async def test_operations_without_a_privilege_are_large_for_administrators_alone(peopled: GatewayHarness) -> None:
    with pytest.raises(AccessDenied, match="an administrator"):
        await peopled.call("ShowCollections", by="alice", payload=padded("ShowCollections"))
    await peopled.succeed("ShowCollections", payload=padded("ShowCollections"))
    await peopled.succeed("ShowCollections", by="bob", payload=padded("ShowCollections", LARGE - 1))


async def test_operations_of_our_own_are_large_for_administrators_alone(peopled: GatewayHarness) -> None:
    arguments = {"privilege": "Query", "collectionName": "x" * LARGE}
    with pytest.raises(AccessDenied, match="an administrator"):
        await peopled.gateway.handle(own_call("ExplainAccess", "bob", **arguments))
    assert peopled.trail.events[-1].details["request_bytes"] > LARGE
    explained = plain(await peopled.gateway.handle(own_call("ExplainAccess", "root", **arguments)))
    assert explained["collectionName"] == arguments["collectionName"]


async def test_a_revocation_counts_for_a_message_that_waits_for_its_turn(peopled: GatewayHarness) -> None:
    payload = padded("Query", collection_name="docs", expr=" " * LONG)
    line = peopled.gateway._turns._line("alice")
    async with line.turn:
        waiting = asyncio.create_task(peopled.call("Query", by="alice", payload=payload))
        while not line.waiting:
            await asyncio.sleep(0)
        await peopled.revoke("reader", "Query", "default", "docs")
    with pytest.raises(AccessDenied):
        await waiting


async def test_a_refused_one_is_recorded_by_its_size_and_not_read(peopled: GatewayHarness) -> None:
    payload = padded("SelectUser", user={"name": "carol"})
    with pytest.raises(AccessDenied):
        await peopled.call("SelectUser", by="bob", payload=payload)
    assert peopled.trail.events[-1].details == {"request_bytes": len(payload)}


async def test_no_request_holds_more_fields_than_a_reader_has_time_for(peopled: GatewayHarness) -> None:
    payload = padded("Query", 2 * REQUEST_BUDGET + 100, collection_name="docs")
    with pytest.raises(PayloadMalformed, match=f"more than {REQUEST_BUDGET} fields"):
        await peopled.call("Query", payload=payload)


async def test_what_a_transport_holds_is_read_for_whoever_may_send_as_much(peopled: GatewayHarness) -> None:
    call = Call("Query", b"", presented("alice"))
    assert await peopled.gateway.read_large(call, lambda: "read", size=LONG + 1) == "read"
    for name in ("bob", "nobody"):
        with pytest.raises((AccessDenied, AuthenticationError)):
            await peopled.gateway.read_large(
                Call("Query", b"", presented(name)), lambda: pytest.fail("it was read"), size=1
            )
        assert peopled.trail.events[-1].operation == "Query"


# Whose turn it is


class Work:
    """Work that says itself how many seconds of the event loop each of its steps takes."""

    def __init__(self) -> None:
        self.spent = 0.0
        self.turns = EventLoopShares(spent=lambda: self.spent)
        self.ended: list[str] = []

    async def run(self, user_name: str, *steps: float) -> float:
        """Do work in a user's turn, and return how long the user waited for it."""
        begun: list[float] = []

        async def work() -> None:
            begun.append(now())
            for step in steps:
                self.spent += step
                await asyncio.sleep(0)
            self.ended.append(user_name)

        asked = now()
        await self.turns.run(user_name, work)
        return begun[0] - asked


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_after_long_work_its_user_waits_and_nobody_else() -> None:
    work = Work()
    assert await work.run("alice", 0.03) < 0.03
    alice = asyncio.create_task(work.run("alice", 0.0))
    assert await work.run("bob", 0.0) < 0.03
    assert await alice >= PAUSE * 0.03 - 0.02
    assert work.ended == ["alice", "bob", "alice"]


async def test_steps_add_up() -> None:
    work = Work()
    await work.run("alice", 0.01, 0.01, 0.01)
    assert await work.run("alice") >= PAUSE * 0.03 - 0.02


async def test_short_work_costs_no_pause() -> None:
    work = Work()
    for _ in range(50):
        assert await work.run("alice", 0.001, 0.0005) < 0.03


async def test_long_work_of_one_user_that_came_at_once_is_done_one_after_the_other() -> None:
    work = Work()
    waits = await asyncio.gather(*(work.run("alice", 0.02) for _ in range(4)))
    assert sorted(waits) == waits
    assert waits[-1] >= 3 * PAUSE * 0.02 - 0.03


async def test_work_that_waits_for_the_engine_keeps_no_turn() -> None:
    turns, both = EventLoopShares(), asyncio.Barrier(2)
    async with asyncio.timeout(30):
        await asyncio.gather(*(turns.run("alice", both.wait) for _ in range(2)))


async def test_outcomes_pass_and_a_failure_costs_what_it_took() -> None:
    work = Work()

    async def returning() -> str:
        return "answer"

    async def failing() -> None:
        work.spent += 0.03
        raise LookupError("no")

    async def resumed() -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        return "late"

    assert await work.turns.run("alice", returning) == "answer"
    assert await work.turns.run("alice", resumed) == "late"
    with pytest.raises(LookupError):
        await work.turns.run("alice", failing)
    assert await work.run("alice") >= PAUSE * 0.03 - 0.02


async def test_who_gives_up_waiting_leaves_nothing_behind() -> None:
    work = Work()
    await work.run("alice", 10.0)
    waiting = asyncio.create_task(work.run("alice"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert work.turns._line("alice").waiting == 0
    assert not work.turns._line("alice").turn.locked()


async def test_users_who_wait_for_nothing_are_forgotten() -> None:
    work = Work()
    await work.run("alice", 10.0)
    for number in range(3_000):
        await work.run(f"user{number}")
    assert len(work.turns._lines) <= 1_001
    assert "alice" in work.turns._lines
