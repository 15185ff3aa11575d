"""The embedded engine: Milvus Lite as a child process that is started, watched, restarted and stopped here."""

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import kiteward
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import EngineUnavailable
from kiteward.engine.base import Access, EngineHealth
from kiteward.engine.embedded.client import EngineConnection
from kiteward.engine.embedded.sync_mode import SyncMode

# A Unix socket address holds 107 bytes and a closing zero.
_SOCKET_PATH_BYTES = 107
_SOCKET_NAME = "engine.sock"
SOCKET_DIRECTORY_PREFIX = "socket-"
_READY_LINE = b"ready\n"
_LAST_WORDS_LINES = 5
_LINE_LIMIT = 1024 * 1024
# A process that ends takes its connection along; one that lives on without it has to be stopped.
_ENDING_SECONDS = 2.0
_INHERITED_ENVIRONMENT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)

logger = logging.getLogger("kiteward.engine")


@dataclass(frozen=True, slots=True)
class EmbeddedEngineSettings:
    """How the embedded engine runs.

    Attributes:
        directory: Milvus Lite's data directory; created if missing.
        rpcs: the RPCs that it executes, as far as Milvus Lite has them; it refuses all others.
        sync_mode: when writes are synced to disk.
        read_threads: how many reads the engine works on at once.
        write_threads: how many mutations, of different collections, it works on at once.
        start_timeout: seconds until a starting engine must be ready.
        stop_timeout: seconds that a stopping engine may take to flush all data before it is killed.
        lock_timeout: seconds to wait for a predecessor to release the data.
        longest_pause: most seconds between restarts of an engine that keeps failing.
    """

    directory: Path
    rpcs: Mapping[str, Access]
    sync_mode: SyncMode = "batch"
    read_threads: int = 4
    write_threads: int = 4
    start_timeout: float = 60.0
    stop_timeout: float = 30.0
    lock_timeout: float = 10.0
    longest_pause: float = 4.0


class EmbeddedEngine:
    """Milvus Lite behind a Unix socket. Implements `kiteward.engine.base.Engine`; made by `start`."""

    def __init__(self, settings: EmbeddedEngineSettings) -> None:
        self._settings = settings
        self._generation = 0
        self._connection: EngineConnection | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reason = "the engine has not been started"
        self._detail = ErrorDetail(ErrorCode.ENGINE_NOT_STARTED)
        self._watch: asyncio.Task[None] | None = None
        self._socket_directory = Path()
        self._last_lines: deque[str] = deque(maxlen=_LAST_WORDS_LINES)

    @classmethod
    async def start(cls, settings: EmbeddedEngineSettings) -> "EmbeddedEngine":
        """Start the engine and wait until it answers.

        Raises:
            EngineUnavailable: it did not start; the message holds its last log lines.
        """
        engine = cls(settings)
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine._socket_directory = _private_socket_directory(settings.directory)
        try:
            await engine._spawn()
        except BaseException:
            await engine.close()
            raise
        engine._watch = asyncio.create_task(engine._supervise(), name="engine-supervisor")
        return engine

    @property
    def generation(self) -> int:
        """The number of times this engine was started, restarts included."""
        return self._generation

    @property
    def socket(self) -> Path:
        """The child's socket, which only this user can reach."""
        return self._socket_directory / _SOCKET_NAME

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is no child."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        """Send one unary request to the child and return the response bytes. See `kiteward.engine.base.Engine.call`."""
        connection = self._connection
        if connection is None:
            # The last lines of the log are for operators: `health` has them.
            raise EngineUnavailable(self._reason, ErrorDetail(self._detail.code))
        return await connection.call(method, payload, metadata=metadata, timeout=timeout)

    def health(self) -> EngineHealth:
        """Return whether a call sent now would reach the child."""
        if self._connection is None:
            return EngineHealth(ready=False, reason=self._reason, detail=self._detail, embedded=True)
        return EngineHealth(ready=True, embedded=True)

    async def close(self) -> None:
        """Let the child finish calls in flight and flush all data; kill it if that takes too long."""
        self._reason, self._detail = "the engine is closed", ErrorDetail(ErrorCode.ENGINE_NOT_STARTED)
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        connection, self._connection = self._connection, None
        await self._stop_process()
        if connection is not None:
            connection.close()
        if self._socket_directory != Path():
            shutil.rmtree(self._socket_directory, ignore_errors=True)

    async def _supervise(self) -> None:
        """Restart the child whenever it ends: at once if it had run for a while, else after a growing pause."""
        pause = 0.0
        while True:
            started = time.monotonic()
            if self._connection is not None:
                await self._connection.wait_lost()
            await self._end_process()
            self._connection = None
            if time.monotonic() - started > self._settings.longest_pause:
                pause = 0.0
            self._reason = f"the engine has stopped and is restarting: {self._explain_end()}"
            self._detail = ErrorDetail(ErrorCode.ENGINE_RESTARTING, quoted=self._explain_end())
            logger.error("the engine process ended; restarting it: %s", self._explain_end())
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, 0.25), self._settings.longest_pause)
            try:
                await self._spawn()
            except EngineUnavailable as error:
                # The message is sufficient; a traceback of our own code adds nothing.
                logger.error("restarting the engine failed: %s", error)  # noqa: TRY400

    async def _spawn(self) -> None:
        """Start a child and wait until it is ready.

        Raises:
            EngineUnavailable: it ended or did not get ready in time; no child is left behind.
        """
        socket = self.socket
        socket.unlink(missing_ok=True)
        self._last_lines.clear()
        process = await asyncio.create_subprocess_exec(
            *self._command(socket),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._child_environment(),
            cwd=self._settings.directory,
            # Out of the terminal's reach: Ctrl-C must not end the engine before the server has drained.
            start_new_session=True,
            limit=_LINE_LIMIT,
        )
        self._process = process
        listener = asyncio.create_task(self._forward_log(process), name="engine-log")
        try:
            async with asyncio.timeout(self._settings.start_timeout):
                line = await _pipe(process.stdout).readline()
        except TimeoutError:
            await self._stop_process()
            raise EngineUnavailable(f"the engine was not ready within {self._settings.start_timeout:g} s") from None
        if line != _READY_LINE:
            await process.wait()
            await listener
            raise EngineUnavailable(f"the engine did not start: {self._explain_end()}")
        try:
            self._connection = await EngineConnection.open(socket)
        except EngineUnavailable:
            await self._stop_process()
            raise
        self._generation += 1

    def _command(self, socket: Path) -> list[str]:
        settings = self._settings
        options = {
            "data": settings.directory.absolute(),
            "socket": socket,
            "rpcs": json.dumps(dict(settings.rpcs)),
            "sync-mode": settings.sync_mode,
            "read-threads": settings.read_threads,
            "write-threads": settings.write_threads,
            "lock-seconds": settings.lock_timeout,
            "drain-seconds": settings.stop_timeout / 2,
            "parent": os.getpid(),
        }
        # -P: no module may be picked up from the data directory, where the child runs.
        return [sys.executable, "-P", "-m", "kiteward.engine.embedded.child"] + [
            f"--{key}={value}" for key, value in options.items()
        ]

    def _child_environment(self) -> dict[str, str]:
        # Reads run beside each other already; threads of OpenBLAS would wait for one another.
        environment = {"OPENBLAS_NUM_THREADS": "1"}
        environment |= {name: os.environ[name] for name in _INHERITED_ENVIRONMENT if name in os.environ}
        package_root = str(Path(kiteward.__path__[0]).absolute().parent)
        return environment | {"PYTHONPATH": package_root}

    async def _forward_log(self, process: asyncio.subprocess.Process) -> None:
        """Pass the child's log lines to our logging, and keep the last ones."""
        log = _pipe(process.stderr)
        while True:
            try:
                line = await log.readline()
            except ValueError:
                # Longer than any line of ours; asyncio has dropped it.
                continue
            if not line:
                return
            self._log(line.decode(errors="replace").rstrip())

    def _log(self, line: str) -> None:
        request: dict[str, str] = {}
        try:
            record = json.loads(line)
            level, text = int(record["level"]), f"{record['logger']}: {record['message']}"
            if "request_id" in record:
                request["request_id"] = str(record["request_id"])
        except (ValueError, KeyError, TypeError):
            level, text = logging.WARNING, line
        self._last_lines.append(text)
        logger.log(level, "%s", text, extra=request)

    def _explain_end(self) -> str:
        code = (self._process.returncode if self._process is not None else None) or 0
        end = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return "; ".join([end, *self._last_lines])

    async def _end_process(self) -> None:
        """Wait for the end of a child whose connection has ended; stop it if only its connection has."""
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(_ENDING_SECONDS):
                await process.wait()
        except TimeoutError:
            await self._stop_process()

    async def _stop_process(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self._settings.stop_timeout):
                await process.wait()
        except TimeoutError:
            logger.warning("the engine did not stop within %g s; killing it", self._settings.stop_timeout)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _pipe(stream: asyncio.StreamReader | None) -> asyncio.StreamReader:
    """Return a stream that `subprocess.PIPE` has made."""
    if stream is None:
        raise TypeError("the child was started without pipes")
    return stream


def _private_socket_directory(data: Path) -> Path:
    """Return a new directory that only this user may enter, short enough for a socket address.

    A new one each time: the socket of a server that holds the same data must not be disturbed. What a killed server
    left behind, the child clears away once it holds the data.
    """
    directory = Path(tempfile.mkdtemp(prefix=SOCKET_DIRECTORY_PREFIX, dir=data.absolute()))
    if len(os.fsencode(directory / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES:
        return directory
    directory.rmdir()
    return Path(tempfile.mkdtemp(prefix="kiteward-"))
