"""How a connection is closed whose client may still be sending.

When a socket is closed with input unread, or gets more of it, the system resets the connection: the client may then
never read what was written last, the end of a response or why it was refused (RFC 9112, 9.6).
"""

import asyncio
import fcntl
import struct
import termios
from typing import Final

_NUMBER: Final = struct.Struct("i")


def close_and_discard(transport: asyncio.Transport, seconds: float) -> asyncio.TimerHandle:
    """Close a connection once what was written is sent and its client has closed it too, or after a time.

    With TLS its client is not waited for: TLS ends by messages of its own, during which input is discarded.

    Args:
        transport: the connection. Its protocol discards what still comes, and returns False at the end of input.
        seconds: how long to wait before the connection is aborted.

    Returns:
        The timer of that, which may be cancelled when the connection is lost.
    """
    if transport.can_write_eof():
        try:
            transport.write_eof()
        except OSError:  # the client has reset the connection, which the transport has not read yet
            transport.abort()
        transport.resume_reading()
    else:
        transport.close()
    return asyncio.get_running_loop().call_later(seconds, transport.abort)


def is_received(transport: asyncio.Transport) -> bool:
    """Return whether the client's system has confirmed all that was written; False where this one does not tell.

    What the transport of TLS holds itself is not known. It is written as soon as the system takes it, so that a client
    has received everything if this is so twice, with a turn of the loop in between.
    """
    opened = transport.get_extra_info("socket")
    if opened is None or transport.get_write_buffer_size():
        return False
    try:
        left: int = _NUMBER.unpack(fcntl.ioctl(opened.fileno(), termios.TIOCOUTQ, bytes(_NUMBER.size)))[0]
    except (OSError, ValueError):
        return False
    return left == 0
