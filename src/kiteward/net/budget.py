"""Bytes that are held for clients: how many there may be for the server, each address and each user.

Everything that a client makes the server hold before its request is answered is taken out of one of two pools: one for
callers that are not authenticated, one for those that are. A pool is shared: nobody takes more of it than is left to
all others, so that whoever comes next finds room.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from kiteward.domain.errors import CapacityExceeded

MEBIBYTE: Final = 1024 * 1024

REQUEST: Final = 8 * 1024
"""Bytes that a request takes beside those that its client sends: it bounds how many there are at once."""

INCLUDED: Final = 4 * 1024
"""Bytes of a body for which `REQUEST` has room."""


@dataclass(frozen=True, slots=True)
class ByteLimits:
    """How many bytes are held.

    Attributes:
        unauthenticated: for all callers that are not authenticated, `kiteward.limits.unauthenticatedBytes`: heads,
            small bodies, and `REQUEST` for each request under way until it is answered.
        unauthenticated_address: of these, for one address, `kiteward.limits.unauthenticatedAddressBytes`.
        authenticated: for all users, `kiteward.limits.authenticatedBytes`: large messages, what they unpack to, and
            answers that wait to be taken.
        address: of these, for one address, `kiteward.limits.addressBytes`.
        user: of these, for one user, `kiteward.limits.userBytes`.
        wait: seconds that an authenticated caller waits for room.
    """

    unauthenticated: int = 128 * MEBIBYTE
    unauthenticated_address: int = 32 * MEBIBYTE
    authenticated: int = 1024 * MEBIBYTE
    address: int = 512 * MEBIBYTE
    user: int = 512 * MEBIBYTE
    wait: float = 20.0


class Share:
    """What one address or user holds of a pool.

    Attributes:
        limit: bytes that it may hold.
        held: bytes that it holds.
    """

    __slots__ = ("__weakref__", "held", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class Pool:
    """Bytes of one kind.

    Attributes:
        limit: bytes that may be held together.
        held: bytes that are held.
        refused: how often there was no room.
    """

    def __init__(self, limit: int) -> None:
        """Begin with nothing held."""
        self.limit = limit
        self.held = 0
        self.refused = 0
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()
        self._waiting: list[asyncio.Future[None]] = []

    def share(self, name: str, limit: int) -> Share:
        """Return the share of a name, which lasts as long as anybody has it."""
        found = self._shares.get(name)
        if found is None:
            found = self._shares[name] = Share(limit)
        return found

    def give_back(self, amount: int) -> None:
        """Hold so many bytes less, and let those look who wait for room."""
        self.held -= amount
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                if not each.done():
                    each.set_result(None)

    async def changed(self) -> None:
        """Wait until something is given back."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future


class Claim:
    """What one connection or request has taken of a pool; `close` gives all of it back.

    Attributes:
        held: bytes of it.
    """

    __slots__ = ("_pool", "_shares", "_wait", "held")

    def __init__(self, pool: Pool, shares: tuple[Share, ...], *, wait: float = 0.0) -> None:
        """Begin with nothing.

        Args:
            pool: what it takes from.
            shares: whose it is.
            wait: seconds that `wait_for` waits.
        """
        self._pool = pool
        self._shares = shares
        self._wait = wait
        self.held = 0

    def take(self, amount: int) -> bool:
        """Take so many bytes more, all or nothing, and return whether there was room."""
        if self._take(amount):
            return True
        self._pool.refused += 1
        return False

    def give_back(self, amount: int) -> None:
        """Give so many bytes back."""
        self.held -= amount
        for share in self._shares:
            share.held -= amount
        self._pool.give_back(amount)

    def resize(self, amount: int) -> bool:
        """Hold just so many bytes, and return whether there was room; without, as many are held as before."""
        more = amount - self.held
        if more > 0:
            return self.take(more)
        if more:
            self.give_back(-more)
        return True

    async def wait_for(self, amount: int) -> None:
        """Take so many bytes more, once there is room.

        Raises:
            CapacityExceeded: there never is, or not in time.
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
        """Give everything back."""
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
        """Return whether there would be room if nobody else held anything."""
        wanted = self.held + amount
        return 2 * wanted <= self._pool.limit and all(wanted <= share.limit for share in self._shares)


class Budget:
    """The pools of a server.

    Attributes:
        unauthenticated: of callers that are not authenticated.
        authenticated: of those that are.
    """

    def __init__(self, limits: ByteLimits | None = None) -> None:
        """Begin with nothing held."""
        self.limits = limits or ByteLimits()
        self.unauthenticated = Pool(self.limits.unauthenticated)
        self.authenticated = Pool(self.limits.authenticated)

    def of_source(self, source: str) -> Claim:
        """Return a claim of somebody at an address who is not authenticated."""
        share = self.unauthenticated.share(source, self.limits.unauthenticated_address)
        return Claim(self.unauthenticated, (share,))

    def of_answers(self, source: str) -> Claim:
        """Return a claim for answers that wait to be taken at an address."""
        return Claim(self.authenticated, (self._address(source),))

    def of_user(self, user: str, source: str) -> Claim:
        """Return a claim of a user at an address."""
        shares = (self._address(source), self.authenticated.share(f"user {user}", self.limits.user))
        return Claim(self.authenticated, shares, wait=self.limits.wait)

    def _address(self, source: str) -> Share:
        return self.authenticated.share(f"address {source}", self.limits.address)

    def usage(self) -> Mapping[str, tuple[int, int, int]]:
        """Return of each pool by name how many bytes are held and may be, and how often there was no room."""
        pools = {"unauthenticated": self.unauthenticated, "authenticated": self.authenticated}
        return {name: (pool.held, pool.limit, pool.refused) for name, pool in pools.items()}
