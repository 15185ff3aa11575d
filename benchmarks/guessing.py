"""`python -m benchmarks.guessing`: searches by others while somebody guesses passwords, beside searches in peace."""

import argparse
import asyncio
import base64
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import grpc.aio

from benchmarks import filling, peers
from benchmarks.frames import authorization, recorded

BUDGET: Final = 2.0
"""How many times as long the slowest hundredth of searches may take."""

_SERVICE: Final = "/milvus.proto.milvus.MilvusService"
SEARCHERS: Final = 4


@dataclass(frozen=True, slots=True)
class Guesser:
    """Whose password is guessed.

    Attributes:
        name: for the table.
        users: how many user names are tried in turn; each has waits of its own.
    """

    name: str
    users: int


GUESSERS: Final = (Guesser("one user", 1), Guesser("a new user name each time", 1_000_000))


async def search(address: str, until: float) -> list[float]:
    """Search again and again on a new connection, and return the milliseconds each took."""
    async with _channel(address) as channel:
        return await _search_on(channel, until)


async def _search_on(channel: grpc.aio.Channel, until: float) -> list[float]:
    """Search again and again, and return the milliseconds each took."""
    request = next(each for each in recorded(filling.DESCRIBED_ROLE) if each.operation == "Search")
    metadata = (("authorization", authorization(f"{peers.CALLER}:{peers.CALLER_PASSWORD}")),)
    taken = []
    call = channel.unary_unary(request.path)
    while time.monotonic() < until:
        start = time.perf_counter()
        await call(request.payload, metadata=metadata, timeout=30)
        taken.append((time.perf_counter() - start) * 1e3)
    return taken


def _channel(address: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),))


async def _guess(address: str, guesser: Guesser, rate: float, until: float) -> int:
    """Send wrong passwords at a rate and return how many; each must be refused, and none for another reason."""
    refused = 0

    async def attempt(number: int) -> None:
        nonlocal refused
        token = f"victim{number % guesser.users}:wrong-{number}"
        metadata = (("authorization", base64.b64encode(token.encode()).decode()),)
        try:
            await version(b"", metadata=metadata, timeout=30)
        except grpc.aio.AioRpcError as error:
            refused += error.code() is grpc.StatusCode.UNAUTHENTICATED

    async with _channel(address) as channel:
        version = channel.unary_unary(f"{_SERVICE}/GetVersion")
        begun, number, running = time.monotonic(), 0, set[asyncio.Task[None]]()
        while time.monotonic() < until:
            while number < (time.monotonic() - begun) * rate:
                task = asyncio.create_task(attempt(number))
                running.add(task)
                task.add_done_callback(running.discard)
                number += 1
            await asyncio.sleep(0.005)
        await asyncio.gather(*running)
    assert refused == number
    return refused


def p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100)[98]


def _memory(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell how much memory a process has")


async def measure(address: str, pid: int, *, rate: float, seconds: float) -> bool:
    """Measure, print, and tell whether the budget was kept."""
    async with contextlib.AsyncExitStack() as stack:
        # Connections of their own for all rounds: new ones from an address that guesses wait (decision 0023).
        searchers = [await stack.enter_async_context(_channel(address)) for _ in range(SEARCHERS)]
        return await _measure(address, pid, searchers, rate=rate, seconds=seconds)


async def _measure(
    address: str, pid: int, searchers: Sequence[grpc.aio.Channel], *, rate: float, seconds: float
) -> bool:
    kept = True
    for guesser in GUESSERS:
        quiet: list[float] = []
        loud: list[float] = []
        guessed = 0
        before = _memory(pid)
        for _ in range(3):  # in turn, so that a busy machine is busy for both
            until = time.monotonic() + seconds / 3
            for each in await asyncio.gather(*(_search_on(each, until) for each in searchers)):
                quiet += each
            until = time.monotonic() + seconds / 3
            attempts = asyncio.create_task(_guess(address, guesser, rate, until))
            for each in await asyncio.gather(*(_search_on(each, until) for each in searchers)):
                loud += each
            guessed += await attempts
        ratio = p99(loud) / p99(quiet)
        kept &= ratio <= BUDGET
        print(
            f"{guesser.name}: {guessed:,} wrong passwords refused at {rate:.0f}/s; searches p99 {p99(quiet):.1f} ms "
            f"in peace, {p99(loud):.1f} ms meanwhile: {ratio:.2f} (budget {BUDGET:.0f}); median "
            f"{statistics.median(quiet):.1f} and {statistics.median(loud):.1f} ms; memory {before:.0f} to "
            f"{_memory(pid):.0f} MiB"
        )
    return kept


def main() -> int:
    """Measure and return 0 if the budget is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="wrong passwords a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they come, for each kind of guesser")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, peers.kiteward(Path(directory) / "kiteward") as peer:
        filling.fill(peer)
        lock = Path(directory) / "kiteward" / "data" / "LOCK"
        pid = int(lock.read_text())
        return 0 if asyncio.run(measure(peer.address, pid, rate=arguments.rate, seconds=arguments.seconds)) else 1


if __name__ == "__main__":
    sys.exit(main())
