"""`python -m benchmarks.guessing`: searches by others while a client guesses passwords, and without it."""

import argparse
import asyncio
import base64
import contextlib
import functools
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import grpc.aio

from benchmarks import filling, interference, peers
from benchmarks.interference import SEARCHERS, channel, search

BUDGET: Final = 2.0
"""How many times as long the slowest hundredth of searches may take."""

_SERVICE: Final = "/milvus.proto.milvus.MilvusService"


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

    async with channel(address) as connection:
        version = connection.unary_unary(f"{_SERVICE}/GetVersion")
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
        searchers = [await stack.enter_async_context(channel(address)) for _ in range(SEARCHERS)]
        searches = [functools.partial(search, searcher) for searcher in searchers]
        kept = True
        for guesser in GUESSERS:
            before = _memory(pid)
            guesses = functools.partial(_guess, address, guesser, rate)
            measured = await interference.measure(searches, guesses, seconds=seconds)
            kept &= measured.ratio <= BUDGET
            print(
                f"{guesser.name}: {measured.sent:,} wrong passwords refused at {rate:.0f}/s; {measured} "
                f"(budget {BUDGET:.0f}); memory {before:.0f} to {_memory(pid):.0f} MiB"
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
