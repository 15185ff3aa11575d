"""Whatever happens to servers, network and database: after an acknowledgement no server decides by the state before.

The real lease, acknowledgements and membership run in simulated servers (`simulation.py`). After every step it demands
that no server would decide by the state before an acknowledged change, and that no change waits longer than a lease.
"""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.unit.gateway.replicas.simulation import LEASE, World

servers = st.integers(0, 2)


class SharedStore(RuleBasedStateMachine):
    """Three servers; what the network and the database do next is chosen step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(clocks=st.tuples(*[st.tuples(st.floats(-1e4, 1e4), st.sampled_from([0.97, 1.0, 1.03]))] * 3))
    def start(self, clocks: Any) -> None:
        for offset, speed in clocks:
            self.world.add(offset=offset, speed=speed)
        self.world.settle()
        assert all(server.lease.held() for server in self.world.servers)

    @rule(server=servers)
    def change(self, server: int) -> None:
        self.world.servers[server].start(self.world.servers[server].change())
        self.world.run()

    @precondition(lambda self: self.world.database.requests)
    @rule(data=st.data(), times=st.integers(1, 3))
    def answer(self, data: st.DataObject, times: int) -> None:
        request = data.draw(st.sampled_from(range(len(self.world.database.requests))), label="request")
        chosen = self.world.database.requests[request]
        for _ in range(times):
            if chosen in self.world.database.requests:
                self.world.answer(chosen)

    @precondition(lambda self: any(not request.begun for request in self.world.database.requests))
    @rule(data=st.data())
    def lose_request(self, data: st.DataObject) -> None:
        lost = data.draw(st.sampled_from([each for each in self.world.database.requests if not each.begun]))
        self.world.database.requests.remove(lost)

    @precondition(lambda self: self.world.database.notifications)
    @rule(data=st.data(), lost=st.booleans())
    def notify(self, data: st.DataObject, lost: bool) -> None:
        position = data.draw(st.integers(0, len(self.world.database.notifications) - 1), label="notification")
        self.world.notify(position, lost=lost)

    @rule(seconds=st.sampled_from([0.01, 0.2, 0.5, 1.0, 2.0, LEASE]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.6, 1.5]))
    def settle(self, seconds: float) -> None:
        self.world.settle(seconds)

    @rule(server=servers)
    def stop(self, server: int) -> None:
        self.world.servers[server].stopped = True

    @rule(server=servers)
    def cut_off(self, server: int) -> None:
        self.world.servers[server].cut = True

    @rule()
    def recover(self) -> None:
        """Let every server run and reach the database again."""
        for server in self.world.servers:
            server.stopped = server.cut = False
        self.world.run()

    @rule(server=servers, other=servers, ahead=st.sampled_from([0.0, 0.1, 0.4]), cut=st.booleans())
    def change_without(self, server: int, other: int, ahead: float, cut: bool) -> None:
        """Stop or cut off a server, change something at another one, and wait until its lease must be over."""
        self.world.settle(ahead)
        lonely = self.world.servers[server]
        lonely.cut, lonely.stopped = cut, not cut
        self.world.servers[other].start(self.world.servers[other].change())
        self.world.settle(1.5 * LEASE)

    @rule(server=servers)
    def restart(self, server: int) -> None:
        """Kill a server: it never runs again, and its lease is nobody's. Another one takes its place."""
        old = self.world.servers[server]
        old.loop.finish()
        old.lease.end()
        new = self.world.add(offset=old.offset, speed=old.speed)
        self.world.servers.pop()
        new.changes = [change for change in old.changes if change.acknowledged]
        self.world.servers[server] = new
        self.world.run()

    @rule(server=servers)
    def leave(self, server: int) -> None:
        leaving = self.world.servers[server]
        leaving.start(leaving.membership.leave())
        self.world.run()

    def teardown(self) -> None:
        self.world.close()


TestSharedStore = pytest.mark.slow(SharedStore.TestCase)
profile = settings.default
assert profile is not None
# A quarter of the examples: each is a course of 40 events. `make replicas` runs thousands of other courses.
TestSharedStore.settings = settings(stateful_step_count=40, max_examples=max(1, profile.max_examples // 4))
