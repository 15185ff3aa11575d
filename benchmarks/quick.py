"""`make bench-quick`: Kiteward beside a bare Milvus Lite and a real Milvus, taking turns, in about four minutes."""

import argparse
import asyncio
import contextlib
import importlib.metadata
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol

from pymilvus import MilvusException

from benchmarks import decisions, filling, logins, peers, report
from benchmarks.changing_heads import ChangingLoad
from benchmarks.frames import Recorded, recorded
from benchmarks.load import CONNECTIONS, STREAMS, Load, Unchecked
from benchmarks.peers import KITEWARD, LITE, MILVUS, Peer, PeerMissing

_PROJECT: Final = Path(__file__).parents[1]
_RESULTS: Final = _PROJECT / "benchmarks" / "results" / "quick.json"
_PACKAGES: Final = ("grpcio", "milvus-lite", "pymilvus", "uvloop", "protobuf", "argon2-cffi", "pycasbin")
_BUDGETS: Final = {("ListCredUsers", MILVUS): 1.0, ("SelectRole", MILVUS): 1.0, ("Search", LITE): 0.9}
_TARGETS: Final = {
    ("ListCredUsers", MILVUS): 3.0,
    ("ListCredUsers, changing heads", MILVUS): 2.0,
    ("Search", LITE): 0.97,
    ("HasCollection", LITE): 1.0,
}
_CHANGING: Final = "ListCredUsers"
"""Also called with a head that changes with each call: there the time goes to heads rather than to the answer."""
_DECISION_P99: Final = 20.0
_DECISION_GROWTH: Final = 1.5
_LOGIN: Final = 1.3


class Measurable(Protocol):
    """One request against one server, ready to be measured several times."""

    def warm_up(self, seconds: float) -> None:
        """Run for a short while, and determine how much takes about `seconds`."""
        ...

    def measure(self) -> float:
        """Return the calls a second of one run."""
        ...


class Results:
    """What was measured, what is missing, and what failed its check."""

    def __init__(self) -> None:
        self.rates: dict[str, dict[str, list[float]]] = {}
        self.ratios: list[report.Ratio] = []
        self.facts: dict[str, Any] = {}
        self.missing: list[str] = []


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and save.

    Returns:
        1 if all figures were required and one is missing, or all targets and one is not reached; else 0.
    """
    arguments = _arguments(argv)
    # Whatever signal stops it, it stops every server that it started before it exits.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    results = Results()
    results.facts["load_before"] = round(os.getloadavg()[0], 1)
    requests = recorded(filling.DESCRIBED_ROLE)
    try:
        _servers(arguments, requests, results)
        _in_process(requests[-1], results)
    except KeyboardInterrupt:
        print("stopped before the end; nothing is saved", file=sys.stderr)
        return 130
    _print(results)
    _write(results)
    short = results.missing or any(ratio.progress == "not reached" for ratio in results.ratios)
    return 1 if (arguments.require_all and results.missing) or (arguments.require and short) else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each server takes its turn (default: 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long one turn lasts (default: 2)")
    parser.add_argument(
        "--milvus-python",
        type=Path,
        default=_PROJECT / ".venv-milvus" / "bin" / "python",
        help="an interpreter with the package milvus==2.3.5",
    )
    parser.add_argument("--require-all", action="store_true", help="fail if anything could not be measured")
    parser.add_argument("--require", action="store_true", help="fail if a target is not reached or not measured")
    return parser.parse_args(argv)


def _servers(arguments: argparse.Namespace, requests: Sequence[Recorded], results: Results) -> None:
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kiteward-bench-")))
        starts: dict[str, Callable[[], contextlib.AbstractContextManager[Peer]]] = {
            MILVUS: lambda: peers.milvus(directory / "milvus", arguments.milvus_python),
            LITE: lambda: peers.milvus_lite(directory / "lite"),
            KITEWARD: lambda: peers.kiteward(directory / "kiteward"),
        }
        try:
            peers.require_h2load()
        except PeerMissing as missing:
            results.missing.append(str(missing))
            return
        running: list[Peer] = []
        for name, start in starts.items():
            _say(f"starting {name}")
            try:
                peer = stack.enter_context(start())
                filling.fill(peer)
            except (PeerMissing, MilvusException) as missing:
                results.missing.append(f"{name}: {missing}")
                continue
            running.append(peer)
        for request in requests:
            _operation(request, running, arguments, results)


def _operation(request: Recorded, running: Sequence[Peer], arguments: argparse.Namespace, results: Results) -> None:
    able = [peer for peer in running if peer.token or not request.control]
    loads: dict[str, Measurable] = {peer.name: Load(peer, request) for peer in able}
    _in_turns(request.operation, loads, arguments, results)
    if request.operation == _CHANGING:
        try:
            changing: dict[str, Measurable] = {peer.name: ChangingLoad(peer, request) for peer in able}
        except (PeerMissing, Unchecked) as missing:
            results.missing.append(f"{request.operation}, changing heads: {missing}")
            return
        _in_turns(f"{request.operation}, changing heads", changing, arguments, results)


def _in_turns(what: str, loads: dict[str, Measurable], arguments: argparse.Namespace, results: Results) -> None:
    """Measure the servers in turns, another one first in each round; one that fails is left out from then on."""
    rates: dict[str, list[float]] = {name: [] for name in loads}
    for name in list(loads):
        try:
            loads[name].warm_up(arguments.seconds)
        except Unchecked as unchecked:
            results.missing.append(f"{name}, {what}: {unchecked}")
            del loads[name], rates[name]
    for turn in range(arguments.rounds):
        _say(f"{what}, round {turn + 1} of {arguments.rounds}")
        order = list(loads)
        for name in order[turn % len(order) :] + order[: turn % len(order)] if order else []:
            try:
                rates[name].append(loads[name].measure())
            except Unchecked as unchecked:
                results.missing.append(f"{name}, {what}: {unchecked}")
                del loads[name], rates[name]
    results.rates[what] = rates
    if KITEWARD in rates:
        results.ratios += [
            report.paired(
                what,
                rates,
                ours=KITEWARD,
                against=name,
                budget=_BUDGETS.get((what, name)),
                target=_TARGETS.get((what, name)),
            )
            for name in rates
            if name != KITEWARD
        ]


def _in_process(request: Recorded, results: Results) -> None:
    _say("authenticate, resolve and decide in process")
    costs = asyncio.run(decisions.ours(request))
    yardstick = {size: decisions.casbin(size) for size in (decisions.FEW, decisions.MANY)}
    if None in yardstick.values():
        results.missing.append("pycasbin is not installed; `make bench-quick` installs it")
    _say("first logins")
    login, bare = asyncio.run(logins.measure())
    few, many = costs[decisions.FEW], costs[decisions.MANY]
    results.ratios += [
        report.single("decision, 100,000 grants, p99 in µs", many.p99, against="", budget=_DECISION_P99),
        report.single("decision, 100,000 grants", many.median / few.median, against="100", budget=_DECISION_GROWTH),
        report.single("first login", login / bare, against="Argon2 alone", budget=_LOGIN),
    ]
    results.facts["decision_us"] = {str(size): asdict(cost) for size, cost in costs.items()}
    results.facts["pycasbin_us"] = {str(size): asdict(cost) for size, cost in yardstick.items() if cost}
    results.facts["login_ms"] = {"first login": login, "argon2 alone": bare}


def _machine() -> dict[str, Any]:
    versions = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions,
    }


def _print(results: Results) -> None:
    machine = _machine()
    load = f"load {results.facts['load_before']} before and {machine['load']} after"
    print(f"\n{machine['cores']} cores, {load}, Python {machine['python']}, ", end="")
    print(", ".join(f"{name} {version}" for name, version in machine["versions"].items()))
    print(f"h2load: {CONNECTIONS} connections with {STREAMS} streams each; servers took turns\n")
    order = [name for name in (MILVUS, LITE, KITEWARD) if any(name in rates for rates in results.rates.values())]
    if order:
        print(report.rates_table(results.rates, order), end="\n\n")
    print(_decision_table(results.facts), end="\n\n")
    login = results.facts["login_ms"]
    print(f"First login {login['first login']:.1f} ms, Argon2 alone {login['argon2 alone']:.1f} ms\n")
    print(report.ratios_table(results.ratios))
    for missing in results.missing:
        print(f"\nnot measured: {missing}")


def _decision_table(facts: dict[str, Any]) -> str:
    rows = []
    for label, key in (("authenticate, resolve and decide", "decision_us"), ("pycasbin, enforce alone", "pycasbin_us")):
        cells = [f"{cost['median']:,.1f} (p99 {cost['p99']:,.1f})" for cost in facts[key].values()]
        rows.append([label, *cells] if cells else [label, "-", "-"])
    return report.table(["µs of processor time a call", "100 grants", "100,000 grants"], rows)


def _write(results: Results) -> None:
    _RESULTS.parent.mkdir(exist_ok=True)
    document = {
        "machine": _machine(),
        "rates": results.rates,
        "ratios": [ratio.as_json() for ratio in results.ratios],
        "missing": results.missing,
        **results.facts,
    }
    _RESULTS.write_text(json.dumps(document, indent=2) + "\n")


def _say(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
