"""Limits guessing: growing waits for each user and source, and a lock after many wrong passwords in a row.

A source is an IPv4 address or an IPv6 network of 64 bits. User names are kept as keyed digests of 16 bytes, so that
the memory used does not depend on presented names.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from kiteward.store.records import AttemptsHeld

FREE_FAILURES: Final = 5
"""Wrong passwords of one user from one source before there are waits."""

FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 15 * 60.0
"""Seconds; each further failure doubles the wait."""

FAILURES_TO_LOCK: Final = 100
"""Wrong passwords of one user in a row, from all sources together, after which the user is locked."""

FREE_REFUSALS: Final = 20
"""Attempts of one user from one source refused during waits, after which waits apply to cached passwords too."""

FORGOTTEN_AFTER: Final = 24 * 3600.0
"""Seconds without a wrong password after which earlier ones no longer count, so that typing errors do not add up."""

SOURCE_BURST: Final = 100
"""Wrong passwords from one source, for any users, before their rate is limited."""

SOURCE_RATE: Final = 10.0
"""Wrong passwords a second that are then still verified, so that a flood of new user names causes few hashes."""

_DIGEST_BYTES: Final = 16

PairName = tuple[bytes, str]
"""Digest of a user name, and source."""


@dataclass(slots=True)
class _Failures:
    """Wrong passwords or refused attempts in a row.

    Attributes:
        count: their number.
        at: when the last one was, in seconds of the throttle's clock.
    """

    count: int = 0
    at: float = 0.0

    def as_of(self, now: float) -> int:
        """Return their number at a time; zero once they are too old to count."""
        if now - self.at > FORGOTTEN_AFTER:
            self.count = 0
        return self.count

    def add(self, now: float) -> int:
        """Count another one and return their number."""
        self.count = self.as_of(now) + 1
        self.at = now
        return self.count


@dataclass(slots=True)
class _Pair:
    """State of one user at one source.

    Attributes:
        failures: wrong passwords of this user from this source.
        refusals: attempts that were refused without verification.
        running: verifications in progress.
        until: when the next verification is allowed, in seconds of the throttle's clock.
    """

    failures: _Failures = field(default_factory=_Failures)
    refusals: _Failures = field(default_factory=_Failures)
    running: int = 0
    until: float = 0.0


@dataclass(slots=True)
class _Source:
    """State of one source.

    Attributes:
        failures: wrong passwords, reduced over time at `SOURCE_RATE`.
        at: when they were last reduced, in seconds of the throttle's clock.
    """

    failures: float
    at: float


class Throttle:
    """Counts failures in memory of limited size: the entries that were unused longest are removed first.

    A new user at a new source takes about 1,000 bytes, whatever the name: 100 MB for 100,000. Failures are counted for
    users that do not exist as for those that do, so that a wait reveals nothing.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        capacity: int = 100_000,
        alone: bool = True,
    ) -> None:
        """Set up a throttle without failures.

        Args:
            clock: returns seconds and never goes back.
            capacity: most pairs, most users and most sources that are kept.
            alone: whether nobody else counts. Otherwise a wait may be known only by an attempt that it has refused.
        """
        self._clock = clock
        self._alone = alone
        self._capacity = capacity
        self._key = secrets.token_bytes(32)
        self._pairs: OrderedDict[PairName, _Pair] = OrderedDict()
        self._sources_of: dict[bytes, set[str]] = {}
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._in_a_row: OrderedDict[bytes, _Failures] = OrderedDict()

    def refuses(self, user: str, source: str) -> bool:
        """Return whether a user's passwords from this source are refused without verification now; if so, count it.

        Attempts in progress count as failures, so that simultaneous attempts cannot evade the limit.
        """
        known = self._known(user, source)
        if known is None:
            return False
        now = self._clock()
        beyond = known.failures.as_of(now) + known.running >= FREE_FAILURES
        if now >= known.until and not (beyond and known.running):
            return False
        known.refusals.add(now)
        return True

    def note_refusal(self, user: str, source: str) -> None:
        """Count an attempt that had begun and is refused without verification."""
        known = self._known(user, source)
        if known is not None:
            known.refusals.add(self._clock())

    def spares(self, user: str, source: str) -> bool:
        """Return whether cached passwords of a user from this source are exempt from waits.

        Each attempt that is refused without verification is a guess at a cached password, so few are allowed. Where
        others count too, none is, and nothing is exempt while an attempt is in progress.
        """
        if self._source(source).failures >= SOURCE_BURST:
            return False
        known = self._known(user, source)
        if known is None:
            return True
        refusals = known.refusals.as_of(self._clock())
        return refusals < FREE_REFUSALS if self._alone else not (refusals or known.running)

    def begin(self, user: str, source: str) -> bool:
        """Return whether a password may be verified now. If so, the caller must call `end`."""
        if self._source(source).failures >= SOURCE_BURST or self.refuses(user, source):
            return False
        digest = self._digest(user)
        known = self._pairs.get((digest, source))
        if known is None:
            known = self._pairs[digest, source] = _Pair()
            self._sources_of.setdefault(digest, set()).add(source)
        self._pairs.move_to_end((digest, source))
        known.running += 1
        while len(self._pairs) > self._capacity:
            self._drop(next(iter(self._pairs)))
        return True

    def end(self, user: str, source: str, *, right: bool | None) -> bool:
        """Record the result of a verification.

        Args:
            user: as in `begin`.
            source: likewise.
            right: whether the password was right; None when that was not established.

        Returns:
            Whether the user is to be locked.
        """
        digest = self._digest(user)
        known = self._pairs.get((digest, source))
        if known is not None:
            known.running -= 1
        if right:
            self._drop((digest, source))
            self._in_a_row.pop(digest, None)
            return False
        if right is None:
            return False
        now = self._clock()
        self._source(source).failures += 1
        if known is not None:
            count = known.failures.add(now)
            if count >= FREE_FAILURES:
                known.until = now + min(FIRST_WAIT * 2.0 ** min(count - FREE_FAILURES, 16), LONGEST_WAIT)
        in_a_row = self._in_a_row.setdefault(digest, _Failures()).add(now)
        self._in_a_row.move_to_end(digest)
        while len(self._in_a_row) > self._capacity:
            self._in_a_row.popitem(last=False)
        return in_a_row % FAILURES_TO_LOCK == 0

    def follow(self, user: str, source: str, held: AttemptsHeld) -> None:
        """Take over what servers that share a store have counted together, for an attempt that was begun here.

        Args:
            user: as in `begin`.
            source: likewise.
            held: what they have counted.
        """
        now = self._clock()
        known = self._known(user, source)
        if known is not None:
            known.failures = _Failures(held.failures, now)
            known.until = now + held.wait if held.wait > 0.0 else 0.0
        if held.source_failures >= SOURCE_BURST:
            here = self._source(source)
            here.failures = max(here.failures, held.source_failures)

    def clear_failures(self, user: str) -> None:
        """Reset a user's failure count, for all sources."""
        digest = self._digest(user)
        self._in_a_row.pop(digest, None)
        for source in self._sources_of.get(digest, ()):
            known = self._pairs[digest, source]
            known.failures, known.refusals, known.until = _Failures(), _Failures(), 0.0

    def _known(self, user: str, source: str) -> _Pair | None:
        return self._pairs.get((self._digest(user), source)) if self._pairs else None

    def _digest(self, user: str) -> bytes:
        encoded = user.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(encoded, key=self._key, digest_size=_DIGEST_BYTES).digest()

    def _source(self, name: str) -> _Source:
        """Return the current state of a source."""
        now = self._clock()
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = _Source(0.0, now)
            while len(self._sources) > self._capacity:
                self._sources.popitem(last=False)
        self._sources.move_to_end(name)
        source.failures = max(source.failures - (now - source.at) * SOURCE_RATE, 0.0)
        source.at = now
        return source

    def _drop(self, pair: PairName) -> None:
        if self._pairs.pop(pair, None) is None:
            return
        digest, source = pair
        self._sources_of[digest].discard(source)
        if not self._sources_of[digest]:
            del self._sources_of[digest]
