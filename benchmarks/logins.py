"""What the first login of a user costs beside the hash alone."""

import asyncio
import statistics
import time
from typing import Final

import argon2

from benchmarks.decisions import OneUser
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import PRODUCTION, PasswordHasher
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.store.records import UserRecord

_PASSWORD: Final = "Kite-ward-1"
_ROUNDS: Final = 30


async def measure() -> tuple[float, float]:
    """Return the median milliseconds of a first login and of the hash alone, taken in turn."""
    bare = argon2.PasswordHasher(
        time_cost=PRODUCTION.passes, memory_cost=PRODUCTION.memory_kib, parallelism=PRODUCTION.lanes
    )
    stored = bare.hash(_PASSWORD)
    record = UserRecord("reader", stored, "credential", description="", created_at=0, changed_at=0, roles=("role_0",))
    hasher = PasswordHasher(PRODUCTION)
    logins, hashes = [], []
    for _ in range(_ROUNDS):
        authenticator = Authenticator(OneUser(record), hasher)  # type: ignore[arg-type]  # it asks for users only
        start = time.perf_counter()
        await authenticator.authenticate(PasswordCredential("reader", Secret(_PASSWORD)))
        logins.append(time.perf_counter() - start)
        start = time.perf_counter()
        bare.verify(stored, _PASSWORD)
        hashes.append(time.perf_counter() - start)
        await asyncio.sleep(0)
    hasher.close()
    return statistics.median(logins) * 1e3, statistics.median(hashes) * 1e3
