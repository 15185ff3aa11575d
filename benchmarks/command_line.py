"""What commands of the command line cost beside `kiteward --version` of version 0.1: processor time and time, in turn.

`python -m benchmarks.command_line` measures them on a data directory, without a server and beside a running one.
"""

import argparse
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import earlier

_PROJECT: Final = Path(__file__).parents[1]
_PEER: Final = "v0.1 --version"
_COMMANDS: Final = (
    "users list",
    "roles list",
    "keys list",
    "grants list",
    "collections list",
    "policy export",
    "doctor",
)
_ROUNDS: Final = 9


class Cost(NamedTuple):
    """Seconds that a command takes: of processors, and on the clock."""

    processor: float
    clock: float


class Program(NamedTuple):
    """A command line: an interpreter, the sources that it runs, and arguments."""

    python: Path
    source: Path
    arguments: tuple[str, ...]

    def run(self) -> Cost:
        """Run it once and return what it costs.

        Raises:
            subprocess.CalledProcessError: it fails; `doctor` ends with 1 where it advises something.
        """
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPATH": str(self.source), "XDG_CONFIG_HOME": "/nonexistent"}
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        ended = subprocess.run(
            [self.python, "-m", "kiteward", *self.arguments], env=environment, capture_output=True, check=False
        )
        clock, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        if ended.returncode not in ((0, 1) if self.arguments[0] == "doctor" else (0,)):
            ended.check_returncode()
        return Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, clock)


@contextlib.contextmanager
def _serving(directory: Path) -> Iterator[None]:
    """Serve from a data directory, on a port that the system chooses."""
    command = [sys.executable, "-m", "kiteward", "serve", "--data-dir", str(directory), "--port", "0"]
    environment = os.environ | {"KITEWARD_METRICS_ENABLED": "false"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            while "default password" not in server.stdout.readline():
                if server.poll() is not None:
                    raise RuntimeError("the server ended")
            yield
        finally:
            server.terminate()


def measured(programs: Mapping[str, Program], rounds: int) -> dict[str, list[Cost]]:
    """Run programs in turn, once unmeasured, and return what each run costs."""
    for program in programs.values():
        program.run()
    costs: dict[str, list[Cost]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, program in programs.items():
            costs[name].append(program.run())
    return costs


def table(costs: Mapping[str, Sequence[Cost]]) -> str:
    """Return the table: of each command its medians, and the ratio of processor time to that of v0.1's `--version`."""
    peer = statistics.median(cost.processor for cost in costs[_PEER])
    lines = [f"{'command':34} {'processor s':>12} {'of the peer':>12} {'clock s':>8}"]
    for name, each in costs.items():
        processor, clock = (statistics.median(column) for column in zip(*each, strict=True))
        lines.append(f"{name:34} {processor:12.3f} {processor / peer:12.2f} {clock:8.3f}")
    return "\n".join(lines)


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    rounds = parser.parse_args().rounds
    with earlier.checked_out(earlier.V0_1) as tree, tempfile.TemporaryDirectory() as directory:
        here, data = (Path(sys.executable), _PROJECT / "src"), Path(directory) / "data"
        peer = Program(earlier.python(tree), tree / "src", ("--version",))
        near = {line: Program(*here, (*line.split(), "--data-dir", str(data))) for line in _COMMANDS}
        with _serving(data):
            beside = {f"{line}, server running": program for line, program in near.items()}
            found = measured({_PEER: peer, "--version": Program(*here, ("--version",)), **beside}, rounds)
        print(table(found))
        print(table(measured({_PEER: peer, **{f"{line}, no server": each for line, each in near.items()}}, rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
