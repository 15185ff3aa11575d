"""`kiteward health`: ask the server on this machine whether it is ready. For probes; it reads no configuration."""

import argparse
import http.client
import time
from typing import Final

from kiteward.cli.output import note, print_json, say

_LOOPBACK: Final = "127.0.0.1"
_PORT: Final = 9091
_PATIENCE: Final = 5.0
"""Seconds in which the server must respond; it reports within two."""

_PAUSE: Final = 0.2
_LONGEST_BODY: Final = 1024


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "health",
        help="ask the server on this machine whether it is ready",
        description=(
            "Ask the port for health and metrics whether the server can serve requests. Exit status 0 if it can, and 1 "
            "otherwise. It needs no credential."
        ),
    )
    parser.add_argument("--host", default=_LOOPBACK, help=f"its address, kiteward.metrics.host (default: {_LOOPBACK})")
    parser.add_argument("--port", type=int, default=_PORT, help=f"its port, kiteward.metrics.port (default: {_PORT})")
    parser.add_argument("--live", action="store_true", help="ask only whether the process responds")
    parser.add_argument(
        "--wait", type=float, default=0.0, metavar="SECONDS", help="ask again for so long before giving up (default: 0)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command, print the answer as one line, and return the exit status: 0 if it was 200, 1 otherwise."""
    path = "/healthz/live" if arguments.live else "/healthz"
    until = time.monotonic() + arguments.wait
    while True:
        healthy, answer = _ask(arguments.host, arguments.port, path)
        if healthy or time.monotonic() >= until:
            if arguments.json:
                print_json({"healthy": healthy, "answer": answer})
            elif healthy:
                say(answer)
            else:
                note(f"kiteward: {answer}")
            return 0 if healthy else 1
        time.sleep(_PAUSE)


def _ask(host: str, port: int, path: str) -> tuple[bool, str]:
    """Return whether the answer to one request was 200, and the answer or why there is none."""
    connection = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read(_LONGEST_BODY).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return False, f"no answer from {host}:{port} ({reason})"
    finally:
        connection.close()
    return response.status == http.client.OK, text.strip()
