"""`python -m benchmarks.workers`: how many more calls two workers answer than one.

Servers of this build stand before the same upstream, which answers at once, and take turns: one with a single process,
one with two workers, and two with a single process each, which share nothing but the machine. Each has users and roles
in a PostgreSQL database. Both ends of the calls, the program in Go of `benchmarks.pass_through`, share the cores with
them. Where there are not enough cores for all, two workers cannot answer twice the calls of one, and a call takes more
processor time, because the processes take a core from each other more often. What remains then of the comparison is
that with two servers of their own, which are the most that the machine permits: the difference is what it costs that
workers share a port and apply each other's changes.
"""

import argparse
import contextlib
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest
from pymilvus import MilvusException
from tests.support import postgresql

from benchmarks import cluster_answers, filling, peer_program, peers, process_tree, report
from benchmarks.load import Unchecked
from benchmarks.peer_program import Ends, Size
from benchmarks.peers import CALLER, CALLER_PASSWORD, Peer, PeerMissing

ONE: Final = "one worker"
TWO: Final = "two workers"
APART: Final = "two servers of one worker"
TARGET: Final = 1.8

_SERVERS: Final[Mapping[str, tuple[int, int]]] = {ONE: (1, 1), TWO: (1, 2), APART: (2, 1)}
"""What is measured -> how many servers, and how many workers each of them has."""


@dataclass(slots=True)
class Figures:
    """What was measured of one server, a figure for each round.

    Attributes:
        rates: calls a second.
        times: microseconds of the server's processor time a call.
        ends: microseconds of processor time a call of both ends.
    """

    rates: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)


Measured = Mapping[str, Figures]


def ratios(measured: Measured) -> Iterator[report.Ratio]:
    """Return how two workers compare with one."""
    rates = {name: figures.rates for name, figures in measured.items()}
    times = {name: figures.times for name, figures in measured.items()}
    yield report.paired("calls a second", rates, ours=TWO, against=ONE, target=TARGET)
    yield report.paired("calls a second", rates, ours=TWO, against=APART, target=TARGET / 2)
    yield report.paired("processor time a call", times, ours=TWO, against=APART)


def permitted(measured: Measured, cores: int) -> float:
    """Return how many times the calls of one worker the cores permit, if each is busy with calls all the time."""
    one, two = measured[ONE], measured[TWO]
    most = [cores * 1e6 / (time + ends) for time, ends in zip(two.times, two.ends, strict=True)]
    return statistics.median(limit / rate for limit, rate in zip(most, one.rates, strict=True))


def limit_line(measured: Measured, cores: int) -> str:
    """Return what the machine permitted."""
    most = permitted(measured, cores)
    if most >= 2:
        return f"The {cores} cores permitted {most:.2f} times the calls of one worker: they limited nothing."
    return (
        f"The {cores} cores, which workers and both ends of the calls share, permitted {most:.2f} times the calls of "
        "one worker, whatever the server does."
    )


def figures_table(measured: Measured) -> str:
    """Return what was measured: the median of the rounds with the lowest and the highest."""
    rows = [
        [name, report.spread(figures.rates), report.spread(figures.times), report.spread(figures.ends)]
        for name, figures in measured.items()
    ]
    return report.table(["", "calls/s", "µs of processor time a call", "of both ends"], rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print.

    Returns:
        0; 1 if the target was required and not reached; 2 if nothing could be measured.
    """
    arguments = _arguments(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="kiteward-bench-") as directory:
            measured = _measure(arguments, Path(directory))
    except (PeerMissing, Unchecked, MilvusException, subprocess.CalledProcessError, pytest.skip.Exception) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped before the end", file=sys.stderr)
        return 130
    cores = len(os.sched_getaffinity(0))
    found = list(ratios(measured))
    conditions = (
        f"{cores} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, {platform.platform()}\n"
        f"{arguments.connections} connections with {arguments.in_flight} calls in flight each; {arguments.rounds} "
        f"rounds of {arguments.seconds:g} s."
    )
    print("", conditions, figures_table(measured), report.ratios_table(found), limit_line(measured, cores), sep="\n\n")
    return 1 if arguments.require and any(ratio.progress == "not reached" for ratio in found) else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each takes its turn (default: 7)")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long one turn lasts (default: 3)")
    parser.add_argument(
        "--connections", type=int, default=32, help="the system divides them among workers (default: 32)"
    )
    parser.add_argument("--in-flight", type=int, default=4, help="calls at a time on each (default: 4)")
    parser.add_argument("--require", action="store_true", help="fail if the target is not reached")
    return parser.parse_args(argv)


def _measure(arguments: argparse.Namespace, directory: Path) -> Measured:
    """Start everything and let it take turns."""
    recorded = cluster_answers.write(directory / "recorded.json")
    ends = Ends(peer_program.built(), recorded)
    size = Size(arguments.connections, arguments.in_flight, seconds=arguments.seconds)
    measured = {name: Figures() for name in _SERVERS}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(ends.upstream(directory / "upstream"))
        cluster = stack.enter_context(postgresql.running())
        servers = {
            name: [
                stack.enter_context(
                    _server(directory / f"{workers}-{number}-{many}", name, upstream.address, cluster, workers=workers)
                )
                for number in range(many)
            ]
            for name, (many, workers) in _SERVERS.items()
        }
        order = list(servers)
        for number in range(arguments.rounds + 1):
            for name in (order[number % len(order) :] + order[: number % len(order)])[:: 1 if number % 2 else -1]:
                _say(f"round {number} of {arguments.rounds}, {name}" if number else f"warming up {name}")
                _turn(ends, servers[name], upstream, measured[name] if number else Figures(), size=size)
    return measured


@contextlib.contextmanager
def _server(directory: Path, name: str, upstream: str, cluster: postgresql.Cluster, *, workers: int) -> Iterator[Peer]:
    with cluster.database() as database:
        settings = {
            "KITEWARD_ENGINE_ADDRESS": f"grpc://{upstream}",
            "KITEWARD_STORE_URL": cluster.url(database.database),
            "KITEWARD_STORE_PASSWORD": database.password.reveal(),
            "KITEWARD_WORKERS": str(workers),
        }
        with peers.kiteward(directory, **settings) as peer:
            filling.add_searcher(peer, cluster_answers.COLLECTION)
            yield Peer(name, peer.address, f"{CALLER}:{CALLER_PASSWORD}", peer.process)


def _turn(ends: Ends, servers: Sequence[Peer], upstream: Peer, figures: Figures, *, size: Size) -> None:
    """Divide the connections among the servers, call all of them at the same time, and add up."""
    before, ends_before = _of_servers(servers), _of_ends(upstream)
    loaded = ends.load_all(servers, replace(size, connections=size.connections // len(servers)))
    calls = sum(each.calls for each in loaded)
    figures.rates.append(sum(each.rate for each in loaded))
    figures.times.append((_of_servers(servers) - before) / calls)
    figures.ends.append((_of_ends(upstream) - ends_before) / calls)


def _of_servers(servers: Sequence[Peer]) -> float:
    """Return the microseconds of processor time of servers."""
    return sum(process_tree.processor_time(each.process) for each in servers)


def _of_ends(upstream: Peer) -> float:
    """Return the microseconds of processor time of the upstream, and of all loads that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_tree.processor_time(upstream.process) + (ended.ru_utime + ended.ru_stime) * 1e6


def _say(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
