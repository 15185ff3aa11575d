"""HTTP without TLS on a port of TLS is answered in plain text; nothing is read from anybody else."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from kiteward.net.plain_http import answered_in_plain


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """An accepted connection, and its client."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
async def test_http_without_tls_is_told_to_use_https(pair: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    ours, theirs = pair
    loop = asyncio.get_running_loop()
    answering = asyncio.ensure_future(answered_in_plain(ours, 5))
    await loop.sock_sendall(theirs, sent)
    answer = b""
    while part := await loop.sock_recv(theirs, 4096):
        answer += part
    theirs.close()
    assert await answering
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert b"https://" in body
    assert ours.fileno() == -1


async def test_a_handshake_is_left_to_be_read(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.send(b"\x16\x03\x01")
    assert not await answered_in_plain(ours, 5)
    assert ours.recv(3) == b"\x16\x03\x01"


async def test_a_client_that_sends_nothing_is_given_up(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair
    with pytest.raises(TimeoutError):
        await answered_in_plain(ours, 0.01)
    assert ours.fileno() == -1


async def test_a_client_that_leaves_at_once_is_none(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()
    assert not await answered_in_plain(ours, 5)
