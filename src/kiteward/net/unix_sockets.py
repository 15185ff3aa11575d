"""Sockets of a server in its data directory, by which commands of the same machine reach it."""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final

_PATH_BYTES: Final = 107
_MODE: Final = 0o600
_CREDENTIALS: Final = struct.Struct("=iII")
"""The `ucred` of Linux: process id, user id and group id of a peer (unix(7), SO_PEERCRED)."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def listen_in(
    stack: AsyncExitStack, directory: Path, name: str, serve: Serve, *, longest_line: int
) -> asyncio.Server:
    """Listen in a data directory that this process holds, for the user of this process alone.

    Args:
        stack: removes the socket; it closes neither the server nor its connections.
        directory: the data directory. A socket of the same name that a server left behind is replaced.
        name: the name of the socket.
        serve: serves a connection.
        longest_line: most bytes of a line that a connection may send.

    Returns:
        The server, which listens.

    Raises:
        OSError: the socket cannot be made.
    """
    path = directory / name
    path.unlink(missing_ok=True)
    with address_in(directory, name) as address:
        server = await asyncio.start_unix_server(serve, address, limit=longest_line)
    path.chmod(_MODE)
    stack.callback(path.unlink, missing_ok=True)
    return server


@contextmanager
def address_in(directory: Path, name: str) -> Iterator[str]:
    """Give the address of a socket in a directory; a long one by way of the directory's descriptor."""
    path = directory.absolute() / name
    if len(os.fsencode(path)) <= _PATH_BYTES:
        yield str(path)
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def user_of_peer(connection: socket.socket) -> int | None:
    """Return the number of the user whose process is at the other end of a Unix socket.

    Returns:
        The number; None where the system does not say it as Linux does.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _, user, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size))
    return int(user)
