"""A server of one process: serves until it is told to stop, and what it says when it is ready."""

import asyncio
import contextlib
import gc
import resource
from dataclasses import dataclass
from typing import Final

from kiteward.bootstrap.server import Server
from kiteward.config.settings import Settings
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT

_FILES: Final = 32_768
"""The number of open files that the process asks the system to allow."""

_YOUNG_OBJECTS: Final = 10_000
"""Objects that are created before the collector looks among them for cycles.

Audit events live until they are written. With CPython's 700 the collector walks through all that wait, over and over,
which took a tenth of the time of a call.
"""


def allow_many_files() -> None:
    """Raise the soft limit of open files as far as the system allows: each connection needs some."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # some systems allow less than they report
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is said of a server of several workers when it serves; the attributes are those of `Server`."""

    host: str
    port: int
    default_password: bool
    engine_fault: str


def ready(server: Server | Announcement, settings: Settings) -> str:
    """Return what is printed when a server serves: a line with its address, then the addresses of its pages."""
    address = f"{'http' if settings.tls is None else 'https'}://{server.host}:{server.port}"
    engine = "" if settings.engine is None else f"engine {settings.engine.address}, "
    state = (
        f"serves on {address} and is not ready: {server.engine_fault}"
        if server.engine_fault
        else f"is ready on {address}"
    )
    store = "" if settings.store is None else f"store {settings.store}, "
    workers = "" if settings.workers == 1 else f"{settings.workers} workers, "
    lines = [f"Kiteward {state} ({workers}{engine}{store}data in {settings.data_dir})"]
    if settings.rest.enabled and settings.console.enabled and settings.authorization:
        lines.append(f"  console: {address}/console/")
    if settings.rest.enabled:
        lines.append(f"  REST API documentation: {address}/docs")
    if settings.authorization and server.default_password:
        lines.append(f"  user {ROOT}, default password {DEFAULT_ROOT_PASSWORD}: change it")
    return "\n".join(lines)


def collect_less_often() -> None:
    """Exempt what the start has made from collection, which would take a tenth of a second to walk through it.

    What comes later is looked through for cycles less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


async def serve(settings: Settings) -> None:
    """Serve until cancelled, then stop cleanly."""
    allow_many_files()
    server = await Server.start(settings)
    collect_less_often()
    try:
        print(ready(server, settings), flush=True)  # noqa: T201  what whoever has started it reads
        await asyncio.Event().wait()
    finally:
        await server.stop()
