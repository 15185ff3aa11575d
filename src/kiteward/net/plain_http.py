"""HTTP without TLS on a port that takes TLS: the answer names what to do instead."""

import asyncio
import contextlib
import socket
from typing import Final

_SENTENCE: Final = b"This port takes TLS only: write https:// instead of http://. Milvus clients take secure=True.\n"
_ANSWER: Final = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_SENTENCE), _SENTENCE)
)
_SECONDS: Final = 2.0
"""How long the answer may take, and the client to close the connection after it."""

_CHUNK: Final = 65536


async def answered_in_plain(accepted: socket.socket, seconds: float) -> bool:
    """Answer a client that speaks HTTP without TLS, and close its connection.

    Args:
        accepted: the connection, which does not block. Nothing is read from any other client.
        seconds: how long the client may take to send something.

    Returns:
        Whether it was such a client.

    Raises:
        OSError, TimeoutError: the connection broke, or the client sends nothing; it is closed then.
    """
    try:
        async with asyncio.timeout(seconds):
            first = await _first_byte(accepted)
    except BaseException:
        accepted.close()
        raise
    if not (first.isalpha() and first.isupper()):  # every method is in capitals; a handshake begins with 0x16
        return False
    loop = asyncio.get_running_loop()
    with contextlib.closing(accepted), contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_SECONDS):
            await loop.sock_sendall(accepted, _ANSWER)
            accepted.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(accepted, _CHUNK):  # what is left unread would reset the connection
                pass
    return True


async def _first_byte(accepted: socket.socket) -> bytes:
    """Return the first byte that a client sends, and leave it to be read again; empty if it sends none."""
    loop = asyncio.get_running_loop()
    readable = loop.create_future()

    def note() -> None:
        if not readable.done():
            readable.set_result(None)

    loop.add_reader(accepted.fileno(), note)
    try:
        await readable
    finally:
        loop.remove_reader(accepted.fileno())
    return accepted.recv(1, socket.MSG_PEEK)
