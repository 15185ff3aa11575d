"""Counts whose requests were refused, and which, in the last day. In memory, of one process, and bounded."""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

_HOUR: Final = 3600
_HOURS: Final = 24
_MOST: Final = 500
"""Most different refusals that are kept of one hour. Further ones are counted together."""

_LONGEST: Final = 255
"""Characters that are kept of a name. Names are no longer by default, and a refused request may name anything."""


class Refused(NamedTuple):
    """What was refused to whom.

    Attributes:
        user: the user.
        operation: the operation.
        database: its database; empty where it has none.
        collection: the first collection that it names; empty where it names none.
    """

    user: str
    operation: str
    database: str = ""
    collection: str = ""


class RefusalCounts:
    """Counts refusals by user, operation and collection."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._hours: dict[int, Counter[Refused]] = {}
        self._others: Counter[int] = Counter()

    def add(self, refused: Refused) -> None:
        """Count one refusal."""
        refused = refused._replace(database=refused.database[:_LONGEST], collection=refused.collection[:_LONGEST])
        hour = self._hour()
        counts = self._hours.get(hour)
        if counts is None:
            self._forget(hour)
            counts = self._hours[hour] = Counter()
        if refused in counts or len(counts) < _MOST:
            counts[refused] += 1
        else:
            self._others[hour] += 1

    def top(self, most: int) -> Sequence[tuple[Refused, int]]:
        """Return the most frequent refusals of the last 24 hours and how often each was made, most frequent first."""
        self._forget(self._hour())
        total: Counter[Refused] = Counter()
        for counts in self._hours.values():
            total.update(counts)
        return sorted(total.items(), key=lambda each: (-each[1], each[0]))[:most]

    def others(self) -> int:
        """Return how many refusals of the last 24 hours were counted together, because there were too many kinds."""
        self._forget(self._hour())
        return self._others.total()

    def _hour(self) -> int:
        return math.floor(self._clock() / _HOUR)

    def _forget(self, hour: int) -> None:
        for each in [each for each in self._hours if not hour - _HOURS < each <= hour]:
            del self._hours[each]
            self._others.pop(each, None)
