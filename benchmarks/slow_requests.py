"""`python -m benchmarks.slow_requests`: searches by others while a user without roles sends what is slow to read."""

import argparse
import asyncio
import functools
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

from benchmarks import filling, interference, peers
from benchmarks.frames import authorization
from benchmarks.interference import SEARCHERS, channel, search

BUDGET: Final = 3.0
"""How many times as long the slowest hundredth of searches may take: four more clients take their share too."""

_AT_ONCE: Final = 4
_NAME: Final = "nobody_special"
_PASSWORD: Final = "Password-1"
_SERVICE: Final = "/milvus.proto.milvus.MilvusService"
_PARAMETER: Final = b"\x52\x00"
"""A search parameter without key and value, the slowest kind of field to read."""
_UNKNOWN: Final = b"\x52\x04\xf8\xff\x0f\x01"
"""One with a field that no request has."""
_REFUSED: Final = (
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.PERMISSION_DENIED,
)

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
    Slow("99,000 fields", f"{_SERVICE}/Search", _PARAMETER * 99_000),
    Slow("8 KiB of fields", f"{_SERVICE}/Search", _PARAMETER * 4_096),
    Slow("8 KiB, unknown", f"{_SERVICE}/Search", _UNKNOWN + _PARAMETER * 4_093),
    Slow(
        "1 MiB of JSON",
        "/v2/vectordb/entities/search",
        b'{"collectionName":"a","data":[%s[1]]}' % (_NUMBERS * (2**20 // len(_NUMBERS))),
    ),
    Slow("8 KiB of JSON", "/v2/vectordb/entities/search", b'{"collectionName":"a","data":[%s[1]]}' % (_NUMBERS * 450)),
)


async def _send_slow_requests(address: str, slow: Slow, until: float) -> int:
    """Send it again and again, several at once, and return how often."""
    token = f"{_NAME}:{_PASSWORD}"
    async with (
        channel(address) as connection,
        httpx.AsyncClient(base_url=f"http://{address}", headers={"Authorization": f"Bearer {token}"}) as client,
    ):
        call = connection.unary_unary(slow.path)
        sent = 0

        async def send() -> None:
            if not slow.path.startswith(_SERVICE):
                answer = await client.post(slow.path, content=slow.body, timeout=30)
                assert answer.status_code in (HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT)
                return
            try:
                await call(slow.body, metadata=(("authorization", authorization(token)),), timeout=30)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _REFUSED:
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
    searches = [functools.partial(_search, address)] * SEARCHERS
    kept = True
    for slow in SLOW:
        measured = await interference.measure(
            searches, functools.partial(_send_slow_requests, address, slow), seconds=seconds
        )
        kept &= measured.ratio <= BUDGET
        print(f"{slow.name}, {_AT_ONCE} at a time: {measured.sent:,} sent; {measured} (budget {BUDGET:.0f})")
    return kept


async def _search(address: str, until: float) -> list[float]:
    """Search on a new connection."""
    async with channel(address) as connection:
        return await search(connection, until)


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
