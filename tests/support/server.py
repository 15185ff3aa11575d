"""A real server in a process of its own, started and stopped as an operator does it.

    with server.running(tmp_path / "data", config="kiteward: {passwordPolicy: legacy}") as running:
        MilvusClient(uri=running.uri, token=server.ROOT_TOKEN)

Leaving the block stops the server and demands exit status 0. A `conftest.py` that imports `pytest_runtest_makereport`
from here shows the logs of all running servers when a test fails.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

ROOT_TOKEN: Final = "root:Milvus"
START_WITHIN: Final = 120.0
STOP_WITHIN: Final = 90.0
"""Longer than the server lets requests in flight finish."""

_READY: Final = re.compile(r"^Kiteward is ready on (?P<uri>https?://(?P<host>\S+):(?P<port>\d+)) ", re.MULTILINE)
_running: Final[list["RunningServer"]] = []


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that has said it is ready: its process, its files, and the address it listens on."""

    process: subprocess.Popen[bytes]
    data_dir: Path
    log_path: Path
    host: str
    port: int

    @property
    def uri(self) -> str:
        """Return the endpoint for clients on this machine."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        return f"http://{host}:{self.port}"

    def log(self) -> str:
        """Return what the server has written so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the server to stop and return its exit status; one that does not is killed and fails the test."""
        self.process.send_signal(number)
        try:
            return self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"the server did not stop within {STOP_WITHIN} s of {number.name}:\n{self.log()}")


def command(data_dir: Path, *arguments: str) -> list[str]:
    """Return the command line that serves a data directory on a port of the system's choice."""
    return [sys.executable, "-m", "kiteward", "serve", "--data-dir", str(data_dir), "--port", "0", *arguments]


def start(
    data_dir: Path, *arguments: str, config: str | None = None, environment: Mapping[str, str] | None = None
) -> RunningServer:
    """Start a server and wait until it is ready; the caller has to stop it.

    Args:
        data_dir: its data directory.
        arguments: further ones of its command line.
        config: what its configuration file says.
        environment: variables in addition to our own.
    """
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    # A server on a chosen port takes the default port for metrics, which one server alone can have.
    configured = "--config" in arguments or "metrics" in (config or "")
    metrics = {"KITEWARD_METRICS_PORT": "0"} if "--port" in arguments and not configured else {}
    if config is not None:
        file = data_dir.with_name(f"{data_dir.name}.yaml")
        file.write_text(config, encoding="utf-8")
        arguments = ("--config", str(file), *arguments)
    log_path = data_dir.with_name(f"{data_dir.name}.{time.monotonic_ns()}.log")
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command(data_dir, *arguments),
            cwd=data_dir.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **metrics, **(environment or {})},
        )
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        ready = _READY.search(log_path.read_text(encoding="utf-8", errors="replace"))
        if ready is not None:
            return RunningServer(process, data_dir, log_path, ready["host"], int(ready["port"]))
        time.sleep(0.02)
    ended = process.poll()
    process.kill()
    process.wait()
    why = f"did not become ready within {START_WITHIN} s" if ended is None else f"ended with status {ended}"
    pytest.fail(f"the server {why}:\n{log_path.read_text(encoding='utf-8', errors='replace')}")


@contextmanager
def running(data_dir: Path, *arguments: str, config: str | None = None) -> Iterator[RunningServer]:
    """Run a server for as long as the block lasts; a test that stopped it before may have done so."""
    server = start(data_dir, *arguments, config=config)
    _running.append(server)
    try:
        yield server
    finally:
        _running.remove(server)
        status = server.process.poll()
        status = server.stop() if status is None else status
    assert status == 0, f"the server ended with status {status}:\n{server.log()}"


def refused_start(command_line: Sequence[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that is expected to exit, and return its result."""
    return subprocess.run(command_line, cwd=cwd, capture_output=True, text=True, timeout=START_WITHIN, check=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach the servers' logs to the report of a failed test."""
    report = yield
    if report.failed:
        report.sections += [(f"log of the server on {each.uri}", each.log()) for each in _running]
    return report
