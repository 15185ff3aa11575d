"""A whole server with a fake engine, on an event loop of its own, for clients that block."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from tests.support.engine import FakeEngine
from tests.support.in_process_server import serving


@contextlib.contextmanager
def running(directory: Path, **settings: Any) -> Iterator[tuple[str, FakeEngine]]:
    """Serve from a data directory below `directory`; yield the address of the server, and its engine."""
    started: Future[tuple[str, FakeEngine]] = Future()
    stopping: Future[None] = Future()

    async def serve() -> None:
        async with serving(directory, **settings) as (server, engine):
            scheme = "https" if "tls" in settings else "http"
            started.set_result((f"{scheme}://localhost:{server.port}", engine))
            await asyncio.wrap_future(stopping)

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield started.result()
    finally:
        if not stopping.done():
            stopping.set_result(None)
        thread.join()
