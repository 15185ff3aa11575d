"""How long searches take beside other load, measured in turn with searches alone."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import grpc.aio

from benchmarks import filling, peers
from benchmarks.frames import authorization, recorded

SEARCHERS: Final = 4
_TURNS: Final = 3
"""How often searches alone and beside the load follow one another, so that a busy machine is busy for both."""

Search = Callable[[float], Awaitable[list[float]]]
"""Searches until this time of `time.monotonic`, and returns the milliseconds each search took."""

Load = Callable[[float], Awaitable[int]]
"""Sends requests until this time of `time.monotonic`, and returns their number."""


@dataclass(slots=True)
class Interference:
    """What was measured.

    Attributes:
        alone: milliseconds of searches without the load.
        beside: milliseconds of searches beside it.
        sent: requests of the load.
        turns: the ratio of each turn.
    """

    alone: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)
    sent: int = 0
    turns: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """How many times as long the slowest hundredth of searches takes beside the load."""
        return _p99(self.beside) / _p99(self.alone)

    def __str__(self) -> str:
        return (
            f"searches p99 {_p99(self.alone):.1f} ms alone, {_p99(self.beside):.1f} ms beside it: {self.ratio:.2f}; "
            f"turns {min(self.turns):.2f} to {max(self.turns):.2f}; "
            f"median {statistics.median(self.alone):.1f} and {statistics.median(self.beside):.1f} ms"
        )


async def measure(searches: Sequence[Search], load: Load, *, seconds: float, turns: int = _TURNS) -> Interference:
    """Search alone and beside a load in turns, each for so many seconds in all."""
    measured = Interference()
    for _ in range(turns):
        alone = await _together(searches, seconds / turns)
        sending = asyncio.ensure_future(load(time.monotonic() + seconds / turns))
        beside = await _together(searches, seconds / turns)
        measured.sent += await sending
        measured.turns.append(_p99(beside) / _p99(alone))
        measured.alone += alone
        measured.beside += beside
    return measured


def channel(address: str) -> grpc.aio.Channel:
    """Return a channel with a connection of its own."""
    return grpc.aio.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),))


async def search(connection: grpc.aio.Channel, until: float) -> list[float]:
    """Search on a channel again and again until a time, and return the milliseconds each search took."""
    request = next(each for each in recorded(filling.DESCRIBED_ROLE) if each.operation == "Search")
    metadata = (("authorization", authorization(f"{peers.CALLER}:{peers.CALLER_PASSWORD}")),)
    taken = []
    call = connection.unary_unary(request.path)
    while time.monotonic() < until:
        start = time.perf_counter()
        await call(request.payload, metadata=metadata, timeout=30)
        taken.append((time.perf_counter() - start) * 1e3)
    return taken


async def _together(searches: Sequence[Search], seconds: float) -> list[float]:
    until = time.monotonic() + seconds
    return [taken for each in await asyncio.gather(*(search(until) for search in searches)) for taken in each]


def _p99(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=100)[98]
