"""`python -m benchmarks.pass_through`: what a call to a Milvus cluster costs when it passes through Kiteward.

This build, v0.1, Envoy and nginx stand before the same upstream, which answers at once, and take turns. Heads change
with each call as those of pymilvus do. Kiteward authenticates, authorizes, records and counts each call; the two plain
proxies do none of that. Each has one worker on one core; both ends of the calls share the other cores.
"""

import argparse
import contextlib
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pymilvus import MilvusException

from benchmarks import cluster_answers, peer_program, process_tree, profiled, proxies, report
from benchmarks.load import Unchecked
from benchmarks.peer_program import UPSTREAM, Ends, Size
from benchmarks.peers import Peer, PeerMissing
from benchmarks.proxies import ENVOY, NGINX, OURS, V0_1

TIME_OF_V0_1: Final = 0.30
TIME_OF_ENVOY: Final = 1.2
ADDED_OF_V0_1: Final = 0.5
MEMORY_OF_V0_1: Final = 1.0
GROWTH: Final = 1.02
"""How many times the memory after the first 100,000 calls that after 1,000,000 may be, to be called flat."""

_PROJECT: Final = Path(__file__).parents[1]
_LONGER: Final = 10
_ONE_AT_A_TIME: Final = Size(1, 1, calls=2_000)
_MIB: Final = 2**20
_PROFILED: Final = 20_000
_SHOWN: Final = 25
_SHOWN_SHARE: Final = 0.01
_IDLE_SECONDS: Final = 3.0
_WRITTEN_WITHIN: Final = 30.0


@dataclass(slots=True)
class Figures:
    """What was measured of one server.

    Attributes:
        times: microseconds of processor time a call, one figure for each round.
        rates: calls a second.
        p50, p99: microseconds that a call took, one at a time.
        memory: resident bytes after the first calls.
        later: the same after ten times as many, 0 where that was not measured.
        calls: how many were made so far.
        idle: microseconds of processor time a second without calls; they are part of `times`.
    """

    times: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    memory: int = 0
    later: int = 0
    calls: int = 0
    idle: float = 0.0


Measured = Mapping[str, Figures]
"""What was measured, by the name of the server; the upstream without a proxy is among them."""


def added(measured: Measured, name: str, *, percentile: str) -> list[float]:
    """Return by how many microseconds a proxy makes a call longer, round by round."""
    direct = getattr(measured[UPSTREAM], percentile)
    return [mine - alone for mine, alone in zip(getattr(measured[name], percentile), direct, strict=True)]


def ratios(measured: Measured) -> Iterator[report.Ratio]:
    """Return how this build compares with what was measured beside it."""
    times = {name: figures.times for name, figures in measured.items()}
    for name in measured:
        if name.startswith((V0_1, ENVOY, NGINX)):
            target = TIME_OF_V0_1 if name == V0_1 else TIME_OF_ENVOY if name.startswith(ENVOY) else None
            yield report.paired("processor time a call", times, ours=OURS, against=name, target=target, at_most=True)
    ours = measured[OURS]
    if V0_1 in measured:
        longer = {name: added(measured, name, percentile="p50") for name in (OURS, V0_1)}
        what = "added p50, one call at a time"
        yield report.paired(what, longer, ours=OURS, against=V0_1, target=ADDED_OF_V0_1, at_most=True)
        memory = ours.memory / measured[V0_1].memory
        yield report.single("memory after the first calls", memory, against=V0_1, target=MEMORY_OF_V0_1)
    if ours.later:
        growth = ours.later / ours.memory
        yield report.single("memory after ten times as many", growth, against="the first", target=GROWTH)


def figures_table(measured: Measured) -> str:
    """Return what was measured of each proxy: the median of the rounds with the lowest and the highest."""
    rows = [
        [
            name,
            report.spread(figures.times),
            f"{1e6 / statistics.median(figures.times):,.0f}",
            report.spread(figures.rates),
            report.spread(added(measured, name, percentile="p50")),
            report.spread(added(measured, name, percentile="p99")),
            f"{figures.memory / _MIB:,.1f}" + (f"; later {figures.later / _MIB:,.1f}" if figures.later else ""),
        ]
        for name, figures in measured.items()
        if name != UPSTREAM
    ]
    head = ["", "µs of processor time a call", "calls/s a core", "calls/s measured", "added p50, µs", "added p99, µs"]
    return report.table([*head, "MiB"], rows)


def idle_line(measured: Measured) -> str:
    """Return what each proxy takes while nobody calls."""
    shares = [f"{name} {figures.idle / 1e4:.2f}" for name, figures in measured.items() if name != UPSTREAM]
    return f"Without calls, in % of a core: {', '.join(shares)}. That is not subtracted."


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print.

    Returns:
        0; 1 if every target was required and one was not reached or not measured; 2 if nothing could be measured.
    """
    arguments = _arguments(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    missing: list[str] = []
    try:
        with tempfile.TemporaryDirectory(prefix="kiteward-bench-") as directory:
            bench = _Bench(arguments, Path(directory), missing)
            measured = bench.measure()
            profile = bench.profile() if arguments.profile else []
    except (PeerMissing, Unchecked, MilvusException, subprocess.CalledProcessError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped before the end", file=sys.stderr)
        return 130
    found = list(ratios(measured))
    parts = (bench.conditions(), figures_table(measured), idle_line(measured), report.ratios_table(found))
    print("", *parts, sep="\n\n")
    for lines in (profile, [f"not measured: {what}" for what in missing]):
        print("\n" + "\n".join(lines) if lines else "", end="\n" if lines else "")
    failed = missing or any(ratio.progress == "not reached" for ratio in found)
    return 1 if arguments.require and failed else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pass_through", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each takes its turn (default: 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long one turn lasts (default: 3)")
    parser.add_argument("--connections", type=int, default=8, help="a pymilvus client opens one (default: 8)")
    parser.add_argument("--in-flight", type=int, default=8, help="calls at a time on each (default: 8)")
    parser.add_argument("--calls", type=int, default=100_000, help="calls until memory is read (default: 100,000)")
    parser.add_argument("--long", action="store_true", help="also read it after ten times as many")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="also profile this build, and keep the profile")
    parser.add_argument("--require", action="store_true", help="fail if a target is not reached or not measured")
    parser.add_argument(
        "--envoy",
        type=Path,
        default=_PROJECT / ".venv-envoy" / "bin" / "envoy",
        help="the program; `make bench-pass-through` installs it",
    )
    return parser.parse_args(argv)


class _Bench:
    """One run."""

    def __init__(self, arguments: argparse.Namespace, directory: Path, missing: list[str]) -> None:
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise PeerMissing("two cores are needed: one for the proxy, another for both ends of the calls")
        self._cores = cores
        self._arguments = arguments
        self._directory = directory
        self._missing = missing
        self._size = Size(arguments.connections, arguments.in_flight, seconds=arguments.seconds)
        recorded = cluster_answers.write(directory / "recorded.json")
        self._ends = Ends(peer_program.built(), recorded, _on(cores[1:]))

    def measure(self) -> Measured:
        """Start everything and let it take turns."""
        with contextlib.ExitStack() as stack:
            peers = self._start(stack)
            measured = {peer.name: Figures() for peer in peers}
            for peer in peers[1:]:
                _say(f"the first calls through {peer.name}")
                measured[peer.name].memory = self._memory_after(self._arguments.calls, peer, measured[peer.name])
            self._idle(peers[1:], measured)
            for number in range(self._arguments.rounds):
                for peer in [*peers[number % len(peers) :], *peers[: number % len(peers)]]:
                    _say(f"round {number + 1} of {self._arguments.rounds}, {peer.name}")
                    self._turn(peer, measured[peer.name])
            if self._arguments.long:
                _say(f"many calls through {OURS}")
                (ours,) = (peer for peer in peers if peer.name == OURS)
                calls = _LONGER * self._arguments.calls
                measured[OURS].later = self._memory_after(calls, ours, measured[OURS])
        return measured

    def profile(self) -> list[str]:
        """Profile this build under load, and return its functions with the most time of their own."""
        path: Path = self._arguments.profile.absolute()
        path.unlink(missing_ok=True)
        with contextlib.ExitStack() as stack:
            upstream = stack.enter_context(self._ends.upstream(self._directory / "profiled-upstream"))
            prefix = ("env", f"PROFILE={path}", *_on(self._cores[:1]))
            server = stack.enter_context(
                proxies.this_build(self._directory / "profiled", upstream.address, prefix, module="benchmarks.profiled")
            )
            self._ends.load(server, self._size)
            # Where another process takes the core, its time counts too: over many calls, for each function alike.
            os.kill(server.process, profiled.BEGIN)
            calls = self._ends.load(server, replace(self._size, calls=_PROFILED)).calls
            os.kill(server.process, profiled.END)
            deadline = time.monotonic() + _WRITTEN_WITHIN
            while not path.exists():
                if time.monotonic() > deadline:
                    raise PeerMissing(f"{OURS} has written no profile")
                time.sleep(0.1)
        cost = profiled.own_cost()
        functions = profiled.read(path, added=cost)
        areas = [[area, f"{share:.1%}"] for area, share in profiled.shares(functions).items() if share > _SHOWN_SHARE]
        rows = [
            [function.name, f"{function.calls / calls:.2f}", f"{function.own / calls:.2f}"]
            for function in functions[:_SHOWN]
        ]
        note = f"The profile itself adds about {cost:.2f} µs to each function call, which is subtracted."
        tables = (report.table(["where", "share"], areas), report.table(["function", "times", "own µs"], rows))
        return ["Profile, for each call:", "", tables[0], "", tables[1], "", note]

    def conditions(self) -> str:
        """Return what the figures depend on."""
        request, answer = len(cluster_answers.request()), len(cluster_answers.answers()[cluster_answers.OPERATION])
        ends = ", ".join(map(str, self._cores[1:]))
        size, arguments = self._size, self._arguments
        return (
            f"{len(self._cores)} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, "
            f"{platform.platform()}\n"
            f"Search of {request:,} bytes, answer of {answer:,}; {size.connections} connections with {size.in_flight} "
            f"calls in flight each; {arguments.rounds} rounds of {size.seconds:g} s; memory after {arguments.calls:,} "
            f"calls. The proxy is pinned to core {self._cores[0]}, both ends of the calls to {ends}."
        )

    def _start(self, stack: contextlib.ExitStack) -> list[Peer]:
        upstream = stack.enter_context(self._ends.upstream(self._directory / "upstream"))
        running, pinned = [upstream], _on(self._cores[:1])
        starts: dict[str, proxies.Start] = {
            OURS: proxies.this_build,
            V0_1: proxies.version_0_1,
            ENVOY: proxies.envoy(self._arguments.envoy),
            NGINX: proxies.nginx,
        }
        for name, start in starts.items():
            _say(f"starting {name}")
            try:
                peer = stack.enter_context(start(self._directory / name.replace(" ", "-"), upstream.address, pinned))
            except PeerMissing as missing:
                if name == OURS:
                    raise
                self._missing.append(f"{name}: {missing}")
                continue
            running.append(peer)
        return running

    def _memory_after(self, calls: int, peer: Peer, figures: Figures) -> int:
        """Make as many calls as are left to make, and return the resident bytes."""
        left = max(0, calls - figures.calls)
        if left:
            figures.calls += self._ends.load(peer, replace(self._size, calls=left)).calls
        return process_tree.resident(peer.process)

    def _idle(self, peers: Sequence[Peer], measured: Measured) -> None:
        before = [process_tree.processor_time(peer.process) for peer in peers]
        time.sleep(_IDLE_SECONDS)
        for peer, spent in zip(peers, before, strict=True):
            taken = process_tree.processor_time(peer.process) - spent
            measured[peer.name].idle = taken / _IDLE_SECONDS

    def _turn(self, peer: Peer, figures: Figures) -> None:
        if peer.name != UPSTREAM:
            before = process_tree.processor_time(peer.process)
            loaded = self._ends.load(peer, self._size)
            figures.times.append((process_tree.processor_time(peer.process) - before) / loaded.calls)
            figures.rates.append(loaded.rate)
            figures.calls += loaded.calls
        alone = self._ends.load(peer, _ONE_AT_A_TIME)
        figures.p50.append(alone.p50)
        figures.p99.append(alone.p99)
        figures.calls += alone.calls


def _on(cores: Sequence[int]) -> tuple[str, ...]:
    """Return the command that runs another one on some cores."""
    return ("taskset", "--cpu-list", ",".join(map(str, cores)))


def _say(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
