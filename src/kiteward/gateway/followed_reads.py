"""Recognises reads of the audit trail that continue a recorded one, so that who follows the trail does not fill it."""

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from kiteward.audit.events import AuditEvent, Outcome

WINDOW: Final = 60.0
"""Seconds after a recorded read during which those that continue it are not recorded."""

_MOST_READERS: Final = 1_000
"""Recorded reads that are remembered; a read that continues one before them is recorded again."""


class FollowedReads:
    """The recorded reads of readers who may continue.

    A read continues a recorded one if nothing that the trail would have of it is different but its time, the port of
    its client, and the place from which it reads, which is the same or a later one. So the recorded line says who read
    on, by which filters, and from where on at the earliest.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Set up without any read.

        Args:
            clock: returns seconds and never goes back.
        """
        self._clock = clock
        self._recorded: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def continued_by(self, event: AuditEvent, place: str) -> bool:
        """Return whether a read continues a recorded one; if not, it is remembered as recorded.

        Args:
            event: the event of the read.
            place: the name of the argument that holds the number of the line after which it reads.
        """
        after = event.details.get(place)
        if event.outcome is not Outcome.SUCCEEDED or not isinstance(after, int):
            return False
        reader, now = _reader(event, place), self._clock()
        until, earliest = self._recorded.get(reader, (now, after))
        if now < until and after >= earliest:
            return True
        self._recorded[reader] = now + WINDOW, after
        self._recorded.move_to_end(reader)
        if len(self._recorded) > _MOST_READERS:
            self._recorded.popitem(last=False)
        return False


def _reader(event: AuditEvent, place: str) -> tuple[str, ...]:
    """Return what the reads of one reader have in common."""
    filters = {name: value for name, value in event.details.items() if name != place}
    return (
        event.principal,
        event.actor,
        event.credential,
        event.address.rpartition(":")[0],
        event.client,
        event.transport,
        *event.roles,
        event.reason,
        event.operation,
        json.dumps(filters, sort_keys=True),
    )
