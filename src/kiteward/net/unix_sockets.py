"""Sockets of a server in its data directory, by which commands of the same machine reach it."""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

_PATH_BYTES: Final = 107
_MODE: Final = 0o600

SUPERUSER: Final = 0
"""The number of root of the operating system, who may enter every directory."""

_QUEUE: Final = 1024
"""Connections that may wait to be accepted."""

_AGAIN: Final = 0.01
"""Seconds until a connection is tried again that had no place in the queue."""

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
        server = await asyncio.start_unix_server(serve, address, limit=longest_line, backlog=_QUEUE)
    path.chmod(_MODE)
    stack.callback(_remove, path, path.lstat())
    return server


def _remove(path: Path, made: os.stat_result) -> None:
    """Remove a socket, unless another one has taken its place: that of a server in a directory that was made again."""
    with suppress(FileNotFoundError):
        if os.path.samestat(path.lstat(), made):
            path.unlink()


async def connect_in(
    stack: AsyncExitStack, directory: Path, name: str, *, longest_line: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a socket in a data directory, and wait while too many others do.

    Args:
        stack: closes the connection.
        directory: the data directory.
        name: the name of the socket.
        longest_line: most bytes of a line that is read.

    Raises:
        PermissionError: the directory is of another user, or the process that listens is not of the directory's user.
            The superuser connects in directories of others if their paths are absolute: what a relative one means is
            up to whoever made the working directory.
        OSError: nothing listens there.
    """
    owner = _trusted_owner(directory)
    connection = stack.enter_context(socket.socket(socket.AF_UNIX))
    connection.setblocking(False)
    with address_in(directory, name) as address:
        while not _is_connected(connection, address):  # noqa: ASYNC110  the system says so only when it is asked
            await asyncio.sleep(_AGAIN)
    if user_of_peer(connection) not in (None, owner):
        raise PermissionError(f"{directory / name} is of another user than its directory")
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=longest_line)
    stack.callback(writer.close)
    return reader, writer


def _trusted_owner(directory: Path) -> int:
    """Return the number of the user to whom a directory belongs. Raises PermissionError as `connect_in`."""
    owner = directory.stat().st_uid
    user = os.geteuid()
    if user != owner and not (user == SUPERUSER and directory.is_absolute()):
        raise PermissionError(f"{directory} belongs to another user")
    return owner


def _is_connected(connection: socket.socket, address: str) -> bool:
    """Connect; return false if there is no place in the queue, which asyncio would take for a connection."""
    try:
        connection.connect(address)
    except BlockingIOError:
        return False
    return True


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
