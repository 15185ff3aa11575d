"""Several servers on one store, simulated: time, the database and the network do only what a test has them do.

Each server runs the real code in an event loop of its own, whose clock has an offset and a speed of its own. A stopped
server's loop does not run, while its clock does. A call to the database goes through steps: it begins there (what it
reads is fixed), it ends there (what it writes is visible), and its answer arrives. Each step happens when the test
says so, or never.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from kiteward.domain.errors import KitewardError, StoreUnavailable, StoreUnreachable
from kiteward.gateway.replicas.acknowledgements import Acknowledgements
from kiteward.gateway.replicas.lease import Lease
from kiteward.gateway.replicas.membership import Membership
from kiteward.store.postgresql.replicas import REPORTING
from kiteward.store.records import Committed, ReplicaRecord

LEASE: Final = 3.0
PATIENCE: Final = 1.0
"""Seconds after which a call without an answer is given up."""

Steps = Generator[bool, None, Any]
"""The steps of a call in the database. It yields whether it could go on; it cannot while it waits for a lock."""


class Loop(asyncio.SelectorEventLoop):
    """An event loop that runs when a test has it run, by a clock that is set."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def run_ready(self) -> None:
        """Run what is due, and what that makes ready."""
        for _ in range(8):
            self.call_soon(self.stop)
            self.run_forever()

    def finish(self) -> None:
        """Cancel everything and close."""
        for task in asyncio.all_tasks(self):
            task.cancel()
        self.run_ready()
        self.close()


@dataclass(eq=False)
class Request:
    """A call to the database that is on its way.

    Attributes:
        server: who has sent it.
        steps: what it does there.
        answer: set when the answer has arrived.
        begun: whether it has reached the database, so that it is not lost.
    """

    server: "Server"
    steps: Steps
    answer: asyncio.Future[Any]
    begun: bool = False
    result: tuple[Any, ...] = ()

    @property
    def kind(self) -> str:
        """What is asked for, as `Database` names it."""
        return str(getattr(self.steps, "__name__", ""))

    def advance(self) -> bool:
        """Take one step and return whether the request is over."""
        self.begun = True
        if self.result:
            if not self.answer.done() and isinstance(self.result[0], Exception):
                self.answer.set_exception(self.result[0])
            elif not self.answer.done():
                self.answer.set_result(self.result[0])
            return True
        try:
            next(self.steps)
        except StopIteration as end:
            self.result = (end.value,)
        except KitewardError as error:
            self.result = (error,)
        return False


class Database:
    """The store of all servers: a revision, the registered servers, one writer at a time, a lock for each row."""

    def __init__(self) -> None:
        self.revision = 1
        self.rows: dict[str, ReplicaRecord] = {}
        self.requests: list[Request] = []
        self.notifications: list[tuple[str, Any]] = []
        self._writing: object = None
        self._locked: set[str] = set()

    def send(self, request: Request) -> None:
        """Take a request, whose steps a test has it go through."""
        self.requests.append(request)

    def commit(self, announcer: str) -> Steps:
        """A transaction that changes something."""
        turn = object()
        yield from self._write(turn)
        replicas = tuple(self.rows.values())
        yield True
        self.revision += 1
        self._writing = None
        self.notifications.append(("changed", (self.revision, announcer if len(self.rows) <= REPORTING else "")))
        return Committed(self.revision, (), replicas)

    def register(self, replica: ReplicaRecord, admit: Callable[[Sequence[ReplicaRecord]], None]) -> Steps:
        turn = object()
        yield from self._write(turn)
        try:
            admit(list(self.rows.values()))
            yield True
            self.rows[replica.replica_id] = replica
        finally:
            self._writing = None

    def renew(self, replica_id: str, applied: int, drained: int, answering: Collection[str]) -> Steps:
        found = self.revision  # the statement sees what was committed when it began, also if it has to wait then
        yield from self._lock(replica_id)
        if replica_id not in self.rows:
            self._locked.discard(replica_id)
            return None
        yield True
        row = self.rows[replica_id]
        self.rows[replica_id] = replace(
            row, renewals=row.renewals + 1, applied_revision=applied, drained_revision=drained
        )
        self._locked.discard(replica_id)
        self.notifications += [("applied", (announcer, applied)) for announcer in answering]
        return found

    def registered(self) -> Steps:
        rows = list(self.rows.values())
        yield True
        return rows

    def behind(self, revision: int) -> Steps:
        rows = {
            each.replica_id: each.applied_revision for each in self.rows.values() if each.applied_revision < revision
        }
        yield True
        return rows

    def read(self) -> Steps:
        """Read what has changed."""
        revision = self.revision
        yield True
        return revision

    def remove(self, replica_id: str, renewals: int | None) -> Steps:
        yield from self._lock(replica_id)
        row = self.rows.get(replica_id)
        try:
            if row is None or renewals not in (None, row.renewals):
                return
            yield True
            del self.rows[replica_id]
        finally:
            self._locked.discard(replica_id)

    def _write(self, turn: object) -> Steps:
        while self._writing is not None:
            yield False
        self._writing = turn

    def _lock(self, replica_id: str) -> Steps:
        while replica_id in self._locked:
            yield False
        self._locked.add(replica_id)


class Connection:
    """The database as one server reaches it. Implements `kiteward.store.sharing.Replicas`."""

    def __init__(self, database: Database, server: "Server") -> None:
        self._database = database
        self._server = server

    async def register(self, replica: ReplicaRecord, admit: Callable[[Sequence[ReplicaRecord]], None]) -> None:
        await self.ask(self._database.register(replica, admit))

    async def renew(
        self, replica_id: str, applied: int, *, drained: int, answering: Collection[str] = ()
    ) -> int | None:
        found: int | None = await self.ask(self._database.renew(replica_id, applied, drained, list(answering)))
        return found

    async def registered(self) -> Sequence[ReplicaRecord]:
        found: list[ReplicaRecord] = await self.ask(self._database.registered())
        return found

    async def behind(self, revision: int) -> Mapping[str, int]:
        found: dict[str, int] = await self.ask(self._database.behind(revision))
        return found

    async def remove(self, replica_id: str, *, renewals: int | None = None) -> None:
        await self.ask(self._database.remove(replica_id, renewals))

    async def ask(self, steps: Steps) -> Any:
        """Send a request and return its answer."""
        request = Request(self._server, steps, self._server.loop.create_future())
        self._database.send(request)
        try:
            async with asyncio.timeout(PATIENCE):
                return await request.answer
        except TimeoutError:
            raise StoreUnreachable("no answer") from None


@dataclass(eq=False)
class Change:
    """A change that a server makes.

    Attributes:
        committed: when the server knew that it was committed, by its own clock; None before.
        revision: what it made.
        acknowledged: whether its caller knows.
    """

    committed: float | None = None
    revision: int = 0
    acknowledged: bool = False


@dataclass(eq=False)
class Server:
    """A server with the real code. Implements `kiteward.gateway.replicas.membership.Policy`."""

    world: "World"
    number: int
    offset: float
    speed: float
    embedded: bool = False
    stopped: bool = False
    cut: bool = False
    applied: int = 0
    changes: list[Change] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    follows: int = 0
    undrained: int = 0

    def __post_init__(self) -> None:
        self.loop: Any = self.world.new_loop(self)
        self.replicas = Connection(self.world.database, self)
        self.lease = Lease(LEASE, self.clock)
        self.acknowledgements = Acknowledgements(self.replicas, clock=self.clock)
        self.membership = Membership(
            self.replicas,
            self,
            me=ReplicaRecord("", f"server {self.number}", LEASE, embedded=self.embedded),
            lease=self.lease,
            acknowledgements=self.acknowledgements,
            clock=self.clock,
        )

    @property
    def token(self) -> str:
        """The name under which it announces changes."""
        return str(self.number)

    def clock(self) -> float:
        """Return the time of its machine."""
        return self.offset + self.world.now * self.speed

    def revision(self) -> int | None:
        return self.applied

    def drained(self) -> int:
        return self.applied - self.undrained

    async def follow_others(self) -> None:
        self.follows += 1
        found = await self.replicas.ask(self.world.database.read())
        self.applied = max(self.applied, found)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin some work in its loop."""
        self.tasks.append(self.loop.create_task(work))
        return self.tasks[-1]

    async def join(self) -> None:
        """Start to serve: load the policy and join."""
        while not self.lease.held():
            with contextlib.suppress(StoreUnavailable):
                await self.follow_others()
                await self.membership.join()

    async def change(self) -> Change:
        """Make a change, and acknowledge it unless it is not known whether it was made."""
        change = Change()
        self.changes.append(change)
        with contextlib.suppress(StoreUnavailable):
            committed = await self.replicas.ask(self.world.database.commit(self.token))
            change.committed, change.revision = self.clock(), committed.revision
            self.applied = max(self.applied, committed.revision)
            await self.acknowledgements.wait(committed)
            change.acknowledged = True
        return change

    def run(self) -> None:
        """Run its loop until now, unless it is stopped."""
        if not self.stopped:
            self.loop.now = self.clock()
            self.loop.run_ready()


class World:
    """All servers, their database, and the time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.database = Database()
        self.servers: list[Server] = []

    def new_loop(self, server: Server) -> Any:
        """Return the event loop of a server."""
        loop = Loop()
        loop.now = server.clock()
        return loop

    def add(self, *, offset: float = 0.0, speed: float = 1.0, embedded: bool = False) -> Server:
        """Add a server and have it join."""
        server = Server(self, len(self.servers), offset, speed, embedded)
        self.servers.append(server)
        server.start(server.join())
        return server

    def run(self) -> None:
        """Run every server that is not stopped, and demand what has to hold at any time.

        Raises:
            AssertionError: a server would decide by a state before an acknowledged change, or a change waits too long.
        """
        for server in self.servers:
            server.run()
        assert stale(self) == []
        assert overdue(self, LEASE) == []

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.run()

    def answer(self, request: Request) -> None:
        """Take one step with a request whose sender is not cut off."""
        if not request.server.cut and request.advance():
            self.database.requests.remove(request)
        self.run()

    def notify(self, position: int, *, lost: bool = False) -> None:
        """Deliver a notification to all who listen and are not cut off, or lose it."""
        kind, content = self.database.notifications.pop(position)
        for server in self.servers:
            if lost or server.cut:
                continue
            if kind == "changed":
                server.loop.call_soon(server.membership.changed, *content)
            elif content[0] == server.token:
                server.loop.call_soon(server.membership.applied, *content[1:])
        self.run()

    def settle(self, seconds: float = 0.0, *, step: float = 0.05) -> None:
        """Let time pass while the database and the network do their work at once."""
        end = self.now + seconds
        while True:
            for _ in range(40):
                self.run()
                if not (self.database.notifications or any(not each.server.cut for each in self.database.requests)):
                    break
                for request in list(self.database.requests):
                    if not request.server.cut and request.advance():
                        self.database.requests.remove(request)
                while self.database.notifications:
                    self.notify(0)
            if self.now >= end:
                return
            self.now = min(end, self.now + step)

    def close(self) -> None:
        """End everything."""
        for server in self.servers:
            server.loop.finish()


def stale(world: World) -> list[tuple[int, int, int]]:
    """Return each server that would decide now by a state before an acknowledged change, with both revisions."""
    acknowledged = max(
        (change.revision for server in world.servers for change in server.changes if change.acknowledged), default=0
    )
    return [
        (server.number, server.applied, acknowledged)
        for server in world.servers
        if server.lease.held() and server.applied < acknowledged
    ]


def overdue(world: World, longest: float) -> list[tuple[int, int]]:
    """Return each server that was to acknowledge a change by now, with the revision."""
    return [
        (server.number, change.revision)
        for server in world.servers
        for change in server.changes
        if not server.stopped
        and change.committed is not None
        and not change.acknowledged
        and server.clock() > change.committed + longest
    ]
