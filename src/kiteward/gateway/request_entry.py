"""Admits requests within the limits of their callers, and to the engine fairly by user (decision 0055)."""

from collections.abc import Mapping
from typing import Final

from kiteward.audit.events import Event
from kiteward.authn.fair_queue import FairQueue
from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.errors import CapacityExceeded
from kiteward.domain.identity import Principal
from kiteward.domain.request_limits import Counted
from kiteward.gateway.recording import Recording
from kiteward.gateway.request_limiter import RequestLimiter

_MOST_WAITING: Final = 4_096
"""Requests that wait for their turn, of all users."""

_LONGEST_WAIT: Final = 30.0
"""Seconds that a request waits for its turn, at most."""


class RequestEntry:
    """Admits each request once, after its caller is authenticated and before it is authorized.

    Reads and writes of data have a queue each, as they have threads of their own in the embedded engine. The next turn
    is that of the user who was served longest ago. So a request waits for one of each other user at most, however many
    they send.

    Attributes:
        limiter: keeps callers within their limits.
    """

    def __init__(self, limiter: RequestLimiter, places: int) -> None:
        """Set up without any request.

        Args:
            limiter: keeps callers within their limits.
            places: how many reads, and how many writes, are worked on at once; 0 for no queue.
        """
        self.limiter = limiter
        kinds = (Event.DATA_READ, Event.DATA_WRITE) if places else ()
        self._queues: Mapping[Event | None, FairQueue] = {
            kind: FairQueue(places, most_waiting=_MOST_WAITING, longest_wait=_LONGEST_WAIT) for kind in kinds
        }

    async def admit(self, recording: Recording, principal: Principal, snapshot: PolicySnapshot) -> bool:
        """Admit a request, and return whether it had to wait for that, so that things may have changed.

        Raises:
            RequestsLimited: it exceeds a limit of its caller.
            CapacityExceeded: too many requests wait, and this user has its share of them, or it took too long.
        """
        row, call = recording.row, recording.call
        counted = Counted.EVERYBODY if row is None else row.counted
        recording.running = self.limiter.begin(principal, snapshot, counted, call.turn)
        recording.admitted = True
        queue = None if row is None else self._queues.get(row.event)
        if queue is None:
            return False
        waits = not queue.free
        if not await queue.take(principal.user_name):
            raise CapacityExceeded(
                "the server is busy with requests that came before: send fewer at once, or try again later"
            )
        recording.queue = queue
        return waits


def leave(recording: Recording) -> None:
    """Give back what a request held while it was worked on."""
    if recording.running is not None:
        recording.running.end()
    if recording.queue is not None:
        recording.queue.give_back()
