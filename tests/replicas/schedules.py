"""What happens to simulated servers by chance: changes, and servers that stop, are cut off, are killed, leave and come.

A schedule follows from its seed alone. It ends with everything well again, and all must be as it was meant to be.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from tests.replicas.simulation import Conditions, TimedWorld, joined
from tests.unit.gateway.replicas.simulation import LEASE, Server

BAD: Final = Conditions(
    latency=0.004,
    lost_notifications=0.2,
    lost_requests=0.02,
    slow_requests=0.02,
    speeds=(0.96, 0.98, 1.0, 1.02, 1.04),
    processors=2,
)
"""A database that is far away and a bad network, and clocks that nobody corrects."""

_ACTIONS: Final = ("change", "change", "change", "change", "stop", "cut", "kill", "leave", "heal", "heal")


class Schedule:
    """One course of events.

    Attributes:
        world: the servers.
        changes: how many changes were begun.
    """

    def __init__(self, seed: int, *, servers: int = 4, conditions: Conditions = BAD) -> None:
        # They come together under good conditions: how servers join is chosen below, with the others.
        good = replace(conditions, lost_requests=0.0, slow_requests=0.0)
        self.world = joined(servers, good, seed, within=0.5)
        self.world.conditions = conditions
        self.changes = 0

    def run(self, seconds: float = 8.0) -> list[str]:
        """Let things happen for some seconds, mend everything, and return what is not as it has to be."""
        world = self.world
        end = world.now + seconds
        while world.now < end:
            self._act(world.random.choice(_ACTIONS), world.random.choice(world.servers))
            world.pass_time(world.random.expovariate(1 / 0.3))
        for server in world.servers:
            _heal(server)
        world.conditions = replace(world.conditions, lost_requests=0.0, slow_requests=0.0)
        world.pass_time(1.5 * LEASE)
        # It waits for what is left of servers that were killed, and removes that.
        world.servers[0].start(world.servers[0].change())
        world.pass_time(1.5 * LEASE)
        return self._wrong()

    def _act(self, action: str, server: Server) -> None:
        match action:
            case "change":
                self.changes += 1
                server.start(server.change())
            case "stop":
                server.stopped = True
                server.loop.stop()
            case "cut":
                server.cut = True
            case "heal":
                _heal(server)
            case "kill":
                server.loop.finish()
                self._replace(server)
            case "leave" if server.tasks[0].done() and not server.stopped:  # it has joined
                leaving = server.start(server.membership.leave())
                leaving.add_done_callback(lambda _: self._replace(server))

    def _replace(self, server: Server) -> None:
        """Put another server in the place of one that decides nothing any more."""
        if server in self.world.servers:
            server.lease.end()
            self.world.servers.remove(server)
            self.world.add_any()

    def _wrong(self) -> list[str]:
        world = self.world
        wrong = [f"{now:.3f}: server {number} decides by {old} after {new}" for now, number, old, new in world.faults]
        for server in world.servers:
            if not server.lease.held():
                wrong.append(f"server {server.number} holds no lease")
            if server.applied != world.database.revision:
                wrong.append(f"server {server.number} has applied {server.applied}, not {world.database.revision}")
            waiting = [each.revision for each in server.changes if each.committed and not each.acknowledged]
            if waiting:
                wrong.append(f"server {server.number} still waits with {waiting}")
            wrong += [f"server {server.number}: {error}" for error in server.loop.errors]
        if len(world.database.rows) != len(world.servers):
            wrong.append(f"{len(world.database.rows)} rows for {len(world.servers)} servers")
        return wrong


def wrong(seeds: Iterable[int]) -> Iterator[tuple[int, list[str]]]:
    """Run schedules; yield the seeds of those that left something as it must not be, and what that is."""
    for seed in seeds:
        found = Schedule(seed).run()
        if found:
            yield seed, found


def _heal(server: Server) -> None:
    server.cut = server.stopped = False
    server.loop.go_on()


def slowest(world: TimedWorld) -> float:
    """Return the seconds of the change that took longest."""
    return max(world.taken, default=0.0)
