"""What the server that makes a change waits for: that no other one can decide by the state before it."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final

from kiteward.domain.errors import StoreError
from kiteward.gateway.replicas.lease import elapsed
from kiteward.gateway.replicas.watch import LOOK, Watch
from kiteward.store.records import Committed, ReplicaRecord, Subject
from kiteward.store.sharing import Replicas

POLL: Final = 0.02
"""Seconds between two looks at the other servers while a change waits for them. If they are few, they report before."""

_LONGEST: Final = 330.0
"""Seconds after which no write can be in progress any more that had begun before a change: an engine gets 300."""

_DRAINED: Final = frozenset({Subject.CATALOG, Subject.COLLECTION})
"""What keeps writes apart that were authorized before it."""


class _Waiting:
    """A committed change that waits for others.

    Attributes:
        revision: what it made.
        since: when it was known to be committed.
        others: the servers that have not applied it, by id.
        done: set when there are none.
    """

    __slots__ = ("done", "others", "revision", "since")

    def __init__(self, revision: int, since: float, others: Iterable[ReplicaRecord]) -> None:
        self.revision = revision
        self.since = since
        self.others = {replica.replica_id: replica for replica in others}
        self.done = asyncio.Event()

    def drop(self, replica_id: str) -> None:
        """Wait for a server no more."""
        self.others.pop(replica_id, None)
        if not self.others:
            self.done.set()

    def over(self, now: float) -> list[ReplicaRecord]:
        """Return the servers whose leases have ended: each lasts from before the change was committed."""
        return [replica for replica in self.others.values() if now >= self.since + replica.lease]

    def next_end(self) -> float:
        """Return when the next lease ends."""
        return self.since + min(replica.lease for replica in self.others.values())


class Acknowledgements:
    """Waits until each other server has applied a change, is gone, or may no longer decide.

    Implements `kiteward.store.sharing.ReplicaListener` for a process that is no server, such as the command line.

    A change waits at most for one lease. A server that one was waited for is removed unless it has renewed its lease
    meanwhile, so that only the first change waits for a server that is dead; it registers again when it is back.

    Attributes:
        own_id: the id under which this process is registered; empty if it is not.
        late: how many servers were waited for until their leases ended.
    """

    def __init__(
        self,
        replicas: Replicas,
        *,
        observe: Callable[[float], None] = lambda _: None,
        clock: Callable[[], float] = elapsed,
    ) -> None:
        """Set up without anything to wait for.

        Args:
            replicas: the servers.
            observe: called with the seconds that each change has waited.
            clock: seconds of a clock that also counts while the process is suspended.
        """
        self._replicas = replicas
        self._observe = observe
        self._clock = clock
        self._reported = 0
        self._news = asyncio.Event()
        self._waiting: dict[_Waiting, None] = {}  # in the order in which they came
        self._dead: dict[str, int] = {}
        self._work: asyncio.Task[None] | None = None
        self.own_id = ""
        self.late = 0

    def changed(self, revision: int, announcer: str) -> None:
        """Do nothing: what applies changes of others is another listener, where there is one."""

    def applied(self, revision: int) -> None:
        """Look soon, because a server may have applied a revision. It counts only when the store says so."""
        self._reported = max(self._reported, revision)
        if self._waiting:
            self._news.set()

    async def wait(self, committed: Committed) -> None:
        """Wait until no other server can decide by the state before a change.

        Whether the store can be reached does not matter: then each lease expires. After a change of the catalog or of
        row policies, also wait until no other server writes what it has decided before, to a collection that is
        concerned.

        Args:
            committed: the change, of this process.
        """
        since, revision = self._clock(), committed.revision
        behind = [
            replica
            for replica in committed.replicas
            if replica.replica_id != self.own_id and replica.applied_revision < revision
        ]
        if behind:
            await self._wait(_Waiting(revision, since, behind))
        self._observe(self._clock() - since)
        if any(change.subject in _DRAINED for change in committed.changes):
            await self._drain(revision, since)

    async def close(self) -> None:
        """Stop looking at other servers."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._work

    async def _wait(self, waiting: _Waiting) -> None:
        self._waiting[waiting] = None
        self._look_after(waiting.revision)
        try:
            while waiting.others:
                for replica in waiting.over(self._clock()):
                    waiting.drop(replica.replica_id)
                    self.late += 1
                    self._dead.setdefault(replica.replica_id, replica.renewals)
                if waiting.others:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(waiting.next_end() - self._clock()):
                            await waiting.done.wait()
        finally:
            self._waiting.pop(waiting, None)

    async def _drain(self, revision: int, since: float) -> None:
        """Wait until the writes of other servers have ended that a revision keeps apart, or those servers are dead."""
        watch = Watch(self._clock)
        while self._clock() < since + _LONGEST:
            with contextlib.suppress(StoreError):
                others = [each for each in await self._replicas.registered() if each.replica_id != self.own_id]
                undrained = [each for each in others if each.drained_revision < revision]
                if not undrained:
                    return
                for dead in watch.over(undrained):
                    await self._replicas.remove(dead.replica_id, renewals=dead.renewals)
            await asyncio.sleep(LOOK)

    def _look_after(self, revision: int) -> None:
        if revision <= self._reported:
            self._news.set()
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._look(), name="waiting for other servers")

    async def _look(self) -> None:
        """While changes wait, look whether others have applied them or are gone; then remove those that are dead."""
        while self._waiting or self._dead:
            if self._waiting:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL):
                        await self._news.wait()
            self._news.clear()
            with contextlib.suppress(StoreError):
                await self._remove_dead()
                await self._read()

    async def _read(self) -> None:
        # A server that registers before a change may be missing in what was read before that change.
        asked = list(self._waiting)
        if not asked:
            return
        behind = await self._replicas.behind(max(waiting.revision for waiting in asked))
        for waiting in asked:
            for replica_id in list(waiting.others):
                if behind.get(replica_id, waiting.revision) >= waiting.revision:
                    waiting.drop(replica_id)

    async def _remove_dead(self) -> None:
        """Remove servers whose leases were waited for, unless they were renewed. One attempt is made for each."""
        while self._dead:
            replica_id, renewals = self._dead.popitem()
            await self._replicas.remove(replica_id, renewals=renewals)
