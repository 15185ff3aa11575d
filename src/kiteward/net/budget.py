"""The memory budget: how many bytes the server holds for clients, in total, for each address and for each user.

All bytes that a client makes the server hold until its response is sent are reserved in one of two pools: one for
unauthenticated callers, one for authenticated ones. No address or user may reserve more of a pool than it leaves to all
others, so that a new client finds room.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self
from weakref import WeakValueDictionary

from kiteward.domain.errors import CapacityExceeded

MEBIBYTE: Final = 1024 * 1024

REQUEST: Final = 8 * 1024
"""Bytes that are reserved for a request besides those that its client sends; this limits concurrent requests."""

INCLUDED: Final = 4 * 1024
"""Bytes of a body that `REQUEST` includes."""


@dataclass(frozen=True, slots=True)
class ByteLimits:
    """The limits of the memory budget, in bytes.

    Attributes:
        unauthenticated: for all unauthenticated callers, `kiteward.limits.unauthenticatedBytes`: heads, small bodies,
            and `REQUEST` for each request in flight.
        unauthenticated_address: of these, for one address, `kiteward.limits.unauthenticatedAddressBytes`.
        authenticated: for all users, `kiteward.limits.authenticatedBytes`: large messages, their decompressed form, and
            responses that clients have not read yet.
        address: of these, for one address, `kiteward.limits.addressBytes`.
        user: of these, for one user, `kiteward.limits.userBytes`.
        wait: seconds that a request of an authenticated caller waits for room.
    """

    unauthenticated: int = 128 * MEBIBYTE
    unauthenticated_address: int = 32 * MEBIBYTE
    authenticated: int = 1024 * MEBIBYTE
    address: int = 512 * MEBIBYTE
    user: int = 512 * MEBIBYTE
    wait: float = 20.0

    def share(self, processes: int) -> Self:
        """Return the limits of one of several processes of a server, each of at least one MiB."""

        def part(limit: int) -> int:
            return max(limit // processes, MEBIBYTE)

        return replace(
            self,
            unauthenticated=part(self.unauthenticated),
            unauthenticated_address=part(self.unauthenticated_address),
            authenticated=part(self.authenticated),
            address=part(self.address),
            user=part(self.user),
        )


class Share:
    """The share of one address or user in a pool.

    Attributes:
        limit: bytes that may be reserved in it.
        held: bytes that are reserved in it.
    """

    __slots__ = ("__weakref__", "held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class Pool:
    """A limited number of bytes that claims reserve.

    Attributes:
        limit: bytes that may be reserved in all.
        held: bytes that are reserved.
        refused: how often a reservation failed because there was no room.
    """

    def __init__(self, limit: int) -> None:
        """Create an empty pool.

        Args:
            limit: bytes that may be reserved in all.
        """
        self.limit = limit
        self.held = 0
        self.refused = 0
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()
        self._waiting: list[asyncio.Future[None]] = []

    def share(self, name: str, limit: int) -> Share:
        """Return the share of an address or user; it exists as long as a claim refers to it.

        Args:
            name: identifies the address or user.
            limit: bytes that may be reserved in it, if it is created.
        """
        found = self._shares.get(name)
        if found is None:
            found = self._shares[name] = Share(limit)
        return found

    def give_back(self, amount: int) -> None:
        """Release `amount` bytes and wake the tasks that wait for room."""
        self.held -= amount
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                if not each.done():
                    each.set_result(None)

    async def changed(self) -> None:
        """Wait until bytes are released."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future


class Claim:
    """The bytes that one connection or request has reserved in a pool; `close` releases all of them.

    Attributes:
        held: bytes that it has reserved.
    """

    __slots__ = ("_pool", "_shares", "_wait", "held")

    def __init__(self, pool: Pool, shares: tuple[Share, ...], *, wait: float = 0.0) -> None:
        """Create a claim that has reserved nothing.

        Args:
            pool: where it reserves bytes.
            shares: the shares of its address and user, whose limits apply too.
            wait: seconds that `wait_for` waits at most.
        """
        self._pool = pool
        self._shares = shares
        self._wait = wait
        self.held = 0

    def take(self, amount: int) -> bool:
        """Reserve `amount` bytes more, all or none, and return whether there was room."""
        if self._take(amount):
            return True
        self._pool.refused += 1
        return False

    def give_back(self, amount: int) -> None:
        """Release `amount` bytes."""
        self.held -= amount
        for share in self._shares:
            share.held -= amount
        self._pool.give_back(amount)

    def resize(self, amount: int) -> bool:
        """Change what is reserved to `amount` bytes, and return whether there was room; if not, nothing changes."""
        more = amount - self.held
        if more > 0:
            return self.take(more)
        if more:
            self.give_back(-more)
        return True

    async def wait_for(self, amount: int) -> None:
        """Reserve `amount` bytes more as soon as there is room.

        Raises:
            CapacityExceeded: they exceed a limit, or there was no room in time.
        """
        try:
            async with asyncio.timeout(self._wait if self._ever(amount) else 0):
                while not self._take(amount):
                    await self._pool.changed()
        except TimeoutError:
            self._pool.refused += 1
            raise CapacityExceeded(
                f"the memory limit does not allow {amount} more bytes: try again later or send smaller requests"
            ) from None

    def close(self) -> None:
        """Release everything."""
        self.give_back(self.held)

    def _take(self, amount: int) -> bool:
        pool = self._pool
        held = pool.held + amount
        left = pool.limit - held
        for share in self._shares:
            wanted = share.held + amount
            if wanted > left or wanted > share.limit:
                return False
        for share in self._shares:
            share.held += amount
        pool.held = held
        self.held += amount
        return True

    def _ever(self, amount: int) -> bool:
        """Return whether there would be room if no other claim had reserved anything."""
        wanted = self.held + amount
        return 2 * wanted <= self._pool.limit and all(wanted <= share.limit for share in self._shares)


class Budget:
    """The two pools of a server.

    Attributes:
        unauthenticated: for unauthenticated callers.
        authenticated: for authenticated callers.
    """

    def __init__(self, limits: ByteLimits | None = None) -> None:
        """Create empty pools with the given limits; None takes the defaults."""
        self.limits = limits or ByteLimits()
        self.unauthenticated = Pool(self.limits.unauthenticated)
        self.authenticated = Pool(self.limits.authenticated)

    def of_source(self, source: str) -> Claim:
        """Return a claim for an unauthenticated caller from a source."""
        share = self.unauthenticated.share(source, self.limits.unauthenticated_address)
        return Claim(self.unauthenticated, (share,))

    def of_address(self, source: str) -> Claim:
        """Return a claim for what authenticated callers from a source make the server hold, whoever they are."""
        return Claim(self.authenticated, (self._address(source),))

    def of_user(self, user: str, source: str) -> Claim:
        """Return a claim for a user who calls from a source."""
        shares = (self._address(source), self.authenticated.share(f"user {user}", self.limits.user))
        return Claim(self.authenticated, shares, wait=self.limits.wait)

    def _address(self, source: str) -> Share:
        return self.authenticated.share(f"address {source}", self.limits.address)

    def usage(self) -> Mapping[str, tuple[int, int, int]]:
        """Return for each pool by name: bytes reserved, its limit in bytes, and how often there was no room."""
        pools = {"unauthenticated": self.unauthenticated, "authenticated": self.authenticated}
        return {name: (pool.held, pool.limit, pool.refused) for name, pool in pools.items()}
