"""`python -m benchmarks.holding_up`: searches by others while a user without roles sends what is slow to read."""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import grpc
import grpc.aio
import httpx
from pymilvus import MilvusClient

from benchmarks import filling, peers
from benchmarks.frames import authorization
from benchmarks.guessing import SEARCHERS, p99, search

BUDGET: Final = 3.0
"""How many times as long the slowest hundredth of searches may take: four more clients take their share too."""

_AT_ONCE: Final = 4
_NAME: Final = "nobody_special"
_PASSWORD: Final = "Password-1"
_SERVICE: Final = "/milvus.proto.milvus.MilvusService"
_UNREAD: Final = b"\xf8\xff\x0f\x01"
"""A field that no request has, the slowest kind to step over."""

Send = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Slow:
    """What the user without roles sends.

    Attributes:
        name: for the table.
        path: the RPC, or of REST the endpoint.
        body: the message.
    """

    name: str
    path: str
    body: bytes


_NUMBERS: Final = b"[0.1,0.2,0.3,0.4],"
SLOW: Final = (
    Slow("99,000 fields", f"{_SERVICE}/Search", _UNREAD * 99_000),
    Slow("8 KiB of fields", f"{_SERVICE}/Search", _UNREAD * 2_048),
    Slow(
        "1 MiB of JSON",
        "/v2/vectordb/entities/search",
        b'{"collectionName":"a","data":[%s[1]]}' % (_NUMBERS * (2**20 // len(_NUMBERS))),
    ),
    Slow("8 KiB of JSON", "/v2/vectordb/entities/search", b'{"collectionName":"a","data":[%s[1]]}' % (_NUMBERS * 450)),
)


async def _hold_up(address: str, slow: Slow, until: float) -> int:
    """Send it again and again, several at once, and return how often."""
    token = f"{_NAME}:{_PASSWORD}"
    async with (
        grpc.aio.insecure_channel(address, options=(("grpc.use_local_subchannel_pool", 1),)) as channel,
        httpx.AsyncClient(base_url=f"http://{address}", headers={"Authorization": f"Bearer {token}"}) as client,
    ):
        call = channel.unary_unary(slow.path)
        sent = 0

        async def send() -> None:
            if not slow.path.startswith(_SERVICE):
                answer = await client.post(slow.path, content=slow.body, timeout=30)
                assert answer.status_code in (HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT)
                return
            try:
                await call(slow.body, metadata=(("authorization", authorization(token)),), timeout=30)
            except grpc.aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise

        async def repeat() -> None:
            nonlocal sent
            while time.monotonic() < until:
                await send()
                sent += 1

        await asyncio.gather(*(repeat() for _ in range(_AT_ONCE)))
        return sent


async def measure(address: str, *, seconds: float) -> bool:
    """Measure, print, and tell whether the budget was kept."""
    kept = True
    for slow in SLOW:
        quiet: list[float] = []
        loud: list[float] = []
        sent = 0
        for _ in range(3):  # in turn, so that a busy machine is busy for both
            until = time.monotonic() + seconds / 3
            for each in await asyncio.gather(*(search(address, until) for _ in range(SEARCHERS))):
                quiet += each
            until = time.monotonic() + seconds / 3
            sending = asyncio.create_task(_hold_up(address, slow, until))
            for each in await asyncio.gather(*(search(address, until) for _ in range(SEARCHERS))):
                loud += each
            sent += await sending
        ratio = p99(loud) / p99(quiet)
        kept &= ratio <= BUDGET
        print(
            f"{slow.name}, {_AT_ONCE} at a time: {sent:,} sent; searches p99 {p99(quiet):.1f} ms in peace, "
            f"{p99(loud):.1f} ms meanwhile: {ratio:.2f} (budget {BUDGET:.0f}); "
            f"median {statistics.median(quiet):.1f} and {statistics.median(loud):.1f} ms"
        )
    return kept


def main() -> int:
    """Measure and return 0 if the budget is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each kind is sent")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, peers.kiteward(Path(directory) / "kiteward") as peer:
        filling.fill(peer)
        client = MilvusClient(f"http://{peer.address}", token=peers.ROOT_TOKEN)
        client.create_user(_NAME, _PASSWORD)
        client.close()
        return 0 if asyncio.run(measure(peer.address, seconds=arguments.seconds)) else 1


if __name__ == "__main__":
    sys.exit(main())
