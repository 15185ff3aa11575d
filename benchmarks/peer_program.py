"""The program in Go at both ends of a measurement: `benchmarks/pass_through_peer`.

The gRPC library of Python would be slower than most of what is measured.
"""

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import toolchains

from benchmarks import peers
from benchmarks.frames import authorization
from benchmarks.load import Unchecked
from benchmarks.peers import Peer, PeerMissing

UPSTREAM: Final = "no proxy"
_SOURCES: Final = Path(__file__).parent / "pass_through_peer"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one run of calls took; each answer was right.

    Attributes:
        calls: how many there were.
        rate: calls a second.
        p50, p99: microseconds that a call took.
    """

    calls: int
    rate: float
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Size:
    """How much is called at a time.

    Attributes:
        connections: how many there are.
        in_flight: calls at a time on each.
        calls: how many to make; 0 for as many as fit into the seconds.
        seconds: how long to call.
    """

    connections: int = 8
    in_flight: int = 8
    calls: int = 0
    seconds: float = 3.0


def built() -> str:
    """Return the path of the program, which is built if it has not been yet.

    Raises:
        PeerMissing: there is no Go.
    """
    if shutil.which("go") is None:
        raise PeerMissing("go is not installed; on Debian it is in golang-go")
    sources = {path.name: path.read_text() for path in _SOURCES.glob("*.go")}
    (program,) = toolchains.go_program("pass-through", _SOURCES, ".", sources)
    return program


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of calls.

    Attributes:
        program: the path of the program.
        recorded: the file with request and answers.
        prefix: the command that runs another one, as `taskset` does.
    """

    program: str
    recorded: Path
    prefix: Sequence[str] = ()

    @contextlib.contextmanager
    def upstream(self, directory: Path) -> Iterator[Peer]:
        """Run a server that answers each recorded RPC at once."""
        command = [*self.prefix, self.program, "upstream", "-recorded", str(self.recorded)]
        with peers.running(command, directory, ready=r"ready on ([\d.]+:\d+)") as (address, process):
            yield Peer(UPSTREAM, address, process=process)

    def load(self, peer: Peer, size: Size) -> Loaded:
        """Call one server.

        Raises:
            Unchecked: a call failed, or its answer was wrong.
        """
        (loaded,) = self.load_all([peer], size)
        return loaded

    def load_all(self, called: Sequence[Peer], size: Size) -> list[Loaded]:
        """Call several servers at the same time, each as much as `size` says. Raises as `load`."""
        running = [self._begin(peer, size) for peer in called]
        outputs = [process.communicate() for process in running]
        for peer, process, (_, error) in zip(called, running, outputs, strict=True):
            if process.returncode:
                raise Unchecked(f"{peer.name}: {error.strip()}")
        return [_parsed(output) for output, _ in outputs]

    def _begin(self, peer: Peer, size: Size) -> "subprocess.Popen[str]":
        options = {
            "recorded": self.recorded,
            "target": peer.address,
            "connections": size.connections,
            "in-flight": size.in_flight,
            "calls": size.calls,
            "seconds": size.seconds,
        }
        return subprocess.Popen(
            [*self.prefix, self.program, "load", *(f"-{name}={value}" for name, value in options.items())],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PEER_AUTHORIZATION": authorization(peer.token)},
        )


def _parsed(output: str) -> Loaded:
    found = json.loads(output)
    return Loaded(found["calls"], found["rate"], found["p50_us"], found["p99_us"])
