"""The process of an identity provider, on loopback, for as long as a block lasts."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

START_WITHIN: Final = 240.0
_STOP_WITHIN: Final = 60.0


@contextlib.contextmanager
def serving(
    command: Sequence[str],
    url: str,
    directory: Path,
    *,
    environment: Mapping[str, str] | None = None,
    within: float = START_WITHIN,
) -> Iterator[None]:
    """Run a provider's program, and wait until it answers.

    Args:
        command: its command line.
        url: what it answers once it is ready.
        directory: where it works, and writes its log.
        environment: variables in addition to our own.
        within: seconds until it has to answer.

    Raises:
        AssertionError: it ends, or does not answer in time; the message has its log.
    """
    log = directory / "provider.log"
    with log.open("wb") as output:
        started = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # scripts start the program itself as a child, which has to end with them
        )
    try:
        _await_answer(url, started, log, within)
        yield
    finally:
        _end(started)


def _await_answer(url: str, started: "subprocess.Popen[bytes]", log: Path, within: float) -> None:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline and started.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=30).is_success:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace"))


def _end(started: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(_STOP_WITHIN)
            return
