"""`python -m benchmarks.fairness`: searches of some users while another one sends ten times as many, or all it can.

Each of the others sends at a fixed pace, and its searches are measured from when they were due. Searches alone and
beside the greedy user follow one another in turns on one server, so that only their ratio is stated.
"""

import argparse
import asyncio
import functools
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import httpx
from pymilvus import MilvusClient

from benchmarks import filling, interference, peers
from benchmarks.frames import authorization, recorded

BUDGET: Final = 1.2
"""How many times as long the slowest hundredth of the others' searches may take."""

OTHERS: Final = 4
PACE: Final = 4.0
"""Searches a second of each of the others."""

_AT_ONCE: Final = 10
"""Concurrent searches of the greedy user."""
_GREEDY: Final = "greedy"
_PASSWORD: Final = "Password-1"


@dataclass(frozen=True, slots=True)
class Setup:
    """How a server protects the others.

    Attributes:
        name: for the table.
        engine_requests: `kiteward.limits.engineRequests`.
        concurrent: concurrent requests of the greedy user; 0 for no limit.
    """

    name: str
    engine_requests: int
    concurrent: int


SETUPS: Final = (
    Setup("nothing set", 0, 0),
    Setup("fair by user (the default)", 4, 0),
    Setup("fair by user, and 1 concurrent request", 4, 1),
)


async def _paced(address: str, user: str, until: float) -> list[float]:
    """Search at the pace until a time, and return how long after it was due each search was answered, in ms."""
    taken: list[float] = []
    async with interference.channel(address) as connection:
        call, request, metadata = _search(connection, user)
        due = time.monotonic()
        while due < until:
            await asyncio.sleep(due - time.monotonic())
            await call(request, metadata=metadata, timeout=30)
            taken.append((time.monotonic() - due) * 1e3)
            due += 1 / PACE
    return taken


def _search(connection: grpc.aio.Channel, user: str) -> tuple[grpc.aio.UnaryUnaryMultiCallable, bytes, object]:
    request = next(each for each in recorded(filling.DESCRIBED_ROLE) if each.operation == "Search")
    metadata = (("authorization", authorization(f"{user}:{_PASSWORD}")),)
    return connection.unary_unary(request.path), request.payload, metadata


async def greedy(address: str, pace: float, seconds: float) -> int:
    """Search as the greedy user, `pace` times a second or without a pause at 0, and return how often it succeeded."""
    until, succeeded = time.monotonic() + seconds, 0

    async def repeat() -> None:
        nonlocal succeeded
        async with interference.channel(address) as connection:
            call, request, metadata = _search(connection, _GREEDY)
            while (begun := time.monotonic()) < until:
                try:
                    await call(request, metadata=metadata, timeout=30)
                    succeeded += 1
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                        raise
                    await asyncio.sleep(0.01)  # no SDK comes back sooner
                if pace:
                    await asyncio.sleep(begun + _AT_ONCE / pace - time.monotonic())

    await asyncio.gather(*(repeat() for _ in range(_AT_ONCE)))
    return succeeded


async def _beside(address: str, pace: float, until: float) -> int:
    """Run the greedy user in a process of its own, which does not take from the others' event loop."""
    command = [sys.executable, "-m", "benchmarks.fairness", "--greedy", address, str(pace)]
    seconds = str(max(0.0, until - time.monotonic()))
    process = await asyncio.create_subprocess_exec(*command, seconds, stdout=subprocess.PIPE)
    answer, _ = await process.communicate()
    assert process.returncode == 0
    return int(answer)


async def measure(address: str, setup: Setup, *, seconds: float) -> bool:
    """Measure, print, and tell whether the budget was kept."""
    searches = [functools.partial(_paced, address, f"other{number}") for number in range(OTHERS)]
    kept = True
    for name, pace in ((f"{_AT_ONCE} times as many", _AT_ONCE * PACE), ("all it can", 0.0)):
        load = functools.partial(_beside, address, pace)
        measured = await interference.measure(searches, load, seconds=seconds)
        kept &= measured.ratio <= BUDGET
        print(
            f"{setup.name}; greedy sends {name}: {measured.sent / seconds:.0f} a second beside "
            f"{len(measured.beside) / seconds / OTHERS:.0f}; {measured} (target {BUDGET})",
            flush=True,
        )
    return kept


def _prepare(peer: peers.Peer, setup: Setup) -> None:
    filling.fill(peer)
    client = MilvusClient(f"http://{peer.address}", token=peers.ROOT_TOKEN)
    for user in (_GREEDY, *(f"other{number}" for number in range(OTHERS))):
        client.create_user(user, _PASSWORD)
        for role in client.describe_user(peers.CALLER)["roles"]:
            client.grant_role(user, role)
    client.close()
    if setup.concurrent:
        answer = httpx.post(
            f"http://{peer.address}/v2/kiteward/limits/set",
            json={"userName": _GREEDY, "concurrentRequests": setup.concurrent},
            headers={"Authorization": f"Bearer {peers.ROOT_TOKEN}"},
            timeout=30,
        )
        assert answer.json()["code"] == 0, answer.text


def main() -> int:
    """Measure and return 0 if the budget is kept by the default and with a limit."""
    if sys.argv[1:2] == ["--greedy"]:
        address, pace, seconds = sys.argv[2:]
        print(asyncio.run(greedy(address, float(pace), float(seconds))))
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each setup is measured")
    arguments = parser.parse_args()
    kept = []
    for setup in SETUPS:
        settings = {"KITEWARD_LIMITS_ENGINEREQUESTS": str(setup.engine_requests)}
        with tempfile.TemporaryDirectory() as directory, peers.kiteward(Path(directory) / "k", **settings) as peer:
            _prepare(peer, setup)
            kept.append(asyncio.run(measure(peer.address, setup, seconds=arguments.seconds)))
    return 0 if all(kept[1:]) else 1


if __name__ == "__main__":
    sys.exit(main())
