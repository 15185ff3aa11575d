"""`python -m benchmarks.bounds`: what this build costs beside an earlier commit, both in one run and taking turns.

The commit is checked out into a temporary directory. Both builds run in the same environment; `PYTHONPATH` decides
which one is loaded, and that is verified. Beside the calls a second stands the processor time of a call, in the server
and its engine: it changes less while the machine does other things, and the budget is held against it. With `--control`
the base runs twice, and how far it is from itself tells what the figures of this run are worth.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import grpc.aio

from benchmarks import earlier, filling, peers, report
from benchmarks.frames import Recorded, authorization, recorded
from benchmarks.load import Load
from benchmarks.peers import Peer, PeerMissing
from benchmarks.process_tree import processor_time

BASE: Final = "1123d0b"
"""The commit before most bounds."""

BUDGET: Final = 1.03
"""How many times the processor time of the base a call may take."""

OURS: Final = "this build"
AGAIN: Final = "the base again"
_PROJECT: Final = Path(__file__).parents[1]
_AT_ONCE: Final = 32
_WARM_UP: Final = 500
_CHANGING: Final = ("ListCredUsers", "HasCollection")
_LOGIN: Final = (
    "import asyncio; from benchmarks import logins; login, bare = asyncio.run(logins.measure()); print(login / bare)"
)
_HEAD: Final = "from benchmarks import heads; print(heads.measure(heads._heads(changing=True)))"

Turn = tuple[float, float]
"""Calls a second, and microseconds of processor time a call."""


@dataclass(slots=True)
class Row:
    """What was measured of one kind of call.

    Attributes:
        what: the kind.
        rates: build -> calls a second, one figure for each round; empty where only the time counts.
        times: build -> microseconds of processor time a call.
    """

    what: str
    rates: dict[str, list[float]] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)

    def add(self, build: str, turn: Turn) -> None:
        """Add what one turn took."""
        rate, time = turn
        self.times.setdefault(build, []).append(time)
        if rate:
            self.rates.setdefault(build, []).append(rate)

    def ratios(self, base: str) -> Iterator[report.Ratio]:
        """Return how this build compares with the base."""
        yield report.paired(f"{self.what}, time", self.times, ours=OURS, against=base, budget=BUDGET, at_most=True)
        if AGAIN in self.times:
            yield report.paired(f"{self.what}, time, control", self.times, ours=AGAIN, against=base)
        if self.rates:
            yield report.paired(f"{self.what}, calls a second", self.rates, ours=OURS, against=base)


Measure = Callable[[], Turn]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and return 0 if every row keeps the budget, 1 if one does not, 2 if nothing could be measured."""
    arguments = _arguments(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        peers.require_h2load()
        with _trees(arguments.base, control=arguments.control) as trees:
            rows = _rows(trees, arguments.rounds, arguments.seconds)
    except (PeerMissing, subprocess.CalledProcessError) as missing:
        print(f"not measured: {missing}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped before the end", file=sys.stderr)
        return 130
    ratios = [ratio for row in rows for ratio in row.ratios(arguments.base)]
    print(report.rates_table({row.what: row.rates for row in rows if row.rates}, list(trees)), end="\n\n")
    print(report.rates_table({row.what: row.times for row in rows}, list(trees)).replace("calls a second", "µs a call"))
    print(f"\n{report.ratios_table(ratios)}")
    return 1 if any(ratio.verdict == "missed" for ratio in ratios) else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bounds", description=__doc__)
    parser.add_argument("--base", default=BASE, help=f"the commit to compare with (default: {BASE})")
    parser.add_argument("--control", action="store_true", help="run the base twice, to see the variation of this run")
    parser.add_argument("--rounds", type=int, default=9, help="how often each build takes its turn (default: 9)")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long one turn lasts (default: 2)")
    return parser.parse_args(argv)


@contextlib.contextmanager
def _trees(base: str, *, control: bool) -> Iterator[Mapping[str, Path]]:
    """Check the base out, and give the directory of each build; with a control the base is there twice."""
    with earlier.checked_out(base) as tree:
        yield {base: tree, OURS: _PROJECT, **({AGAIN: tree} if control else {})}


def _loading(tree: Path) -> dict[str, str]:
    """Return the environment in which a tree's code is loaded."""
    return {"PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}"}


def _output_of(tree: Path, program: str) -> str:
    """Run a short program with a tree's code and return what it prints."""
    environment = {**os.environ, **_loading(tree)}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def _rows(trees: Mapping[str, Path], rounds: int, seconds: float) -> list[Row]:
    for build, tree in trees.items():
        loaded = Path(_output_of(tree, "import kiteward; print(kiteward.__file__)"))
        assert loaded.is_relative_to(tree / "src"), f"{build} loads {loaded}"
    rows = []
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kiteward-bench-")))
        running: dict[str, Peer] = {}
        for number, (build, tree) in enumerate(trees.items()):
            _say(f"starting {build}")
            running[build] = stack.enter_context(peers.kiteward(directory / str(number), **_loading(tree)))
            filling.fill(running[build])
        for request in recorded(filling.DESCRIBED_ROLE):
            loads = {build: _by_h2load(peer, request, seconds) for build, peer in running.items()}
            rows.append(_in_turns(request.operation, loads, rounds))
            if request.operation in _CHANGING:
                loads = {build: _with_changing_heads(peer, request, seconds) for build, peer in running.items()}
                rows.append(_in_turns(f"{request.operation}, changing heads", loads, rounds))
    for what, program, scale in (
        ("reading a changing head", _HEAD, 1.0),
        ("first login, thousandths of Argon2 alone", _LOGIN, 1e3),
    ):
        rows.append(
            _in_turns(what, {build: _by_program(tree, program, scale) for build, tree in trees.items()}, rounds)
        )
    return rows


def _in_turns(what: str, loads: Mapping[str, Measure], rounds: int) -> Row:
    """Measure the builds in turns, another one first in each round."""
    row = Row(what)
    for number in range(rounds):
        _say(f"{what}, round {number + 1} of {rounds}")
        for build in _rotated(list(loads), number):
            row.add(build, loads[build]())
    return row


def _rotated(builds: Sequence[str], number: int) -> Sequence[str]:
    first = number % len(builds)
    return [*builds[first:], *builds[:first]]


def _by_h2load(peer: Peer, request: Recorded, seconds: float) -> Measure:
    load = Load(peer, request)
    load.warm_up(seconds)

    def measure() -> Turn:
        before = processor_time(peer.process)
        rate = load.measure()
        return rate, (processor_time(peer.process) - before) / load.calls

    return measure


def _with_changing_heads(peer: Peer, request: Recorded, seconds: float) -> Measure:
    """Call as pymilvus does, which sends the time along: each head is another one."""
    calls = _WARM_UP

    def measure() -> Turn:
        before = processor_time(peer.process)
        taken = asyncio.run(_call(peer, request, calls))
        return calls / taken, (processor_time(peer.process) - before) / calls

    rate, _ = measure()
    calls = max(_WARM_UP, round(rate * seconds))
    return measure


async def _call(peer: Peer, request: Recorded, calls: int) -> float:
    """Make so many calls and return the seconds it took."""
    own, left, loop = ("authorization", authorization(peer.token)), iter(range(calls)), asyncio.get_running_loop()
    async with grpc.aio.insecure_channel(peer.address) as channel:
        invoke = channel.unary_unary(request.path)

        async def work() -> None:
            for number in left:
                now = ("client-request-unixmsec", str(1_790_000_000_000 + number))
                request.answer.FromString(await invoke(request.payload, metadata=(own, now)))

        began = loop.time()
        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        return loop.time() - began


def _by_program(tree: Path, program: str, scale: float) -> Measure:
    return lambda: (0.0, float(_output_of(tree, program)) * scale)


def _say(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
