"""The embedded engine's process: Milvus Lite behind a Unix socket. Only `supervisor` starts it."""

import argparse
import asyncio
import ctypes
import gc
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from milvus_lite.exceptions import DataDirLockedError

from kiteward.engine.base import Access
from kiteward.engine.confinement import confine
from kiteward.engine.embedded.database import ServedDatabase
from kiteward.engine.embedded.dispatch import Dispatcher, current_request
from kiteward.engine.embedded.operations import Rpc, served_rpcs
from kiteward.engine.embedded.patches import open_database
from kiteward.engine.embedded.server import EngineServer
from kiteward.engine.embedded.servicer import EngineServicer
from kiteward.engine.embedded.supervisor import SOCKET_DIRECTORY_PREFIX
from kiteward.engine.embedded.sync_mode import SyncMode

uvloop: ModuleType | None
try:
    import uvloop
except ImportError:
    uvloop = None

READY = b"ready\n"

_PR_SET_PDEATHSIG = 1
_LOCK_POLL_SECONDS = 0.05
# After the end of the parent an orderly stop is not needed: the write-ahead log holds what was acknowledged.
_ORPHAN_SECONDS = 5.0

logger = logging.getLogger("kiteward.engine.child")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments with which the supervisor starts the child."""

    data: str
    socket: str
    rpcs: Mapping[str, Access]
    sync_mode: SyncMode
    read_threads: int
    write_threads: int
    lock_seconds: float
    drain_seconds: float
    parent: int


class LogLine(logging.Formatter):
    """One JSON object a line, without anything a caller sent.

    Milvus Lite puts exception texts, and with them field values, into the messages of its servicer. Of a record that
    carries an exception, or comes from the servicer, only the message template, the types and the places in the code
    are kept.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        speaks_of_calls = record.exc_info is not None or record.name.startswith("milvus_lite.adapter")
        message = str(record.msg) if speaks_of_calls else record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            message = f"{message} [{_where(record.exc_info[1])}]"
        request = {"request_id": current_request()} if current_request() else {}
        return json.dumps({"level": record.levelno, "logger": record.name, "message": message, **request})


def _where(error: BaseException | None) -> str:
    steps = []
    while error is not None:
        trace, place = error.__traceback__, "?"
        while trace is not None:
            place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
            trace = trace.tb_next
        steps.append(f"{type(error).__name__} at {place}")
        error = error.__cause__
    return " from ".join(steps)


def main() -> None:
    """Serve until SIGTERM, the end of standard input, or the end of the parent."""
    os.umask(0o077)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    arguments = _parse(sys.argv[1:])
    _die_with_parent(arguments.parent)
    _log_to_stderr()
    rpcs = _served(arguments)
    _confine(arguments)
    database = _open(arguments)
    _clear_old_sockets(arguments)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(arguments, database, rpcs))
    finally:
        database.close()


def _parse(argv: list[str]) -> Arguments:
    parser = argparse.ArgumentParser(prog="kiteward.engine.embedded.child")
    for name in ("data", "socket", "sync-mode"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rpcs", required=True, type=_rpcs)
    for name in ("read-threads", "write-threads", "parent"):
        parser.add_argument(f"--{name}", required=True, type=int)
    for name in ("lock-seconds", "drain-seconds"):
        parser.add_argument(f"--{name}", required=True, type=float)
    return Arguments(**vars(parser.parse_args(argv)))


def _rpcs(text: str) -> Mapping[str, Access]:
    return {name: Access(access) for name, access in json.loads(text).items()}


def _served(arguments: Arguments) -> Sequence[Rpc]:
    """Return the RPCs to serve; end the process where one of them cannot be served safely."""
    try:
        return served_rpcs(EngineServicer, arguments.rpcs)
    except ValueError as error:
        sys.exit(f"the engine cannot serve its RPCs: {error}")


def _die_with_parent(parent: int) -> None:
    """Ask Linux for a kill when the parent dies, so that a stuck child cannot keep the data locked."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the server that started this engine has ended")


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _confine(arguments: Arguments) -> None:
    """Confine this process to its data and its socket, and log what this system cannot forbid."""
    found = confine([Path(arguments.data), Path(arguments.socket).parent])
    logger.info("the engine is confined: %s", found)
    for gap in found.gaps:
        logger.warning("on this system, native code of the engine can access %s", gap)


def _open(arguments: Arguments) -> ServedDatabase:
    """Open the data, waiting a while for a predecessor that is still exiting."""
    deadline = time.monotonic() + arguments.lock_seconds
    while True:
        try:
            return open_database(arguments.data, arguments.sync_mode)
        except DataDirLockedError:
            if time.monotonic() >= deadline:
                sys.exit("the engine's data directory is in use by another process")
            time.sleep(_LOCK_POLL_SECONDS)


def _clear_old_sockets(arguments: Arguments) -> None:
    """Remove the sockets of killed servers; those servers have ended, because this process holds the data."""
    own = Path(arguments.socket).parent
    for directory in Path(arguments.data).glob(f"{SOCKET_DIRECTORY_PREFIX}*"):
        if directory != own:
            shutil.rmtree(directory, ignore_errors=True)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    return None if uvloop is None else uvloop.new_event_loop


async def _serve(arguments: Arguments, database: ServedDatabase, rpcs: Sequence[Rpc]) -> None:
    dispatcher = Dispatcher(database, rpcs, read_threads=arguments.read_threads, write_threads=arguments.write_threads)
    server = await EngineServer.listen(arguments.socket, dispatcher.begin)
    stop = _stop_requested()
    # The libraries' objects stay. Left to the collector, they are walked through again and again while calls wait.
    gc.collect()
    gc.freeze()
    dispatcher.warm_up()
    os.write(sys.stdout.fileno(), READY)
    # Standard output is not read from here on, so that output of libraries is redirected to the log.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    await stop.wait()
    await server.stop(arguments.drain_seconds)
    await asyncio.to_thread(dispatcher.drain)


def _stop_requested() -> asyncio.Event:
    """Return an event set by SIGTERM or by the end of standard input, which the parent holds open while it lives."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)

    def parent_gone() -> None:
        if os.read(sys.stdin.fileno(), 1):
            return
        loop.remove_reader(sys.stdin.fileno())
        timer = threading.Timer(_ORPHAN_SECONDS, os._exit, (1,))
        timer.daemon = True
        timer.start()
        stop.set()

    loop.add_reader(sys.stdin.fileno(), parent_gone)
    return stop


if __name__ == "__main__":
    main()
