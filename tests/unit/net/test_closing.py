"""How a connection is closed whose client may still be sending."""

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.http2 import Wire, turns

from kiteward.net.closing import close_and_discard, is_received


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


class Carried(Wire):
    """A connection with a socket of the system."""

    def __init__(self, carried: socket.socket | None) -> None:
        super().__init__()
        self.carried = carried
        self.waiting = 0

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.carried if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return self.waiting


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect two sockets, of which the second takes little before it is read."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(server.getsockname())
        accepted, _ = server.accept()
        with accepted:
            accepted.setblocking(False)
            yield accepted, client


def test_what_the_client_has_not_taken_is_not_received() -> None:
    with connected() as (accepted, client):
        wire = Carried(accepted)
        assert is_received(wire)
        sent = accepted.send(bytes(100_000))
        assert not is_received(wire)
        while sent:
            sent -= len(client.recv(sent))
        deadline = time.monotonic() + 30
        while not is_received(wire):  # a system may confirm what it has received a moment later
            assert time.monotonic() < deadline
            time.sleep(0.005)
        wire.waiting = 1
        assert not is_received(wire)


def test_where_the_system_says_nothing_nothing_is_known_to_be_received() -> None:
    assert not is_received(Carried(None))
    with connected() as (accepted, _):
        accepted.close()
        assert not is_received(Carried(accepted))
