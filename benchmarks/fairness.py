"""`python -m benchmarks.fairness`: searches of some users while another one sends ten times as many, or all it can.

Everybody's searches are due at random times that follow one another like those of many independent programs, and
nobody waits for an answer before the next is sent. The others' are measured from when they were due, at the same times
alone and beside the greedy user. Both follow one another in turns on one server, so that only their ratio is stated.
How many searches the machine answers a second is measured first: all users together send half of that when one sends
ten times as many as each of the others.
"""

import argparse
import asyncio
import contextlib
import functools
import itertools
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import grpc
import httpx
from pymilvus import MilvusClient
from pymilvus.grpc_gen import milvus_pb2

from benchmarks import filling, interference, peers
from benchmarks.frames import authorization, recorded

BUDGET: Final = 1.2
"""How many times as long the slowest hundredth of the others' searches may take."""

OTHERS: Final = 8
TIMES: Final = 10
"""How many times as many as one of the others the greedy user sends."""

_LOAD: Final = 0.5
"""Which part of what the server answers a second all of them send together."""

_WARM_UP: Final = 2.0
_CALIBRATION: Final = 10.0
"""Seconds for which one user sends all that it can, to find out what the server answers a second."""

_AT_ONCE: Final = 10
"""Concurrent searches of a greedy user who sends all that it can."""
_CONNECTIONS: Final = 4
_LIMITED: Final = 8
"""Milvus' status of a request over a limit."""
_TURNS: Final = 6
_GREEDY: Final = "greedy"
_PASSWORD: Final = "Password-1"


@dataclass(frozen=True, slots=True)
class Setup:
    """How a server protects the others.

    Attributes:
        name: for the table.
        engine_requests: `kiteward.limits.engineRequests`; None for the default.
        concurrent: concurrent requests of the greedy user; 0 for no limit.
    """

    name: str
    engine_requests: int | None
    concurrent: int


SETUPS: Final = (
    Setup("nothing set", 0, 0),
    Setup("fair by user (the default)", None, 0),
    Setup("fair by user, and 1 concurrent request", None, 1),
)


async def _paced(address: str, number: int, pace: float, until: float) -> list[float]:
    """Search at random times until a time, and return how long after it was due each search was answered, in ms.

    Args:
        address: of the server.
        number: of the user.
        pace: searches a second on average.
        until: when the last is due at the latest.
    """
    chance = random.Random(number)  # the same times in each turn
    async with interference.channel(address) as connection:
        call, request, metadata = _search(connection, f"other{number}")

        async def searched(due: float) -> float:
            await call(request, metadata=metadata, timeout=30)
            return (time.monotonic() - due) * 1e3

        tasks = []
        due = time.monotonic() + chance.expovariate(pace)
        while due < until:
            await asyncio.sleep(due - time.monotonic())
            tasks.append(asyncio.create_task(searched(due)))
            due += chance.expovariate(pace)
        return await asyncio.gather(*tasks)


def _search(connection: grpc.aio.Channel, user: str) -> tuple[grpc.aio.UnaryUnaryMultiCallable, bytes, object]:
    request = next(each for each in recorded(filling.DESCRIBED_ROLE) if each.operation == "Search")
    metadata = (("authorization", authorization(f"{user}:{_PASSWORD}")),)
    return connection.unary_unary(request.path), request.payload, metadata


class Greedy:
    """The greedy user, in a process of its own, which does not take from the others' event loop."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, address: str, pace: float) -> Self:
        """Start the process, and wait until all that it has to import is there.

        Args:
            address: of the server.
            pace: searches a second on average; 0 for all that it can send.
        """
        command = [sys.executable, "-m", "benchmarks.fairness", "--greedy", address, str(pace)]
        process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        greedy = cls(process)
        assert await greedy._line() == "ready"
        return greedy

    async def search(self, until: float) -> int:
        """Search until a time, and return how often it succeeded."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{until}\n".encode())
        return int(await self._line())

    async def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert await self._process.wait() == 0

    async def _line(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


async def _serve_greedy(address: str, pace: float) -> None:
    """Search as often as standard input says until when, and say each time how often it succeeded."""
    chance = random.Random("greedy")
    async with contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(interference.channel(address)) for _ in range(_CONNECTIONS)]
        calls = itertools.cycle([_search(connection, _GREEDY) for connection in connections])

        async def search() -> bool:
            call, request, metadata = next(calls)
            answer = milvus_pb2.SearchResults.FromString(await call(request, metadata=metadata, timeout=30))
            assert answer.status.code in (0, _LIMITED), answer.status
            return answer.status.code == 0

        async def repeat(until: float) -> int:
            succeeded = 0
            while time.monotonic() < until:
                if await search():
                    succeeded += 1
                else:
                    await asyncio.sleep(0.01)  # as pymilvus waits at least, for which this client is taken
            return succeeded

        async def paced(until: float) -> int:
            tasks = []
            due = time.monotonic() + chance.expovariate(pace)
            while due < until:
                await asyncio.sleep(due - time.monotonic())
                tasks.append(asyncio.create_task(search()))
                due += chance.expovariate(pace)
            return sum(await asyncio.gather(*tasks))

        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            until = float(line)
            sent = await paced(until) if pace else sum(await asyncio.gather(*(repeat(until) for _ in range(_AT_ONCE))))
            print(sent, flush=True)


async def calibrate(address: str) -> float:
    """Return how many searches a second each of the others shall send."""
    greedy = await Greedy.start(address, 0.0)
    await greedy.search(time.monotonic() + _WARM_UP)
    answered = await greedy.search(time.monotonic() + _CALIBRATION) / _CALIBRATION
    await greedy.stop()
    pace = _LOAD * answered / (OTHERS + TIMES)
    print(f"one user alone: {answered:.0f} searches a second; each of {OTHERS} others sends {pace:.1f}", flush=True)
    return pace


async def measure(address: str, setup: Setup, pace: float, *, seconds: float) -> bool:
    """Measure, print, and tell whether the budget was kept beside a user who sends ten times as many."""
    searches = [functools.partial(_paced, address, number, pace) for number in range(OTHERS)]
    kept = []
    for name, greed in ((f"{TIMES} times as many", TIMES * pace), ("all it can", 0.0)):
        greedy = await Greedy.start(address, greed)
        measured = await interference.measure(searches, greedy.search, seconds=seconds, turns=_TURNS)
        await greedy.stop()
        kept.append(measured.ratio <= BUDGET)
        print(
            f"{setup.name}; greedy sends {name}: {measured.sent / seconds:.0f} a second beside {OTHERS} users with "
            f"{len(measured.beside) / seconds / OTHERS:.1f} each; {measured} (target {BUDGET})",
            flush=True,
        )
    return kept[0]


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
        address, pace = sys.argv[2:]
        asyncio.run(_serve_greedy(address, float(pace)))
        return 0
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="how long each of the six cases is measured, twice"
    )
    arguments = parser.parse_args()
    kept: list[bool] = []
    each = 0.0
    for setup in SETUPS:
        settings = (
            {} if setup.engine_requests is None else {"KITEWARD_LIMITS_ENGINEREQUESTS": str(setup.engine_requests)}
        )
        with tempfile.TemporaryDirectory() as directory, peers.kiteward(Path(directory) / "k", **settings) as peer:
            _prepare(peer, setup)
            each = each or asyncio.run(calibrate(peer.address))
            kept.append(asyncio.run(measure(peer.address, setup, each, seconds=arguments.seconds)))
    return 0 if all(kept[1:]) else 1


if __name__ == "__main__":
    sys.exit(main())
