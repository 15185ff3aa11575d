"""How a server joins the others, keeps its lease, and leaves."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.unit.gateway.replicas.simulation import LEASE, Server, World

from kiteward.domain.errors import ConfigurationError, StoreUnreachable
from kiteward.gateway.replicas.membership import JOIN_PATIENCE


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_server_holds_its_lease_while_it_renews_it(world: World) -> None:
    server = world.add()
    world.settle()
    for _ in range(40):
        world.settle(0.2)
        assert server.lease.held()
    (row,) = world.database.rows.values()
    assert row.renewals >= 8.0 / LEASE * 5


def test_server_does_not_decide_before_it_has_applied_what_it_found(world: World) -> None:
    first = world.add()
    world.settle()
    first.start(first.change())
    world.settle()
    second = world.add()
    world.settle()
    assert (second.lease.held(), second.applied) == (True, 2)


def test_change_is_applied_without_being_announced(world: World) -> None:
    one, other = world.add(), world.add()
    world.settle()
    one.start(one.change())
    for _ in range(100):
        world.settle(0.0)
        world.database.notifications.clear()
        world.wait(0.01)
    assert other.applied == 2
    assert one.changes[0].acknowledged


def test_server_without_its_database_decides_until_its_lease_is_over_and_comes_back_by_itself(world: World) -> None:
    server = world.add()
    world.settle(1.0)
    server.cut = True
    world.settle(LEASE / 2)
    assert server.lease.held()
    world.settle(LEASE / 2)
    assert not server.lease.held()
    server.cut = False
    world.settle(1.2)
    assert server.lease.held()


def joining_without_its_database(world: World) -> tuple[Server, asyncio.Task[None]]:
    """Return a server that has left, and joins again while it is cut off from its database."""
    server = world.add()
    world.settle()
    server.start(server.membership.leave())
    world.settle()
    server.cut = True
    return server, server.start(server.membership.join())


def test_server_that_starts_while_its_database_fails_joins_when_it_is_back(world: World) -> None:
    server, joining = joining_without_its_database(world)
    world.settle(2 * LEASE)
    assert not server.lease.held()
    server.cut = False
    world.settle(LEASE)
    assert joining.done()
    assert server.lease.held()


def test_server_whose_database_does_not_come_back_gives_up(world: World) -> None:
    _, joining = joining_without_its_database(world)
    world.settle(JOIN_PATIENCE + 2 * LEASE)
    with pytest.raises(StoreUnreachable):
        joining.result()


def test_server_that_others_have_removed_registers_again_under_another_id(world: World) -> None:
    server = world.add()
    world.settle()
    (before,) = world.database.rows
    world.database.rows.clear()
    world.settle(1.0)
    (after,) = world.database.rows
    assert after != before
    assert server.lease.held()


def test_lease_ends_when_the_server_is_found_removed(world: World) -> None:
    server = world.add()
    world.settle()
    world.database.rows.clear()
    while server.lease.held():
        world.wait(0.01)
        for request in list(world.database.requests):
            world.answer(request)
    assert world.now < LEASE / 2


def test_server_that_leaves_is_waited_for_by_nobody(world: World) -> None:
    one, other = world.add(), world.add()
    world.settle()
    other.start(other.membership.leave())
    world.settle()
    assert not other.lease.held()
    assert len(world.database.rows) == 1
    one.start(one.change())
    world.settle()
    assert one.changes[0].acknowledged


def test_server_that_leaves_without_its_database_leaves_all_the_same(world: World) -> None:
    server = world.add()
    world.settle()
    server.cut = True
    leaving = server.start(server.membership.leave())
    world.settle(LEASE)
    assert leaving.done()
    assert not server.lease.held()


@pytest.mark.parametrize("embedded", [(True, False), (False, True), (True, True)])
def test_second_server_is_refused_where_one_has_an_embedded_engine(world: World, embedded: tuple[bool, bool]) -> None:
    first = world.add(embedded=embedded[0])
    world.settle()
    second = world.add(embedded=embedded[1])
    world.settle(LEASE + 1)
    (refused,) = [task for task in second.tasks if task.done()]
    with pytest.raises(ConfigurationError, match=r"the server server 0 uses this store already.*kiteward\.engine"):
        refused.result()
    assert first.lease.held()
    assert len(world.database.rows) == 1


def test_server_with_an_embedded_engine_starts_again_when_its_dead_predecessor_lease_is_over(world: World) -> None:
    first = world.add(embedded=True)
    world.settle()
    first.stopped = True
    second = world.add(embedded=True)
    world.settle(LEASE / 2)
    assert not second.lease.held()
    world.settle(LEASE)
    assert second.lease.held()
    assert len(world.database.rows) == 1


def test_store_whose_backup_was_restored_is_followed(world: World) -> None:
    server = world.add()
    world.settle()
    server.start(server.change())
    world.settle()
    world.database.revision, follows = 1, server.follows
    world.settle(1.0)
    assert server.follows > follows


def test_server_reports_when_writes_have_ended_that_others_wait_for(world: World) -> None:
    server = world.add()
    world.settle()
    server.undrained = 1
    server.start(server.change())
    world.settle()
    (row,) = world.database.rows.values()
    assert (row.applied_revision, row.drained_revision) == (2, 1)
    server.undrained = 0
    server.loop.call_soon(server.membership.drained)
    world.settle()  # no time passes
    (row,) = world.database.rows.values()
    assert (row.applied_revision, row.drained_revision) == (2, 2)
