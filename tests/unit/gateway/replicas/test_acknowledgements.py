"""What a change waits for, in simulated servers: after every step they demand that nothing old is decided by."""

from collections.abc import Iterator

import pytest
from tests.unit.gateway.replicas.simulation import LEASE, Change, Request, Server, World


@pytest.fixture
def world() -> Iterator[World]:
    """Three servers that have joined."""
    world = World()
    for speed in (1.0, 0.97, 1.03):
        world.add(speed=speed)
    world.settle()
    assert all(server.lease.held() for server in world.servers)
    yield world
    world.close()


def changed(server: Server) -> Change:
    """Have a server make a change, and return it."""
    server.start(server.change())
    server.run()
    return server.changes[-1]


def waited(world: World, server: Server, change: Change) -> float:
    """Let time pass until a change is acknowledged, and return how long it took since its commit."""
    while not change.acknowledged:
        world.settle(0.02, step=0.02)
    assert change.committed is not None
    return server.clock() - change.committed


def sent_by(world: World, server: Server, what: str) -> Request:
    """Wait until a server sends a request of a kind, and keep it on its way."""
    while True:
        for request in world.database.requests:
            if request.server is server and request.kind == what:
                world.database.requests.remove(request)
                return request
        world.wait(0.02)


def test_change_is_acknowledged_as_soon_as_all_have_applied_it(world: World) -> None:
    change = changed(world.servers[0])
    world.settle()
    assert change.acknowledged
    assert {server.applied for server in world.servers} == {change.revision}


def test_change_is_not_acknowledged_while_a_server_has_not_applied_it(world: World) -> None:
    world.servers[2].cut = True
    change = changed(world.servers[0])
    world.settle(LEASE / 2)
    assert not change.acknowledged
    world.servers[2].cut = False
    world.settle(0.2)
    assert change.acknowledged


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.25, 0.45])
@pytest.mark.parametrize("stopped", [True, False])
def test_server_that_is_stopped_or_cut_off_delays_a_change_by_one_lease_and_decides_nothing_after(
    world: World, moment: float, stopped: bool
) -> None:
    world.settle(moment, step=0.01)
    away = world.servers[1]
    away.stopped, away.cut = stopped, not stopped
    change = changed(world.servers[0])
    assert LEASE - 0.1 < waited(world, world.servers[0], change) <= LEASE + 0.1
    assert not away.lease.held()  # also before it has run again, because its clock went on
    away.stopped = away.cut = False
    world.settle(1.5)
    assert (away.lease.held(), away.applied) == (True, change.revision)


def test_only_the_first_change_waits_for_a_server_that_is_dead(world: World) -> None:
    world.servers[1].stopped = True
    waited(world, world.servers[0], changed(world.servers[0]))
    world.settle(0.2)
    assert len(world.database.rows) == 2
    second = changed(world.servers[2])
    world.settle()
    assert second.acknowledged


def test_changes_that_wait_do_so_side_by_side(world: World) -> None:
    world.servers[1].stopped = True
    first = changed(world.servers[0])
    world.settle(1.0)
    second = changed(world.servers[0])
    waited(world, world.servers[0], first)
    assert second.revision == first.revision + 1
    assert waited(world, world.servers[0], second) < LEASE - 0.5  # the dead one was removed meanwhile


def test_change_of_a_server_that_lost_its_database_waits_for_a_lease(world: World) -> None:
    world.servers[1].stopped = True
    change = changed(world.servers[0])
    world.settle(0.1)
    world.servers[0].cut = True
    assert waited(world, world.servers[0], change) <= LEASE + 0.1


def test_change_that_may_have_been_made_is_not_acknowledged(world: World) -> None:
    change = changed(world.servers[0])
    request = world.database.requests[-1]
    world.answer(request)
    world.answer(request)
    world.servers[0].cut = True
    world.settle(2 * LEASE)
    assert (world.database.revision, change.acknowledged) == (2, False)


def test_renewal_whose_answer_is_late_does_not_last_longer(world: World) -> None:
    late = world.servers[1]
    renewal = sent_by(world, late, "renew")
    for _ in range(2):
        renewal.advance()  # it is done there, and the answer is on its way
    late.cut = True
    change = changed(world.servers[0])
    world.settle(0.8)
    renewal.advance()
    world.run()
    assert late.lease.held()
    assert waited(world, world.servers[0], change) <= LEASE + 0.1
    world.settle(1.0)


def test_renewal_that_was_on_its_way_is_waited_for_although_its_server_was_never_heard(world: World) -> None:
    """What it has read is older than the change, and it ends after everybody has looked at the servers."""
    late = world.servers[1]
    renewal = sent_by(world, late, "renew")
    renewal.advance()  # it rests in the database
    change = changed(world.servers[0])
    world.settle(0.3)
    assert not change.acknowledged
    world.database.requests.append(renewal)
    world.settle(0.2)
    assert late.lease.held()
    assert late.applied == change.revision


def test_server_that_renewed_meanwhile_is_not_removed(world: World) -> None:
    """It was waited for, because what it applied could not be reported, and it renews when it is to be removed."""
    slow, registered = world.servers[1], set(world.database.rows)
    slow.cut = True
    change = changed(world.servers[0])
    world.settle(LEASE - 0.2)
    world.servers[0].cut = True
    slow.cut = False
    waited(world, world.servers[0], change)
    world.settle(0.2)
    world.servers[0].cut = False
    world.settle(1.0)
    assert set(world.database.rows) == registered
    assert slow.lease.held()


def test_report_that_was_heard_before_the_change_waited_counts(world: World) -> None:
    server = world.servers[0]
    server.acknowledgements.applied(2)
    change = changed(server)
    world.settle()
    assert change.acknowledged


def test_false_report_acknowledges_nothing(world: World) -> None:
    world.servers[1].stopped = True
    change = changed(world.servers[0])
    world.settle(0.3)
    world.servers[0].acknowledgements.applied(change.revision)
    world.servers[0].membership.applied(change.revision)
    world.settle(0.3)
    assert not change.acknowledged


def test_server_that_a_look_before_the_change_could_not_see_is_waited_for(world: World) -> None:
    world.servers[1].stopped = True
    changed(world.servers[0])
    world.settle()
    look = sent_by(world, world.servers[0], "behind")
    look.advance()
    new = world.add()
    world.settle()
    assert new.lease.held()
    new.cut = True
    second = changed(world.servers[0])
    world.settle()
    while not look.advance():
        pass
    world.servers[1].stopped = False
    world.settle(1.0)
    assert not second.acknowledged


def test_servers_that_were_waited_for_are_counted(world: World) -> None:
    world.servers[1].stopped = True
    waited(world, world.servers[0], changed(world.servers[0]))
    assert world.servers[0].acknowledgements.late == 1
