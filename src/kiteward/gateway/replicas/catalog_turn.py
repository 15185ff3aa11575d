"""The turn to change the catalog: one change at a time, on whichever server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from kiteward.domain.errors import LeaseOver
from kiteward.gateway.replicas.shared_locks import SharedLocks, Ticket
from kiteward.store.transaction import Transaction

_CATALOG: Final = ""
"""The name of the lock; no collection has it."""


class OwnTurn:
    """The turn of a server that nobody shares the catalog with: `DdlExecutor` puts its changes in order itself.

    Attributes:
        shared: whether other servers follow what is changed here.
    """

    shared = False

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the turn until the block ends; what has been changed before is known then.

        Raises:
            LeaseOver: this server may not decide.
            StoreError: the store does not respond.
        """
        yield

    def confirm(self) -> None:
        """Require that the turn is still held, before the engine is asked.

        Raises:
            LeaseOver: others may have taken this server for dead.
        """

    async def confirm_in(self, transaction: Transaction) -> None:
        """Require that the turn is held until a transaction ends, in which a change begins. Raises as `confirm`."""


class SharedTurn(OwnTurn):
    """The turn of a server beside others."""

    shared = True

    def __init__(self, locks: SharedLocks, follow_others: Callable[[], Awaitable[None]]) -> None:
        """Set up without the turn.

        Args:
            locks: takes locks among the servers.
            follow_others: applies what others have changed.
        """
        self._locks = locks
        self._follow_others = follow_others
        self._here = asyncio.Lock()
        self._ticket: Ticket | None = None

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        async with self._here:
            self._ticket = ticket = await self._locks.acquire(_CATALOG, alone=True)
            try:
                await self._follow_others()
                yield
            finally:
                self._ticket = None
                self._locks.release(ticket)

    def confirm(self) -> None:
        self._locks.confirm(self._held())

    async def confirm_in(self, transaction: Transaction) -> None:
        if not await transaction.holds(self._held().name):
            raise LeaseOver("this server was taken for dead: repeat the request")

    def _held(self) -> Ticket:
        if self._ticket is None:
            raise RuntimeError("the turn to change the catalog is not held")
        return self._ticket
