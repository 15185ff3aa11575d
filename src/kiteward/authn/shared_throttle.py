"""Limits guessing over all servers that share a store, by the rules of the throttle of one.

Before a password is verified, the attempt is counted in the store as if it were wrong; a right one takes that back. So
attempts at several servers are limited as they are at one, also where they are made at the same time. A password that
is cached is accepted without the store, unless an attempt from its source was refused here.
"""

from enum import Enum, auto
from typing import Final, Protocol

from kiteward.authn.throttle import (
    FAILURES_TO_LOCK,
    FIRST_WAIT,
    FORGOTTEN_AFTER,
    FREE_FAILURES,
    LONGEST_WAIT,
    SOURCE_BURST,
    SOURCE_RATE,
    Throttle,
)
from kiteward.store.base import Attempts
from kiteward.store.sign_in_failures import AttemptRules

_LOST_AFTER: Final = 60.0
"""Seconds after which an attempt is taken for lost, because its server has stopped; a hash takes far less."""

_CAPACITY: Final = 300_000
"""Rows of users, of sources and of both together."""


def _waits() -> tuple[float, ...]:
    waits = [FIRST_WAIT]
    while waits[-1] < LONGEST_WAIT:
        waits.append(min(2.0 * waits[-1], LONGEST_WAIT))
    return tuple(waits)


RULES: Final = AttemptRules(
    free=FREE_FAILURES,
    waits=_waits(),
    forgotten_after=FORGOTTEN_AFTER,
    lost_after=_LOST_AFTER,
    source_burst=SOURCE_BURST,
    source_rate=SOURCE_RATE,
    capacity=_CAPACITY,
)


class Admission(Enum):
    """Whether a password may be verified."""

    BEGUN = auto()
    REFUSED = auto()
    BUSY = auto()
    """Not before others of the same user and source are verified, which takes a moment."""


class AttemptLimits(Protocol):
    """Decides about attempts that the throttle of this server has let begin, and counts how they end."""

    @property
    def throttle(self) -> Throttle:
        """What limits guessing at this server."""
        ...

    async def begin(self, user: str, source: str) -> Admission:
        """Return whether a password may be verified now. If so, the caller must call `end`.

        Raises:
            StoreUnavailable: that is not known.
        """
        ...

    async def end(self, user: str, source: str, *, right: bool | None) -> bool:
        """Record the result, as `Throttle.end` does, and return whether the user is to be locked.

        Raises:
            StoreUnavailable: it is not known whether it was recorded; nobody must get to know the result.
        """
        ...


class OwnLimits:
    """Implements `AttemptLimits` for a single server: its throttle has counted everything."""

    def __init__(self, throttle: Throttle) -> None:
        self.throttle = throttle

    async def begin(self, _user: str, _source: str) -> Admission:
        return Admission.BEGUN

    async def end(self, user: str, source: str, *, right: bool | None) -> bool:
        return self.throttle.end(user, source, right=right)


class SharedLimits:
    """Implements `AttemptLimits` for servers that share a store. The throttle of this one follows what is stored."""

    def __init__(self, throttle: Throttle, attempts: Attempts) -> None:
        """Take what is counted here, and what is counted for all.

        Args:
            throttle: of this server.
            attempts: of all servers.
        """
        self.throttle = throttle
        self._attempts = attempts

    async def begin(self, user: str, source: str) -> Admission:
        held = await self._attempts.begin(user, source, RULES)
        if not held.begun and held.wait <= 0.0 and held.source_failures < SOURCE_BURST:
            return Admission.BUSY
        self.throttle.follow(user, source, held)
        return Admission.BEGUN if held.begun else Admission.REFUSED

    async def end(self, user: str, source: str, *, right: bool | None) -> bool:
        self.throttle.end(user, source, right=right)
        in_a_row = await self._attempts.end(user, source, RULES, right=right)
        return in_a_row > 0 and in_a_row % FAILURES_TO_LOCK == 0
