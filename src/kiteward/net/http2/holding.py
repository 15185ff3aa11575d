"""What one connection makes the server hold, counted against the budget of bytes."""

from kiteward.net.budget import REQUEST, Budget
from kiteward.net.http2.fields import Head
from kiteward.net.http2.frames import ENHANCE_YOUR_CALM, REFUSED_STREAM, ConnectionFault, StreamFault
from kiteward.net.http2.streams import Stream


class Holding:
    """Counts what is held for one connection.

    Attributes:
        requests: for requests in flight: themselves, their heads, and bodies of unauthenticated callers.
    """

    def __init__(self, budget: Budget, source: str) -> None:
        """Create the claims of a connection, with nothing reserved.

        Args:
            budget: the memory budget.
            source: the source of the client.
        """
        self.requests = budget.of_source(source)
        self._unread = budget.of_source(source)
        self._untaken = budget.of_answers(source)

    def begin(self, head: Head) -> int:
        """Make room for a request, and return what it costs, in bytes.

        Raises:
            StreamFault: there is none. The client may try again: nothing was done.
        """
        cost = REQUEST + head.size
        if not self.requests.take(cost):
            raise StreamFault(REFUSED_STREAM, "the memory limit does not allow another request")
        return cost

    def unread(self, amount: int, *, known: bool) -> None:
        """Count what was read and is no request yet, and the heads that are remembered.

        Args:
            amount: bytes of it now.
            known: whether a caller on the connection has been authenticated.

        Raises:
            ConnectionFault: there is no room, and no caller has been authenticated.
        """
        if not self._unread.resize(amount) and not known:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "the memory limit does not allow more header data")

    def wait_to_be_taken(self, stream: Stream) -> bool:
        """Count what is left of an answer, and return whether there is room for it."""
        left = sum(map(len, stream.unsent))
        if left and self._untaken.take(left):
            stream.untaken = left
        return stream.untaken == left

    def forget(self, stream: Stream) -> None:
        """Count nothing of a stream any more."""
        if stream.cost:
            self.requests.give_back(stream.cost)
        if stream.untaken:
            self._untaken.give_back(stream.untaken)
        stream.cost = stream.untaken = 0

    def close(self) -> None:
        """Count nothing any more."""
        for claim in (self.requests, self._unread, self._untaken):
            claim.close()
