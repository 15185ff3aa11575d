"""Shares a few slots among sources, so that no source can delay another indefinitely."""

import asyncio
from collections import Counter, OrderedDict, deque
from typing import Final

MOST_WAITING: Final = 512
"""Most attempts that wait for a slot."""

LONGEST_WAIT: Final = 10.0
"""Seconds that an attempt waits for a slot, at most."""

LATELY: Final = 1.0
"""Seconds for which a source that has come counts as one that comes."""


class FairQueue:
    """Assigns slots to attempts, fairly by source.

    The next slot goes to the source that was served longest ago, or never. Attempts of one source are served in order.
    While other sources come, a source may be kept from having all slots, so that those wait for less.
    When too many wait, an attempt of a source with less than its share displaces the latest attempt of the source with
    the most waiting attempts. An attempt of a source that has its share is refused.
    """

    def __init__(
        self,
        places: int,
        *,
        most_each: int | None = None,
        most_waiting: int = MOST_WAITING,
        longest_wait: float = LONGEST_WAIT,
        capacity: int = 100_000,
    ) -> None:
        """Set up an empty queue.

        Args:
            places: attempts that run at the same time.
            most_each: how many of them may be of one source while others have slots, wait for one, or came within the
                last `LATELY` seconds; None for all.
            most_waiting: most attempts that wait.
            longest_wait: seconds that each waits, at most.
            capacity: most sources whose service order is kept; the one served longest ago is removed first.
        """
        self._places = self._free = places
        self._most_each = places if most_each is None else most_each
        self._most_waiting = most_waiting
        self._longest_wait = longest_wait
        self._capacity = capacity
        self._waiting: dict[str, deque[asyncio.Future[bool]]] = {}
        self._count = 0
        self._served: OrderedDict[str, int] = OrderedDict()
        self._number = 0
        self._held: Counter[str] = Counter()
        self._latest = self._latest_other = ("", -LATELY)

    def is_free_for(self, source: str) -> bool:
        """Return whether the next attempt of a source gets a slot at once."""
        return self._free > 0 and (self._held[source] < self._most_each or not self._others_come(source))

    async def take(self, source: str) -> bool:
        """Wait for a slot, and return whether it was assigned. If so, the caller must call `give_back`."""
        self._note_came(source)
        if self.is_free_for(source):
            self._note_served(source)
            return True
        if self._count >= self._most_waiting and not self._make_room(source):
            return False
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(source, deque()).append(place)
        self._count += 1
        try:
            async with asyncio.timeout(self._longest_wait):
                return await place
        except TimeoutError:
            self._leave(source, place)
            return False
        except asyncio.CancelledError:
            self._leave(source, place)
            raise

    def give_back(self, source: str) -> None:
        """Release a slot of a source; waiting attempts get what is free for them."""
        self._free += 1
        self._held[source] -= 1
        if not self._held[source]:
            del self._held[source]
        while self._free and (waiting := [each for each in self._waiting if self.is_free_for(each)]):
            following = min(waiting, key=self._last_served)
            if self._settle(following, self._waiting[following][0], given=True):
                self._note_served(following)

    def _others_come(self, source: str) -> bool:
        if self._places - self._free > self._held[source] or len(self._waiting) > (source in self._waiting):
            return True
        _, at = self._latest if self._latest[0] != source else self._latest_other
        return asyncio.get_running_loop().time() - at < LATELY

    def _note_came(self, source: str) -> None:
        if self._latest[0] != source:
            self._latest_other = self._latest
        self._latest = (source, asyncio.get_running_loop().time())

    def _leave(self, source: str, place: "asyncio.Future[bool]") -> None:
        """Remove an attempt that no longer waits. A slot that it was assigned meanwhile goes to the next attempt."""
        if place.cancelled():
            self._remove(source, place)
        elif place.result():
            self.give_back(source)

    def _make_room(self, source: str) -> bool:
        """Refuse the latest attempt of a source with more waiting attempts than this one, if there is such a source."""
        own = len(self._waiting.get(source, ())) + 1
        if own * len(self._waiting) > self._most_waiting:
            return False
        most = max(reversed(self._waiting), key=self._demand)
        if self._demand(most) <= (own, self._last_served(source)):
            return False
        self._settle(most, self._waiting[most][-1], given=False)
        return True

    def _settle(self, source: str, place: "asyncio.Future[bool]", *, given: bool) -> bool:
        """Assign a slot to an attempt or refuse it, and return whether the attempt was still waiting."""
        self._remove(source, place)
        if place.done():
            return False  # cancelled, and about to leave
        place.set_result(given)
        return True

    def _demand(self, source: str) -> tuple[int, int]:
        return len(self._waiting[source]), self._last_served(source)

    def _last_served(self, source: str) -> int:
        return self._served.get(source, 0)

    def _note_served(self, source: str) -> None:
        self._free -= 1
        self._held[source] += 1
        self._number += 1
        self._served[source] = self._number
        self._served.move_to_end(source)
        while len(self._served) > self._capacity:
            self._served.popitem(last=False)

    def _remove(self, source: str, place: "asyncio.Future[bool]") -> None:
        """Remove an attempt from the queue; no effect if it is not in it."""
        places = self._waiting.get(source, ())
        if place not in places:
            return
        self._waiting[source].remove(place)
        self._count -= 1
        if not places:
            del self._waiting[source]
