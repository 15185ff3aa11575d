"""`python -m benchmarks.auditing`: throughput with every data operation in the audit trail beside that without.

Two servers, alike but for `kiteward.audit.dataOperations`, take turns. Beside the search, which the budget names,
stands HasCollection: the engine has next to nothing to do there, so that recording weighs most.
"""

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks import filling, peers, report
from benchmarks.frames import Recorded, recorded
from benchmarks.load import Load
from benchmarks.peers import Peer

BUDGET: Final = 0.9
"""The least share of the throughput that must be left."""

RECORDED: Final = "recorded"
LEFT_OUT: Final = "left out"
_OPERATIONS: Final = ("HasCollection", "Search")


def main() -> int:
    """Measure, print, and return the exit status: 1 if the budget was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.auditing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each server takes its turn (default: 7)")
    parser.add_argument("--seconds", type=float, default=2.0, help="about how long one turn lasts (default: 2)")
    arguments = parser.parse_args()
    peers.require_h2load()
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kiteward-bench-")))
        servers = {
            name: stack.enter_context(
                peers.kiteward(directory / name.replace(" ", "-"), KITEWARD_AUDIT_DATAOPERATIONS=str(wanted))
            )
            for name, wanted in ((RECORDED, True), (LEFT_OUT, False))
        }
        for peer in servers.values():
            filling.fill(peer)
        measured = {
            request.operation: _turns(servers, request, arguments)
            for request in recorded(filling.DESCRIBED_ROLE)
            if request.operation in _OPERATIONS
        }
    ratios = [
        report.paired(
            operation, rates, ours=RECORDED, against=LEFT_OUT, budget=BUDGET if operation == "Search" else None
        )
        for operation, rates in measured.items()
    ]
    print(report.rates_table(measured, (RECORDED, LEFT_OUT)))
    print()
    print(
        report.table(
            ("data operations recorded", "against", "ratio", "rounds", "budget", ""), [r.cells for r in ratios]
        )
    )
    return 1 if any(ratio.verdict == "missed" for ratio in ratios) else 0


def _turns(servers: Mapping[str, Peer], request: Recorded, arguments: argparse.Namespace) -> dict[str, list[float]]:
    loads = {name: Load(peer, request) for name, peer in servers.items()}
    for load in loads.values():
        load.warm_up(arguments.seconds)
    rates: dict[str, list[float]] = {name: [] for name in loads}
    for turn in range(arguments.rounds):
        for name in sorted(loads, reverse=bool(turn % 2)):
            rates[name].append(loads[name].measure())
    return rates


if __name__ == "__main__":
    sys.exit(main())
