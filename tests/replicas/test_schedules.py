"""Simulated servers to which things happen by chance: none decides by a state before an acknowledged change."""

from dataclasses import replace

from tests.replicas.schedules import BAD, Schedule, wrong
from tests.replicas.simulation import Conditions, joined
from tests.unit.gateway.replicas.simulation import LEASE

from kiteward.store.postgresql.replicas import REPORTING


def test_whatever_happens_no_server_decides_by_a_state_before_an_acknowledged_change() -> None:
    """`make replicas` runs thousands of them."""
    assert dict(wrong(range(80))) == {}


def test_schedule_is_the_same_each_time() -> None:
    first, second = Schedule(7), Schedule(7)
    assert (first.run(), first.world.taken, first.changes) == (second.run(), second.world.taken, second.changes)
    assert first.changes > 3


def test_leases_that_last_too_long_are_found_out() -> None:
    found = [line for seed in range(40) for line in Schedule(seed, conditions=replace(BAD, lease=1.4)).run()]
    assert any("decides by" in line for line in found)


def test_where_servers_are_many_a_change_is_acknowledged_without_a_report_of_each() -> None:
    world = joined(100, Conditions(), seed=1)
    assert len(world.servers) > REPORTING
    change = world.servers[0]
    world.database.calls.clear()
    woken = world.database.woken
    change.start(change.change())
    world.pass_time(0.5)
    assert len(world.taken) == 1
    assert world.taken[0] < LEASE / 10
    assert world.database.woken - woken == len(world.servers)
    assert world.database.calls["read"] >= len(world.servers) - 1
    assert world.database.calls["behind"] < 10
    assert world.faults == []
