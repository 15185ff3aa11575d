"""Very many servers on one store, on virtual time: the real lease, membership and acknowledgements, no database.

Requests take time on the network, wait for a processor of the database, and take time there. Notifications take time,
and each wakes every server that listens. Servers have clocks of their own, stop, and are cut off.

After everything that a server does, it must not decide by a state before an acknowledged change; after each
acknowledgement, no other one must either.
"""

import functools
import heapq
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.support.virtual_time import MachineLoop, VirtualTime
from tests.unit.gateway.replicas.simulation import Change, Database, Request, Server, World

STATEMENTS: Final[Mapping[str, int]] = {
    "commit": 9,
    "register": 4,
    "renew": 1,
    "behind": 1,
    "registered": 1,
    "read": 8,
    "remove": 1,
}
"""Statements of each kind of call, `BEGIN` and `COMMIT` included; one follows the answer to the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How fast, and how reliable, database and network are.

    Attributes:
        latency: seconds in transit to the database, and as many back; the mean of an exponential distribution.
        statement: seconds of processor time of a statement in the database.
        wake: seconds of processor time for each connection that a notification wakes.
        flush: seconds until a commit is on disk.
        processors: of the database.
        lost_notifications: share of notifications that one server does not get.
        lost_requests: share of requests that are lost.
        slow_requests: share of requests that take up to two seconds longer.
        speeds: speeds of clocks, of which each server has one.
        lease: how long servers believe that their lease lasts, as a multiple of what is right; for tests of the check.
    """

    latency: float = 0.0003
    statement: float = 0.0001
    wake: float = 0.000015
    flush: float = 0.001
    processors: int = 8
    lost_notifications: float = 0.0
    lost_requests: float = 0.0
    slow_requests: float = 0.0
    speeds: tuple[float, ...] = (1.0,)
    lease: float = 1.0


class TimedDatabase(Database):
    """The store, which takes time.

    Attributes:
        calls: how many calls of each kind have come.
        woken: how often a notification has woken a connection.
        worked: seconds of processor time.
    """

    def __init__(self, world: "TimedWorld") -> None:
        super().__init__()
        self._world = world
        self._free = [0.0] * world.conditions.processors
        self.calls: Counter[str] = Counter()
        self.woken = 0
        self.worked = 0.0

    def send(self, request: Request) -> None:
        """Take a request, unless it is lost."""
        world = self._world
        if request.server.cut or world.chance(world.conditions.lost_requests):
            return
        delay = world.latency()
        if world.chance(world.conditions.slow_requests):
            delay += world.random.uniform(0.0, 2.0)
        world.time.after(delay, functools.partial(self._begin, request))

    def work(self, seconds: float) -> float:
        """Use a processor, and return the time when the work is done."""
        self.worked += seconds
        done = max(self._world.time.now, heapq.heappop(self._free)) + seconds
        heapq.heappush(self._free, done)
        return done

    def _begin(self, request: Request) -> None:
        conditions, kind = self._world.conditions, request.kind
        self.calls[kind] += 1
        count = STATEMENTS[kind]
        done = self.work(count * conditions.statement) + (count - 1) * 2 * conditions.latency
        if kind in ("commit", "register", "renew", "remove"):
            done += conditions.flush
        request.advance()
        self._world.time.at(done, functools.partial(self._go_on, request))

    def _go_on(self, request: Request) -> None:
        """Take the next step: what waits for a lock tries again soon."""
        if not request.result:
            request.advance()
            self._spread()
        if request.result:
            self._world.time.after(self._world.latency(), functools.partial(self._answer, request))
        else:
            self._world.time.after(self._world.conditions.flush or 0.001, functools.partial(self._go_on, request))

    def _answer(self, request: Request) -> None:
        if not request.server.cut:
            request.advance()

    def _spread(self) -> None:
        """Send what was announced. PostgreSQL wakes every connection that listens, whatever it listens to."""
        notifications, self.notifications = self.notifications, []
        for kind, content in notifications:
            servers = self._world.servers
            self.woken += len(servers)
            sent = self.work(len(servers) * self._world.conditions.wake)
            hearing = servers if kind == "changed" else [each for each in servers if each.token == content[0]]
            for server in hearing:
                if not (server.cut or self._world.chance(self._world.conditions.lost_notifications)):
                    heard = functools.partial(self._hear, server, kind, content)
                    self._world.time.at(sent + self._world.latency(), heard)

    def _hear(self, server: Server, kind: str, content: tuple[Any, ...]) -> None:
        if server.cut:
            return
        if kind == "changed":
            server.loop.call_soon(server.membership.changed, *content)
        else:
            server.loop.call_soon(server.membership.applied, *content[1:])


@dataclass(eq=False)
class TimedServer(Server):
    """A server that notes how long its changes took."""

    world: "TimedWorld"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lease._seconds *= self.world.conditions.lease

    async def change(self) -> Change:
        """Make a change, and demand when it is acknowledged that no server decides by the state before."""
        began = self.world.time.now
        change = await super().change()
        if change.acknowledged:
            self.world.taken.append(self.world.time.now - began)
            self.world.acknowledged = max(self.world.acknowledged, change.revision)
            for server in self.world.servers:
                self.world.check(server)
        return change


class TimedWorld(World):
    """All servers on virtual time.

    Attributes:
        acknowledged: the highest revision that was acknowledged.
        taken: seconds from the beginning of each change to its acknowledgement.
        faults: what must not be: time, server, its revision, the acknowledged one.
    """

    database: TimedDatabase

    def __init__(self, conditions: Conditions, seed: int) -> None:
        self.conditions = conditions
        self.random = random.Random(seed)
        self.time = VirtualTime()
        super().__init__()
        self.database = TimedDatabase(self)
        self.acknowledged = 0
        self._added = 0
        self.taken: list[float] = []
        self.faults: list[tuple[float, int, int, int]] = []

    @property
    def now(self) -> float:
        """The time of the world."""
        return self.time.now

    @now.setter
    def now(self, _: float) -> None:
        pass

    def chance(self, share: float) -> bool:
        """Return whether something happens that does so in this share of cases."""
        return share > 0 and self.random.random() < share

    def latency(self) -> float:
        """Return how long one way to the database takes this time."""
        return self.random.expovariate(1 / self.conditions.latency)

    def new_loop(self, server: Server) -> MachineLoop:
        """Return the event loop of a server, which is checked after everything that it does."""
        ran = functools.partial(self.check, server)
        # What it lacks is about networks, processes and signals.
        return MachineLoop(self.time, offset=server.offset, speed=server.speed, ran=ran)  # type: ignore[abstract]

    def add(self, *, offset: float = 0.0, speed: float = 1.0, embedded: bool = False) -> Server:
        """Add a server and have it join."""
        server = TimedServer(self, self._added, offset, speed, embedded)
        self._added += 1
        self.servers.append(server)
        server.start(server.join())
        return server

    def add_any(self) -> Server:
        """Add a server whose clock shows some time and has some speed."""
        return self.add(offset=self.random.uniform(-1e4, 1e4), speed=self.random.choice(self.conditions.speeds))

    def check(self, server: Server) -> None:
        """Note if a server would decide now by a state before an acknowledged change."""
        if server.applied < self.acknowledged and server.lease.held():
            self.faults.append((self.now, server.number, server.applied, self.acknowledged))

    def pass_time(self, seconds: float) -> None:
        """Let everything happen for some seconds."""
        self.time.run(self.time.now + seconds)


def joined(number: int, conditions: Conditions, seed: int, *, within: float = 10.0) -> TimedWorld:
    """Return a world with servers, all of which hold their lease.

    Args:
        number: how many.
        conditions: of database and network.
        seed: of everything that is chosen at random.
        within: seconds in which one after another joins.
    """
    world = TimedWorld(conditions, seed)
    for _ in range(number):
        world.add_any()
        world.pass_time(within / number)
    for _ in range(100):
        if all(server.lease.held() for server in world.servers):
            return world
        world.pass_time(0.1)
    raise AssertionError(f"{sum(not each.lease.held() for each in world.servers)} servers hold no lease")
