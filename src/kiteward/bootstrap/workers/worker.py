"""One worker, from its start to its end."""

import asyncio
import contextlib
import signal
import socket
import sys
from pathlib import Path

import uvloop

from kiteward.authn.hashing import PRODUCTION
from kiteward.bootstrap.server import Server
from kiteward.bootstrap.serving import allow_many_files, collect_less_often
from kiteward.bootstrap.workers.messages import Failed, Opened
from kiteward.bootstrap.workers.place import Place
from kiteward.bootstrap.workers.share import hashing_share, share_of
from kiteward.config.settings import Settings
from kiteward.domain.errors import KitewardError
from kiteward.telemetry import logs


def run_worker(settings: Settings, number: int, link: socket.socket, *, sockets: Path) -> int:
    """Serve until the parent says otherwise, is gone, or SIGTERM arrives, and return the exit status.

    Args:
        settings: the configuration of the server.
        number: the number of this worker, from 1 on.
        link: connects it with the parent.
        sockets: the directory in which workers answer each other.
    """
    logs.start(sys.stderr, worker=number)
    logs.set_level(settings.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_work(share_of(settings, number), number, link, sockets=sockets))


async def _work(settings: Settings, number: int, link: socket.socket, *, sockets: Path) -> int:
    reader, writer = await asyncio.open_unix_connection(sock=link)
    place = Place(number, reader, writer, sockets=sockets)
    serving = asyncio.ensure_future(_serve(settings, place))

    def end() -> None:
        # Once: a second cancellation would interrupt the stop that the first one has begun.
        if not serving.cancelling():
            serving.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    following = asyncio.create_task(place.follow(end), name="following the parent")
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await serving
    except (KitewardError, OSError) as error:
        place.tell(Failed(str(error)))
        return 1
    else:
        return 0
    finally:
        following.cancel()
        await place.told()


async def _serve(settings: Settings, place: Place) -> None:
    allow_many_files()
    server = await Server.start(settings, hashing=hashing_share(PRODUCTION, settings.workers), place=place)
    collect_less_often()
    try:
        place.tell(Opened(server.default_password, server.engine_fault))
        await asyncio.Event().wait()
    finally:
        await server.stop()
