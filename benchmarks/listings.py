"""`python -m benchmarks.listings`: pages of users and keys, and the start of a server, at 100,000 users."""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import uvloop
from sqlalchemy import insert

from kiteward.bootstrap.local_gateway import open_local
from kiteward.config.settings import Settings
from kiteward.domain.identity import LocalCredential
from kiteward.gateway.call import Call
from kiteward.gateway.gateway import Gateway
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import Outcome
from kiteward.store import schema
from kiteward.store.sql import SqlStore

BUDGET: Final = 200.0
"""Milliseconds a listing may take."""

_TURNS: Final = 15


async def _fill(path: Path, users: int) -> None:
    """Put users with a key each into a store, past the hashing that a creation costs."""
    store = await SqlStore.open(path)
    names = [f"user{number:06}" for number in range(users)]
    async with store._writer.write_transaction() as writing:  # noqa: SLF001  past what a creation costs
        for start in range(0, users, 10_000):
            part = names[start : start + 10_000]
            same = {
                "password_hash": "none",
                "credential_id": "none",
                "description": "",
                "created_at": 0,
                "changed_at": 0,
            }
            await writing.run(insert(schema.users), [{"name": name, **same} for name in part])
            key = {"digest": "none", "description": "", "created_at": 0, "created_by": "root", "narrowed": False}
            key |= {"networks": "", "enabled": True}
            await writing.run(insert(schema.api_keys), [{"key_id": name[4:], "owner": name, **key} for name in part])
        await writing.commit()
    await store.close()


async def _timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Return the median and the highest of some turns, in milliseconds."""
    taken = []
    for _ in range(_TURNS):
        start = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken), max(taken)


def _asking(gateway: Gateway, operation: str, **arguments: object) -> Callable[[], Awaitable[Outcome]]:
    request = ADMIN_OPERATIONS[operation].arguments_of(arguments)
    return lambda: gateway.handle(Call(operation, request, LocalCredential()))


async def measure(users: int) -> bool:
    """Measure, print, and tell whether every budget was kept."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(data_dir=Path(directory) / "data")
        async with open_local(settings, create=True):
            pass
        await _fill(settings.data_dir / "store.db", users)
        start = time.perf_counter()
        async with open_local(settings) as gateway:
            print(f"opening a store of {users:,} users with a key each: {(time.perf_counter() - start) * 1e3:.0f} ms")
            middle = f"user{users // 2:06}"
            kept = True
            for what, work in {
                "first page of 100 users": _asking(gateway, "ListUserAccounts"),
                "a page of 1,000 users from the middle": _asking(gateway, "ListUserAccounts", after=middle, limit=1000),
                "users by prefix": _asking(gateway, "ListUserAccounts", prefix=middle[:-2]),
                "a page of 1,000 keys from the middle": _asking(gateway, "ListApiKeys", after=middle[4:], limit=1000),
                "keys of one user": _asking(gateway, "ListApiKeys", userName=middle),
                "one user": _asking(gateway, "DescribeUserAccount", userName=middle),
            }.items():
                median, highest = await _timed(work)
                kept &= median <= BUDGET
                print(f"{what:<40} {median:8.1f} ms (highest {highest:.1f}), budget {BUDGET:.0f}")
        store = await SqlStore.open(settings.data_dir / "store.db")
        names, longest = await _timed(store.user_names)
        await store.close()
        print(f"{'every user name, as ListCredUsers reads':<40} {names:8.1f} ms (highest {longest:.1f}), not paged")
    return kept


def main() -> int:
    """Measure and return 0 if the budgets are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return 0 if runner.run(measure(parser.parse_args().users)) else 1


if __name__ == "__main__":
    sys.exit(main())
