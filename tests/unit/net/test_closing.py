"""How a connection is closed whose client may still be sending."""

import errno

from tests.support.http2 import Wire, turns

from kiteward.net.closing import close_and_discard


class Reset(Wire):
    """A connection that its client has reset: its socket cannot be shut down any more, as asyncio's transports say."""

    def write_eof(self) -> None:
        raise OSError(errno.ENOTCONN, "not connected")


async def test_a_connection_that_its_client_has_reset_is_aborted() -> None:
    wire = Reset()
    wire.halves = True
    timer = close_and_discard(wire, 60)
    await turns()
    assert wire.is_aborted()
    timer.cancel()


async def test_what_cannot_end_in_one_direction_alone_is_closed() -> None:
    wire = Wire()
    close_and_discard(wire, 60).cancel()
    assert wire.is_closing()
    assert not wire.is_aborted()
