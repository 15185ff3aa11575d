"""The socket by which commands of this machine have a running server carry out their requests (decision 0087).

It is in the data directory, which only the server's user may enter, and answers that user and the superuser alone. They
could read and change the files anyway, and are the operator of this machine here as they are there (`LocalCredential`).
"""

import asyncio
import contextlib
import json
import logging
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from kiteward import __version__
from kiteward.api.rest.in_process import answer_to, fault
from kiteward.bootstrap.command_wire import LONGEST_LINE, SOCKET
from kiteward.bootstrap.local_gateway import local_client
from kiteward.bootstrap.workers.place import Place
from kiteward.config.settings import Settings
from kiteward.gateway.client import GatewayClient
from kiteward.gateway.gateway import Gateway
from kiteward.net.unix_sockets import SUPERUSER, listen_in, user_of_peer

_GRACE: Final = 30.0
"""Seconds that requests in progress may take when the server stops."""

_log = logging.getLogger("kiteward.commands")


async def listen_for_commands(
    stack: AsyncExitStack, settings: Settings, gateway: Gateway, *, place: Place | None
) -> None:
    """Carry out the requests of commands until `stack` closes. Of several workers the first does.

    Where no socket can be made, such as on some network file systems, a warning is logged, and commands open the store
    themselves.

    Args:
        stack: ends it: requests in progress are answered first.
        settings: the configuration.
        gateway: handles the requests; its authenticator accepts `LocalCredential`.
        place: the place among the workers of a server; None for a server of one process.
    """
    if place is not None and not place.forwards:
        return
    store = "" if settings.store is None else str(settings.store)
    try:
        await CommandSocket(gateway, store=store, timeout=settings.rest.request_timeout).open(stack, settings.data_dir)
    except OSError as error:
        _log.warning("commands on this machine cannot reach the server, and open the store themselves: %s", error)


class CommandSocket:
    """Carries out the requests of commands until it is closed."""

    def __init__(self, gateway: Gateway, *, store: str, timeout: float) -> None:
        """Prepare it.

        Args:
            gateway: handles the requests.
            store: the address of the store, without a password; empty for the file in the data directory.
            timeout: that of a request over REST, in seconds.
        """
        self._gateway = gateway
        self._timeout = timeout
        self._greeting = f"{json.dumps({'version': __version__, 'store': store})}\n".encode()
        self._stopping = asyncio.Event()
        self._waiting: set[asyncio.StreamWriter] = set()
        self._working: set[asyncio.Task[Any]] = set()

    async def open(self, stack: AsyncExitStack, directory: Path) -> None:
        """Listen in a data directory that this process holds; `stack` ends it. Raises as `listen_in`."""
        server = await listen_in(stack, directory, SOCKET, self._serve, longest_line=LONGEST_LINE)
        stack.push_async_callback(self._close, server)

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        self._stopping.set()
        for writer in self._waiting:
            writer.close()
        if self._working:
            _, late = await asyncio.wait(self._working, timeout=_GRACE)
            for each in late:
                each.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        user = user_of_peer(writer.get_extra_info("socket"))
        if user in (None, os.geteuid(), SUPERUSER):
            with contextlib.suppress(OSError, ValueError):  # it is gone, or has sent more than a line may hold
                await self._converse(local_client(self._gateway, user), reader, writer)
        else:
            _log.warning("user id %d connected to %s, which belongs to another user: refused", user, SOCKET)
        writer.close()

    async def _converse(
        self, client: GatewayClient, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(self._greeting)
        while not self._stopping.is_set():
            self._waiting.add(writer)
            try:
                line = await reader.readline()
            finally:
                self._waiting.discard(writer)
            if self._stopping.is_set() or not line.endswith(b"\n"):
                return
            work = asyncio.ensure_future(self._answer(client, line, writer))
            self._working.add(work)
            work.add_done_callback(self._working.discard)
            await asyncio.wait([work])
            if work.cancelled():  # it took too long for a server that stops
                writer.transport.abort()
                return
            work.result()

    async def _answer(self, client: GatewayClient, line: bytes, writer: asyncio.StreamWriter) -> None:
        """Carry out a request, and send the answer."""
        path, _, body = line.rstrip(b"\n").partition(b" ")
        try:
            answer = await answer_to(client, path.decode("ascii", "replace"), body, timeout=self._timeout)
        except Exception:  # noqa: BLE001  the log has the details, and the other commands go on
            _log.exception("a request of a command failed unexpectedly")
            answer = fault("the request failed unexpectedly; the log of the server says how")
        if not writer.is_closing():  # the command has not gone away meanwhile
            writer.write(answer)
            await writer.drain()
