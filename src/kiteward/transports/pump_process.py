"""The process that pumps bytes between gRPC clients and the front, so that the server's own loop has none of that work.

The listener decides what a connection is and joins it to the front; from then on both sockets belong to a child process
(`pump_child`), which moves bytes and knows nothing else. It holds no credential and decides nothing.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import kiteward

_log = logging.getLogger("kiteward.listener")

NUMBER: Final = struct.Struct("!Q")
"""What goes either way over the control connection: the number of a pair of sockets, to take or done with."""

_INHERITED_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH")
_PAUSE: Final = 1.0
"""Seconds between the end of a child and the start of the next."""

_STOP: Final = 5.0
"""Seconds that a child may take to end once it is told."""


class PumpProcess:
    """A child process that pumps bytes, started anew when it ends. Its end takes the connections it had with it."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._watching: asyncio.Task[None] | None = None
        self._numbers = 0
        self._taken: dict[int, Callable[[], None]] = {}
        self._heard = b""

    async def start(self) -> None:
        """Start the child.

        Raises:
            OSError: it cannot be started.
        """
        await self._spawn()
        self._watching = asyncio.create_task(self._watch(), name="pump-supervisor")

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is no child."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def take(self, client: int, front: int, on_lost: Callable[[], None]) -> bool:
        """Let the child pump between two connected sockets from now on.

        Args:
            client: descriptor of the client's socket; the caller closes its own copy.
            front: descriptor of the socket to the front; likewise.
            on_lost: called once, when both connections are gone.

        Returns:
            Whether the child has them; if not, nothing has happened to them.
        """
        control = self._control
        if control is None:
            return False
        number = self._numbers + 1
        try:
            socket.send_fds(control, [NUMBER.pack(number)], [client, front])
        except OSError:  # full, or the child has just ended
            return False
        self._numbers = number
        self._taken[number] = on_lost
        return True

    async def stop(self) -> None:
        """End the child, and with it what it still pumps."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching
        self._drop()
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(_STOP):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            ours.setblocking(False)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "kiteward.transports.pump_child", str(theirs.fileno())),
                    stdin=asyncio.subprocess.DEVNULL,
                    env=_environment(),
                    pass_fds=(theirs.fileno(),),
                    # Out of the terminal's reach: Ctrl-C must not end it before the server has drained.
                    start_new_session=True,
                )
            except BaseException:
                ours.close()
                raise
        self._control, self._heard = ours, b""
        asyncio.get_running_loop().add_reader(ours, self._hear, ours)

    async def _watch(self) -> None:
        while True:
            process = self._process
            if process is not None:
                await process.wait()
                _log.error("the process that pumps gRPC connections has ended (%s) and is started anew", _end(process))
            self._drop()
            await asyncio.sleep(_PAUSE)
            try:
                await self._spawn()
            except OSError:
                self._process = None
                _log.exception("the process that pumps gRPC connections could not be started")

    def _hear(self, control: socket.socket) -> None:
        """Take note of the pairs that the child is done with."""
        try:
            came = control.recv(64 * NUMBER.size)
        except BlockingIOError:
            return
        except OSError:
            came = b""
        if not came:
            self._drop()
            return
        heard = self._heard + came
        whole = len(heard) - len(heard) % NUMBER.size
        self._heard = heard[whole:]
        for (number,) in NUMBER.iter_unpack(heard[:whole]):
            on_lost = self._taken.pop(number, None)
            if on_lost is not None:
                on_lost()

    def _drop(self) -> None:
        """Let go of the child: it ends when its control connection does, and its connections with it."""
        control, self._control = self._control, None
        if control is not None:
            asyncio.get_running_loop().remove_reader(control)
            control.close()
        taken, self._taken = self._taken, {}
        for on_lost in taken.values():
            on_lost()


def _environment() -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED_ENVIRONMENT if name in os.environ}
    return inherited | {"PYTHONPATH": str(Path(kiteward.__path__[0]).absolute().parent)}


def _end(process: asyncio.subprocess.Process) -> str:
    code = process.returncode or 0
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
