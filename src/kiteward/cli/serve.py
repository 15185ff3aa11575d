"""`kiteward serve`: run the server until SIGTERM or SIGINT."""

import argparse
import asyncio
import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Final

from kiteward.cli.options import add_configuration, settings_of, tell
from kiteward.domain.errors import KitewardError

if TYPE_CHECKING:  # the server is loaded when it runs, not to print its help
    from kiteward.config.settings import Settings

_LAST_PORT: Final = 65535


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("serve", help="run the server", description="Run the server until SIGTERM or SIGINT.")
    add_arguments(parser)
    parser.set_defaults(run=run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the server."""
    add_configuration(parser)
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--engine",
        metavar="ADDRESS",
        help="the engine: embedded, or a Milvus at grpc://HOST:PORT or grpcs://HOST:PORT (default: embedded)",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        help="processes that serve the port, with a remote engine and PostgreSQL for the store (default: 1)",
    )
    parser.add_argument(
        "--port", type=_port, help="port to listen on; 0 for one that the system chooses (default: 19530)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status: 0 after a clean stop, 1 when it could not start."""
    from kiteward.telemetry import logs  # noqa: PLC0415  as above

    logs.start(sys.stderr)
    try:
        settings = settings_of(arguments)
        logs.set_level(settings.log_level)
        if settings.workers > 1:
            from kiteward.bootstrap.workers.processes import supervise  # noqa: PLC0415  as above

            return supervise(settings)
        import uvloop  # noqa: PLC0415  as above

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_stopped(settings))
    except (KitewardError, OSError) as error:
        tell(error)
        return 1
    return 0


async def _until_stopped(settings: "Settings") -> None:
    """Serve until SIGTERM or SIGINT, which may also arrive during the start."""
    from kiteward.bootstrap.serving import serve  # noqa: PLC0415  as above

    serving = asyncio.ensure_future(serve(settings))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _port(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) > _LAST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {_LAST_PORT}, not {text!r}")
    return int(text)
