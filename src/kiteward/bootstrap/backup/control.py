"""The socket by which `kiteward backup` has the engine of a running server paused for the moment of a backup.

It is in the data directory, which only the server's user may enter. A pause ends with the connection, and after a few
seconds in any case, so that nothing stands still because a command was killed.
"""

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from kiteward import __version__
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError, EngineUnavailable
from kiteward.engine.embedded.supervisor import EmbeddedEngine
from kiteward.net.unix_sockets import address_in, listen_in

SOCKET: Final = "backup.sock"
LONGEST_PAUSE: Final = 4.0
"""Seconds after which a server goes on by itself; a change that waits for the store gives up after five."""

_STOP_WITHIN: Final = 3.0
_LOOK: Final = 0.001
_ANSWER_WITHIN: Final = 5.0
_LINE: Final = 64 * 1024
_PAUSE: Final = b"pause\n"
_RESUME: Final = b"resume\n"

_log = logging.getLogger("kiteward.backup")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a server says to whoever connects.

    Attributes:
        version: its version of Kiteward.
        store: whether its store is the file in the data directory.
        rows: whether its engine is the embedded one.
        audit: the directory of its audit trail; empty if it records nothing.
    """

    version: str
    store: bool
    rows: bool
    audit: str

    @classmethod
    def of(cls, settings: Settings) -> "Facts":
        """Return what a server with these settings says."""
        audit = str(settings.audit.place(settings.data_dir)) if settings.audit.enabled else ""
        return cls(version=__version__, store=settings.store is None, rows=settings.engine is None, audit=audit)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answers to `pause` and `resume`.

    Attributes:
        fault: why it did not do it; empty if it has.
        seconds: after a resume, for how long the engine was paused.
    """

    fault: str = ""
    seconds: float = 0.0


# The server's end


def _is_stopped(pid: int) -> bool:
    """Return whether a stop of a child process is complete: every thread of it has stopped."""
    return os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG) is not None


@dataclass(slots=True)
class _Pause:
    """The pause of the engine's process, of one connection at a time."""

    process: Callable[[], int | None]
    _owner: object | None = None
    _paused: int | None = None
    _since: float = 0.0
    _timer: asyncio.TimerHandle | None = None

    async def begin(self, owner: object) -> Answer:
        """Stop the process, and return when none of its threads runs."""
        pid = self.process()
        if pid is None:
            return Answer(fault="its engine is restarting")
        if self._owner is not None:
            return Answer(fault="another backup is being made")
        self._owner, self._paused, self._since = owner, pid, time.monotonic()
        self._timer = asyncio.get_running_loop().call_later(LONGEST_PAUSE, self.resume)
        try:
            os.kill(pid, signal.SIGSTOP)
            async with asyncio.timeout(_STOP_WITHIN):
                while not _is_stopped(pid):  # noqa: ASYNC110  the system says so only when it is asked
                    await asyncio.sleep(_LOOK)
        except (OSError, TimeoutError):
            self.resume()
            return Answer(fault="its engine could not be paused")
        return Answer()

    def end(self, owner: object) -> Answer:
        """Let the process go on, and return for how long it was stopped; too long a pause has ended before."""
        if self._owner is not owner:
            return Answer(fault=f"the pause took longer than {LONGEST_PAUSE:g} s")
        self.resume()
        return Answer(seconds=time.monotonic() - self._since)

    def resume(self) -> None:
        """Let the process go on, if it is paused."""
        if self._timer is not None:
            self._timer.cancel()
        pid, self._paused, self._owner = self._paused, None, None
        # Nobody else has its number: a process that has ended keeps it until the engine's supervisor has seen that.
        if pid is not None and pid == self.process():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def listen_for_backups(stack: AsyncExitStack, settings: Settings, engine: object) -> None:
    """Listen for `kiteward backup` until `stack` closes. Workers do not: nothing of what they use is a file here.

    Args:
        stack: ends it, before it closes the engine.
        settings: the configuration.
        engine: the engine; paused if it is the embedded one.

    Raises:
        OSError: the socket cannot be made.
    """

    def process() -> int | None:
        return engine.pid if isinstance(engine, EmbeddedEngine) else None

    if settings.workers == 1:
        await BackupSocket(Facts.of(settings), process).open(stack, settings.data_dir)


class BackupSocket:
    """Listens for `kiteward backup` until it is closed."""

    def __init__(self, facts: Facts, process: Callable[[], int | None]) -> None:
        """Prepare it.

        Args:
            facts: what it says to whoever connects.
            process: returns the process id of the embedded engine; None while there is none.
        """
        self._facts = facts
        self._pause = _Pause(process)
        self._connections: set[asyncio.StreamWriter] = set()

    async def open(self, stack: AsyncExitStack, directory: Path) -> None:
        """Listen in a data directory that this process holds; `stack` ends it, and every pause with it.

        Raises:
            OSError: the socket cannot be made.
        """
        server = await listen_in(stack, directory, SOCKET, self._serve, longest_line=_LINE)
        stack.callback(self._close, server)

    def _close(self, server: asyncio.Server) -> None:
        server.close()
        self._pause.resume()
        for each in self._connections:
            each.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        owner = object()
        try:
            writer.write(msgspec.json.encode(self._facts) + b"\n")
            while (line := await reader.readline()) in (_PAUSE, _RESUME):
                answer = await self._pause.begin(owner) if line == _PAUSE else self._ended(owner)
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass  # it is gone, or has sent bytes that are not a line
        finally:
            self._pause.end(owner)
            self._connections.discard(writer)
            writer.close()

    def _ended(self, owner: object) -> Answer:
        answer = self._pause.end(owner)
        if not answer.fault:
            _log.info("the engine was paused for %.1f ms for a backup", answer.seconds * 1000)
        return answer


# The command's end


class RunningServer:
    """A server that uses a data directory; made by `connect`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self.facts = msgspec.json.decode(self._line(), type=Facts)
        self.paused_for = 0.0

    @classmethod
    def connect(cls, stack: ExitStack, directory: Path) -> "RunningServer | None":
        """Connect to the server that uses a data directory; `stack` closes the connection.

        Returns:
            The server; None if none listens there.

        Raises:
            ConfigurationError: it does not answer.
        """
        connection = stack.enter_context(socket.socket(socket.AF_UNIX))
        connection.settimeout(_ANSWER_WITHIN)
        try:
            with address_in(directory, SOCKET) as address:
                connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        try:
            return cls(connection)
        except (OSError, msgspec.DecodeError):
            raise ConfigurationError(f"the server that uses {directory} does not answer: try again") from None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the engine of the server.

        Raises:
            EngineUnavailable: it cannot be paused, or the pause ended before the block did.
        """
        self._ask(_PAUSE)
        yield
        self.paused_for = self._ask(_RESUME).seconds

    def _ask(self, line: bytes) -> Answer:
        try:
            self._connection.sendall(line)
            answer = msgspec.json.decode(self._line(), type=Answer)
        except (OSError, msgspec.DecodeError):
            raise EngineUnavailable("the server went away during the backup: try again") from None
        if answer.fault:
            raise EngineUnavailable(f"the server cannot be backed up now, {answer.fault}: try again")
        return answer

    def _line(self) -> bytes:
        line: bytes = self._lines.readline(_LINE)
        return line
