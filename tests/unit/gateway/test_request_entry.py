"""Requests are admitted within the limits of their callers, and to the engine fairly by user."""

import asyncio

import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import GatewayHarness, own_call

from kiteward.audit.events import Event
from kiteward.domain.errors import AccessDenied, AuthenticationError, PasswordRejected, RequestsLimited
from kiteward.domain.request_limits import RequestLimits
from kiteward.gateway.operations import RowUse
from kiteward.gateway.request_limiter import RequestLimiter
from kiteward.telemetry.counters import Outcome


@pytest.fixture
async def readers(harness: GatewayHarness, engine: FakeEngine) -> GatewayHarness:
    """Alice, bob and carol may query `docs`."""
    engine.create("docs")
    await harness.role("reader", ("Query", "default", "docs"))
    for name in ("alice", "bob", "carol"):
        await harness.user(name, "reader")
    return harness


def query(harness: GatewayHarness, by: str) -> "asyncio.Task[object]":
    return asyncio.create_task(harness.call("Query", by=by, collection_name="docs", expr="id > 0"))


async def until_called(engine: FakeEngine, number: int) -> None:
    async with asyncio.timeout(10):
        while len(engine.called("Query")) < number:
            await asyncio.sleep(0)


async def until_waiting(harness: GatewayHarness, number: int) -> None:
    """Wait until so many queries wait for their turn."""
    queue = harness.gateway.entry._queues[RowUse.FILTERED]
    async with asyncio.timeout(10):
        while queue._count < number:
            await asyncio.sleep(0)


async def test_a_limit_is_in_force_at_the_next_request_and_so_is_its_removal(readers: GatewayHarness) -> None:
    await readers.call("Query", by="alice", collection_name="docs", expr="id > 0")
    await readers.gateway.handle(own_call("SetLimits", userName="alice", requestsPerSecond=0.1))
    await readers.call("Query", by="alice", collection_name="docs", expr="id > 0")
    with pytest.raises(RequestsLimited):
        await readers.call("Query", by="alice", collection_name="docs", expr="id > 0")
    await readers.call("Query", by="bob", collection_name="docs", expr="id > 0")
    await readers.gateway.handle(own_call("DeleteLimits", userName="alice"))
    await readers.call("Query", by="alice", collection_name="docs", expr="id > 0")


async def test_a_limit_of_a_role_is_in_force_at_once_for_each_holder(readers: GatewayHarness) -> None:
    await readers.gateway.handle(own_call("SetLimits", roleName="reader", requestsPerSecond=0.1))
    for name in ("alice", "bob"):
        await readers.call("Query", by=name, collection_name="docs", expr="id > 0")
        with pytest.raises(RequestsLimited):
            await readers.call("Query", by=name, collection_name="docs", expr="id > 0")


async def test_refused_requests_are_counted_and_recorded_once(readers: GatewayHarness) -> None:
    await readers.gateway.handle(own_call("SetLimits", userName="alice", requestsPerSecond=0.1))
    await readers.call("Query", by="alice", collection_name="docs", expr="id > 0")
    for _ in range(3):
        with pytest.raises(RequestsLimited):
            await readers.call("Query", by="alice", collection_name="docs", expr="id > 0")
    assert ("Query", Outcome.LIMITED, 3) in list(readers.gateway.telemetry.requests)
    assert readers.limiter.refused["rate", "user"] == 3
    assert not [event for event in readers.trail.events if event.event is Event.REQUESTS_LIMITED]
    readers.recorder.close()
    (event,) = [event for event in readers.trail.events if event.event is Event.REQUESTS_LIMITED]
    assert (event.principal, event.details["requests"]) == ("alice", 3)


async def test_refused_credentials_are_not_counted(readers: GatewayHarness) -> None:
    readers.limiter = RequestLimiter(RequestLimits(0.1))
    readers.configure()
    with pytest.raises(AuthenticationError):
        await readers.call("Query", by="nobody", collection_name="docs", expr="id > 0")
    await readers.call("Query", by="alice", collection_name="docs", expr="id > 0")


async def test_a_place_is_given_back_by_failed_and_cancelled_requests(
    readers: GatewayHarness, engine: FakeEngine
) -> None:
    await readers.gateway.handle(own_call("SetLimits", userName="alice", concurrentRequests=1))
    for _ in range(2):
        with pytest.raises(AccessDenied):
            await readers.call("Insert", by="alice", collection_name="docs")
    released = engine.hold("Query")
    running = query(readers, "alice")
    await until_called(engine, 1)
    with pytest.raises(RequestsLimited):
        await readers.call("Query", by="alice", collection_name="docs", expr="id > 0")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    released.set()
    await readers.call("Query", by="alice", collection_name="docs", expr="id > 0")


async def test_root_may_change_limits_beyond_its_own(readers: GatewayHarness) -> None:
    await readers.gateway.handle(own_call("SetLimits", userName="root", requestsPerSecond=0.1, concurrentRequests=1))
    await readers.call("ListCredUsers")
    with pytest.raises(RequestsLimited):
        await readers.call("ListCredUsers")
    await readers.gateway.handle(own_call("DescribeLimits", userName="root"))
    await readers.gateway.handle(own_call("ListLimits"))
    await readers.gateway.handle(own_call("DeleteLimits", userName="root"))
    await readers.call("ListCredUsers")


async def test_clients_connect_and_ask_for_health_beyond_their_limits(readers: GatewayHarness) -> None:
    await readers.gateway.handle(own_call("SetLimits", userName="alice", requestsPerSecond=0.1))
    for _ in range(2):
        for operation in ("Connect", "GetVersion", "CheckHealth"):
            await readers.call(operation, by="alice")


# The queue


async def test_one_of_each_other_user_is_served_before_the_second_of_one(
    readers: GatewayHarness, engine: FakeEngine
) -> None:
    readers.engine_places = 1
    readers.configure()
    for name in ("alice", "bob", "carol"):
        await readers.call("Query", by=name, collection_name="docs", expr="id > 0")
    ended: list[str] = []
    released = engine.hold("Query")
    tasks = []
    for waiting, name in enumerate(("alice", "alice", "alice", "alice", "bob", "carol")):
        task = query(readers, name)
        task.add_done_callback(lambda _, name=name: ended.append(name))  # type: ignore[misc]
        tasks.append(task)
        await until_called(engine, 4)
        await until_waiting(readers, waiting)
    assert len(engine.called("Query")) == 4
    released.set()
    await asyncio.gather(*tasks)
    assert ended[0] == "alice"
    assert set(ended[1:3]) == {"bob", "carol"}


async def test_while_others_come_a_user_has_half_of_the_places(readers: GatewayHarness, engine: FakeEngine) -> None:
    readers.engine_places = 4
    readers.configure()
    for name in ("alice", "bob"):
        await readers.call("Query", by=name, collection_name="docs", expr="id > 0")
    released = engine.hold("Query")
    tasks = [query(readers, "alice") for _ in range(4)]
    await until_waiting(readers, 2)
    tasks.append(query(readers, "bob"))
    await until_called(engine, 2 + 2 + 1)
    released.set()
    await asyncio.gather(*tasks)


async def test_whoever_is_deleted_while_waiting_is_refused(readers: GatewayHarness, engine: FakeEngine) -> None:
    readers.engine_places = 1
    readers.configure()
    for name in ("alice", "bob", "carol"):  # so that no password has to be verified, which would change their order
        await readers.call("Query", by=name, collection_name="docs", expr="id > 0")
    released = engine.hold("Query")
    running, waiting, denied = query(readers, "alice"), query(readers, "bob"), query(readers, "carol")
    await until_called(engine, 4)
    await until_waiting(readers, 2)
    await readers.succeed("DeleteCredential", username="bob")
    await readers.succeed("OperateUserRole", username="carol", role_name="reader", type=1)
    released.set()
    await running
    with pytest.raises(PasswordRejected):
        await waiting
    with pytest.raises(AccessDenied):
        await denied
    assert len(engine.called("Query")) == 4
    # The places are free again.
    await asyncio.wait_for(readers.call("Query", by="alice", collection_name="docs", expr="id > 0"), 10)


async def test_what_touches_no_rows_waits_for_no_turn(readers: GatewayHarness, engine: FakeEngine) -> None:
    readers.engine_places = 1
    readers.configure()
    released = engine.hold("Query")
    running, waiting = query(readers, "alice"), query(readers, "bob")
    await until_called(engine, 1)
    await asyncio.wait_for(readers.call("HasCollection", by="carol", collection_name="docs"), 10)
    assert not waiting.done()
    released.set()
    await asyncio.gather(running, waiting)
