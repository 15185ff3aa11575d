"""Listening sockets: binding them to all addresses of a host, and the error when an address cannot be bound."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterable
from typing import Any, Final

from kiteward.domain.addresses import address_text

_KEEP_ALIVE: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""Seconds and number of TCP's keep-alive probes: a peer that is gone without closing is detected after two minutes."""

_TRIES: Final = 16


_Addresses = list[tuple[socket.AddressFamily, Any]]


async def bind(host: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Return sockets bound to one port on every address of a host.

    Args:
        host: a name or an address; empty for all addresses of this machine.
        port: the port; 0 lets the system choose one for all of them.
        shared: whether other processes of this server bind the port too, which `claim` has taken for all of them.

    Raises:
        OSError: an address cannot be bound; the message names it.
    """
    try:
        addresses = await _resolve(host, port)
    except OSError as error:
        raise cannot_listen(host, port, error) from error
    return _bind_somewhere(host, port, addresses, shared=shared)


def claim(host: str, port: int) -> list[socket.socket]:
    """Take a port for several processes of one server, and return the sockets that hold it until they are closed.

    The sockets begin to listen alone: that fails if anybody listens there, also another server whose processes share
    the port. Then sockets of `bind` that are shared may join. They have to listen before these are closed, so that
    there is no moment at which another server could take the port.

    Args:
        host: as of `bind`.
        port: as of `bind`.

    Raises:
        OSError: as of `bind`.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise cannot_listen(host, port, error) from error
    claimed = _bind_somewhere(host, port, _distinct(found), shared=False)
    try:
        for each in claimed:
            each.listen(0)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        for each in claimed:
            each.close()
        raise cannot_listen(host, port, error) from error
    return claimed


async def _resolve(host: str, port: int) -> _Addresses:
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return _distinct(found)


def _distinct(found: Iterable[tuple[Any, ...]]) -> _Addresses:
    """Return the addresses that a host name resolves to, each once; for an empty name all of this machine."""
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind_somewhere(host: str, port: int, addresses: _Addresses, *, shared: bool) -> list[socket.socket]:
    for attempt in range(_TRIES):
        try:
            return _bind_all(addresses, port, shared=shared)
        except OSError as error:
            # A port that the system chose for one address may be taken on another.
            if port or len(addresses) == 1 or attempt == _TRIES - 1:
                raise cannot_listen(host, port, error) from error
    raise AssertionError("unreachable: the last attempt returns or raises")


def _bind_all(addresses: _Addresses, port: int, *, shared: bool) -> list[socket.socket]:
    with contextlib.ExitStack() as stack:
        bound: list[socket.socket] = []
        for family, address in addresses:
            listening = stack.enter_context(socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP))
            _configure(listening, alone=len(addresses) == 1, shared=shared)
            listening.bind((address[0], port, *address[2:]))
            port = int(listening.getsockname()[1])
            bound.append(listening)
        stack.pop_all()
    return bound


def _configure(listening: socket.socket, *, alone: bool, shared: bool) -> None:
    """Set options, which accepted connections inherit.

    SO_REUSEPORT is for the processes of one server: otherwise a second server could bind the port.
    """
    listening.setblocking(False)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE:
        option = getattr(socket, name, None)  # some systems lack them
        if option is not None:
            listening.setsockopt(socket.IPPROTO_TCP, option, value)
    if listening.family == socket.AF_INET6:
        # `::` alone accepts IPv4 too, as in gRPC; with another socket for IPv4 it must not.
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if alone else 1)


def cannot_listen(host: str, port: int, error: OSError) -> OSError:
    """Return an error that says which address cannot be bound, and why."""
    address = address_text(host, port)
    if error.errno == errno.EADDRINUSE:
        return OSError(f"cannot listen on {address}: is another server running there?")
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return OSError(f"cannot listen on {address}: {reason}")
