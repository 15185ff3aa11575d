"""Locks that hold among all servers on a store, each for as long as its server is registered.

A lock is a ticket in the store. It stays there whatever becomes of connections and of the database, until it is
released, or until its server was removed because its lease was over. So nobody else holds the lock as long as this
server decides, and `confirm` refuses once it was removed.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from kiteward.domain.errors import LeaseOver, StoreError
from kiteward.gateway.replicas.lease import Lease, elapsed
from kiteward.gateway.replicas.watch import LOOK, Watch
from kiteward.store.sharing import Locks, Replicas

_RETRY: Final = 0.2
"""Seconds between two attempts to release a lock."""

_LONGEST_PAUSE: Final = 0.2
"""Most seconds between two looks whether a lock is free."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A lock that was asked for.

    Attributes:
        name: its name in the store.
        replica_id: the registration of this server that it belongs to.
    """

    name: str
    replica_id: str


class SharedLocks:
    """Takes locks in the order in which servers ask for them."""

    def __init__(
        self,
        locks: Locks,
        replicas: Replicas,
        *,
        own_id: Callable[[], str],
        lease: Lease,
        clock: Callable[[], float] = elapsed,
    ) -> None:
        """Set up without any lock.

        Args:
            locks: the store's.
            replicas: the servers; one that is dead and holds a lock is removed.
            own_id: returns the id under which this server is registered.
            lease: the lease of this server.
            clock: seconds of a clock that also counts while the process is suspended.
        """
        self._locks = locks
        self._replicas = replicas
        self._own_id = own_id
        self._lease = lease
        self._clock = clock
        self._releasing: set[asyncio.Task[None]] = set()

    async def acquire(self, name: str, *, alone: bool) -> Ticket:
        """Wait for a lock and return the ticket that holds it.

        Args:
            name: the lock.
            alone: whether nobody else may hold it meanwhile; else nobody else who wants it alone.

        Raises:
            LeaseOver: this server may not decide.
            StoreUnavailable: the store does not respond; the lock is not held.
        """
        ticket = Ticket(secrets.token_hex(16), self._own_id())
        request = asyncio.create_task(self._locks.request(ticket.name, name, replica_id=ticket.replica_id, alone=alone))
        try:
            await asyncio.shield(request)
            await self._wait(ticket)
        except BaseException:
            self._start(self._give_up(ticket, request))
            raise
        return ticket

    def confirm(self, ticket: Ticket) -> None:
        """Require that a lock is still held.

        Raises:
            LeaseOver: others may have taken this server for dead.
        """
        if ticket.replica_id != self._own_id() or not self._lease.held():
            raise LeaseOver("this server has lost contact with its store, and with it a lock: repeat the request")

    def release(self, ticket: Ticket) -> None:
        """Give a lock back, as soon as the store responds."""
        self._start(self._release(ticket))

    async def close(self) -> None:
        """Give up what was not released; it ends when this server is removed."""
        for task in self._releasing:
            task.cancel()
        if self._releasing:
            await asyncio.wait(self._releasing)

    async def _wait(self, ticket: Ticket) -> None:
        watch, pause = Watch(self._clock), LOOK
        while before := await self._before(ticket):
            for dead in watch.over(each for each in before if each.replica_id != ticket.replica_id):
                await self._replicas.remove(dead.replica_id, renewals=dead.renewals)
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE, 1.5 * pause)  # all who wait look over one connection

    async def _before(self, ticket: Ticket) -> Any:
        before = await self._locks.before(ticket.name)
        if before is None:
            raise LeaseOver("this server was taken for dead while it waited for a lock: repeat the request")
        return before

    async def _give_up(self, ticket: Ticket, request: "asyncio.Task[None]") -> None:
        """Release a ticket of which is not known whether the store has it, or will have it."""
        await asyncio.wait([request])
        if request.cancelled() or request.exception() is not None:
            await self._insist(ticket, lambda: self._locks.withdraw(ticket.name, replica_id=ticket.replica_id))
        else:
            await self._release(ticket)

    async def _release(self, ticket: Ticket) -> None:
        await self._insist(ticket, lambda: self._locks.release(ticket.name))

    async def _insist(self, ticket: Ticket, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat something about a ticket until the store responds, or all tickets of its server are gone."""
        while ticket.replica_id == self._own_id():
            with contextlib.suppress(StoreError):
                await work()
                return
            await asyncio.sleep(_RETRY)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work, name="releasing a lock")
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)
