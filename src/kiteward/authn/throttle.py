"""Slows guessing down: waits that grow for each user and address, and a lock after many wrong passwords in a row."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FREE_FAILURES: Final = 5
"""Wrong passwords of one user from one address before there are waits."""

FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 15 * 60.0
"""Seconds; each further failure doubles the wait."""

FAILURES_TO_LOCK: Final = 100
"""Wrong passwords of one user in a row, from whatever addresses, that lock the user."""

ADDRESS_BURST: Final = 100
"""Wrong passwords from one address, of whatever users, before their rate counts."""

ADDRESS_RATE: Final = 10.0
"""Wrong passwords a second that are then still looked at: a flood of ever new user names runs no more hashes."""

_WAITING_AT_ONCE: Final = 256
"""Verifications under way and waiting for a thread, at most."""

Pair = tuple[str, str]


@dataclass(slots=True)
class _Failures:
    """What is known of one user at one address."""

    count: int = 0
    running: int = 0
    until: float = 0.0


@dataclass(slots=True)
class _Address:
    """What is known of one address.

    Attributes:
        failures: wrong passwords, those that have been worn off by time left out.
        at: when they were last worn off.
    """

    failures: float
    at: float


class Throttle:
    """Counts failures in memory. What is longest unheard of is forgotten first, so that memory is bounded.

    Users that do not exist are counted like those that do: a wait tells nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, capacity: int = 100_000) -> None:
        """Set up a throttle.

        Args:
            clock: seconds, never going back.
            capacity: most pairs, and most users, remembered at a time.
        """
        self._clock = clock
        self._capacity = capacity
        self._pairs: OrderedDict[Pair, _Failures] = OrderedDict()
        self._hosts: dict[str, set[str]] = {}
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._in_a_row: OrderedDict[str, int] = OrderedDict()
        self._running = 0

    def begin(self, user: str, host: str) -> bool:
        """Tell whether a password may be verified now; if so, `end` must follow.

        Attempts under way count as failures, so that many at once do not slip by before the first has failed.
        """
        if self._running >= _WAITING_AT_ONCE or self._address(host).failures >= ADDRESS_BURST:
            return False
        known = self._pairs.get((user, host))
        if known is not None:
            beyond = known.count + known.running >= FREE_FAILURES
            if self._clock() < known.until or (beyond and known.running):
                return False
        else:
            known = self._pairs[user, host] = _Failures()
            self._hosts.setdefault(user, set()).add(host)
        self._pairs.move_to_end((user, host))
        known.running += 1
        self._running += 1
        while len(self._pairs) > self._capacity:
            self._drop(next(iter(self._pairs)))
        return True

    def end(self, user: str, host: str, *, right: bool | None) -> bool:
        """Note how a verification ended.

        Args:
            user: as in `begin`.
            host: likewise.
            right: whether the password was right; None when it was not found out.

        Returns:
            Whether the user is to be locked.
        """
        self._running -= 1
        known = self._pairs.get((user, host))
        if known is not None:
            known.running -= 1
        if right:
            self._drop((user, host))
            self._in_a_row.pop(user, None)
            return False
        if right is None:
            return False
        self._address(host).failures += 1
        if known is not None:
            known.count += 1
            if known.count >= FREE_FAILURES:
                doubled = FIRST_WAIT * 2.0 ** min(known.count - FREE_FAILURES, 16)
                known.until = self._clock() + min(doubled, LONGEST_WAIT)
        self._in_a_row[user] = self._in_a_row.get(user, 0) + 1
        self._in_a_row.move_to_end(user)
        while len(self._in_a_row) > self._capacity:
            self._in_a_row.popitem(last=False)
        return self._in_a_row[user] >= FAILURES_TO_LOCK

    def forgive(self, user: str) -> None:
        """Forget a user's failures, at whatever address: the user is not what it was."""
        self._in_a_row.pop(user, None)
        for host in self._hosts.get(user, ()):
            known = self._pairs[user, host]
            known.count, known.until = 0, 0.0

    def _address(self, host: str) -> _Address:
        """Return what is known of an address as of now."""
        now = self._clock()
        address = self._addresses.get(host)
        if address is None:
            address = self._addresses[host] = _Address(0.0, now)
            while len(self._addresses) > self._capacity:
                self._addresses.popitem(last=False)
        self._addresses.move_to_end(host)
        address.failures = max(address.failures - (now - address.at) * ADDRESS_RATE, 0.0)
        address.at = now
        return address

    def _drop(self, pair: Pair) -> None:
        if self._pairs.pop(pair, None) is None:
            return
        user, host = pair
        self._hosts[user].discard(host)
        if not self._hosts[user]:
            del self._hosts[user]
