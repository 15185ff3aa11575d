"""The servers that are measured, each in a process group of its own that is gone afterwards."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MILVUS: Final = "Milvus 2.3.5"
LITE: Final = "Milvus Lite, bare"
KITEWARD: Final = "Kiteward"

ROOT_TOKEN: Final = "root:Milvus"
CALLER: Final = "reader0"
CALLER_PASSWORD: Final = "Kite-ward-1"

_PROJECT: Final = Path(__file__).parents[1]
NO_SETTINGS: Final[Mapping[str, str]] = {}
_START_SECONDS: Final = 120.0
_STOP_SECONDS: Final = 15.0


class PeerMissing(Exception):
    """A server that is not installed here or does not start; the message says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server.

    Attributes:
        name: what it is called in the table.
        address: host and port.
        token: `user:password` of the caller, empty where there are no users.
        process: the number of its process.
    """

    name: str
    address: str
    token: str = ""
    process: int = 0


@contextlib.contextmanager
def kiteward(
    directory: Path, *, prefix: Sequence[str] = (), module: str = "kiteward", **settings: str
) -> Iterator[Peer]:
    """Run this project's server.

    Args:
        directory: where it keeps everything.
        prefix: the command that runs another one, as `taskset` does.
        module: what is run, with the arguments of `kiteward`.
        settings: environment variables.
    """
    command = [*prefix, sys.executable, "-u", "-m", module, "serve"]
    command += ["--port", "0", "--data-dir", str(directory / "data")]
    # The port for health and metrics is left to the system: two servers may run at a time.
    settings = {"KITEWARD_METRICS_PORT": "0", **settings}
    with running(command, directory, ready=r"ready on http://([\d.]+:\d+)", settings=settings) as (address, process):
        yield Peer(KITEWARD, address, f"{CALLER}:{CALLER_PASSWORD}", process)


@contextlib.contextmanager
def milvus_lite(directory: Path) -> Iterator[Peer]:
    """Run the server that Milvus Lite ships with."""
    command = [sys.executable, "-u", "-m", "milvus_lite", "server", "--data-dir", str(directory / "data")]
    command += ["--host", "127.0.0.1", "--port", str(free_port())]
    with running(command, directory, ready=r"listening on ([\d.]+:\d+)") as (address, process):
        yield Peer(LITE, address, process=process)


@contextlib.contextmanager
def milvus(directory: Path, python: Path) -> Iterator[Peer]:
    """Run Milvus standalone with authorisation on.

    Args:
        directory: where it keeps everything: hundreds of megabytes, which are removed when it has stopped.
        python: an interpreter that has the package `milvus`.
    """
    if not python.exists():
        raise PeerMissing(f"there is no {python}; `make .venv-milvus/.ready` installs it")
    command = [str(python), "-u", str(_PROJECT / "benchmarks" / "milvus_standalone.py"), str(directory)]
    try:
        with running(command, directory, ready=r"ready on ([\d.]+:\d+)") as (address, process):
            yield Peer(MILVUS, address, f"{CALLER}:{CALLER_PASSWORD}", process)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def require_h2load() -> None:
    """Make sure that calls can be sent.

    Raises:
        PeerMissing: h2load is not installed.
    """
    if shutil.which("h2load") is None:
        raise PeerMissing("h2load is not installed; on Debian it is in nghttp2-client")


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str], directory: Path, *, ready: str, settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[tuple[str, int]]:
    """Run a server and give the address it announces and the number of its process.

    Raises:
        PeerMissing: it ended or did not announce one in time.
    """
    directory.mkdir(parents=True)
    log = directory / "server.log"
    with log.open("wb") as sink:
        # Its input ends with this process, however that ends. A group of its own: Ctrl-C is ours to pass on.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **settings},
        )
    try:
        yield _address(process, log, ready), process.pid
    finally:
        _stop(process)


def _address(process: "subprocess.Popen[bytes]", log: Path, ready: str) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        said = log.read_text(errors="replace")
        announced = re.search(ready, said)
        if announced:
            return announced[1]
        if process.poll() is not None:
            raise PeerMissing(f"it ended with {process.returncode}: {said.strip().splitlines()[-1:]}")
        time.sleep(0.05)
    raise PeerMissing(f"it was not ready within {_START_SECONDS:g} s")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
