"""Admits requests within the limits of their callers, and to the engine fairly by user (decision 0055)."""

import functools
from collections.abc import Mapping
from typing import Final

from kiteward.authn.fair_queue import FairQueue
from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.errors import CapacityExceeded
from kiteward.domain.identity import Principal
from kiteward.domain.request_limits import Counted
from kiteward.gateway.operations import RowUse
from kiteward.gateway.recording import Recording
from kiteward.gateway.request_limiter import RequestLimiter

_MOST_WAITING: Final = 4_096
"""Requests that wait for their turn, of all users."""

_LONGEST_WAIT: Final = 30.0
"""Seconds that a request waits for its turn, at most."""


class RequestEntry:
    """Admits each request once, after its caller is authenticated and before it is authorized.

    Reads and writes of rows have a queue each, as they have threads of their own in the embedded engine. The next turn
    is that of the user who was served longest ago. So a request waits for one of each other user at most, however many
    they send. While others come, a user has half of the places at most: what is worked on already shares processors
    with it. Requests that touch no rows take the engine no time worth a queue.

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
        uses = (RowUse.FILTERED, RowUse.WRITTEN) if places else ()
        self._queues: Mapping[RowUse, FairQueue] = {
            use: FairQueue(
                places, most_each=max(1, places // 2), most_waiting=_MOST_WAITING, longest_wait=_LONGEST_WAIT
            )
            for use in uses
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
        queue = None if recording.operation is None else self._queues.get(recording.operation.rows)
        if queue is None:
            return False
        waits = not queue.is_free_for(principal.user_name)
        if not await queue.take(principal.user_name):
            raise CapacityExceeded(
                "the server is busy with requests that came before: send fewer at once, or try again later"
            )
        recording.leave_engine = functools.partial(queue.give_back, principal.user_name)
        return waits


def leave(recording: Recording) -> None:
    """Give back what a request held while it was worked on."""
    if recording.running is not None:
        recording.running.end()
    if recording.leave_engine is not None:
        recording.leave_engine()
