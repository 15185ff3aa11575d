"""What one connection makes the server hold, reserved in the memory budget."""

from kiteward.net.budget import REQUEST, Budget
from kiteward.net.http2.framing import ConnectionFault
from kiteward.net.http2.session import ErrorCode
from kiteward.net.http2.streams import Stream


class Reservations:
    """The claims of one connection.

    Attributes:
        requests: for requests in flight: themselves, their heads, and bodies of unauthenticated callers.
    """

    __slots__ = ("_head", "_input", "_responses", "requests")

    def __init__(self, budget: Budget, source: str) -> None:
        """Create the claims of a connection, with nothing reserved.

        Args:
            budget: the memory budget.
            source: the source of the client.
        """
        self.requests = budget.of_source(source)
        self._input = budget.of_source(source)
        self._responses = budget.of_address(source)
        self._head = budget.of_address(source)

    def request(self, head_size: int) -> int:
        """Reserve room for a request, and return how many bytes; 0 if there is none."""
        cost = REQUEST + head_size
        return cost if self.requests.take(cost) else 0

    def input(self, amount: int, *, authenticated: bool) -> None:
        """Reserve room for what was received and is no request yet.

        Args:
            amount: bytes of it now.
            authenticated: whether a caller on the connection was authenticated.

        Raises:
            ConnectionFault: there is no room, and no caller was authenticated.
        """
        if amount != self._input.held and not self._input.resize(amount) and not authenticated:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "the memory limit does not allow more header data")

    def head(self, size: int) -> bool:
        """Reserve room for the head that is kept for the next request, and return whether there is.

        Args:
            size: bytes of the head. The application keeps at most as much of what it has read in it.
        """
        return 2 * size <= self._head.held or self._head.resize(2 * size)

    def response(self, stream: Stream, amount: int) -> bool:
        """Reserve room for what is left of a response, and return whether there was."""
        if not self._responses.take(amount):
            return False
        stream.unread = amount
        return True

    def release(self, stream: Stream) -> None:
        """Release what is reserved for a stream, its body excepted."""
        if stream.cost:
            self.requests.give_back(stream.cost)
        if stream.unread:
            self._responses.give_back(stream.unread)
        stream.cost = stream.unread = 0

    def close(self) -> None:
        """Release everything."""
        for claim in (self.requests, self._input, self._responses, self._head):
            claim.close()
