"""`python -m benchmarks.population`: what grows with users, grants and active users: processor time and memory.

Users are in the store and are read one by one. Grants are in the memory of every server. A user who has signed in is
kept in memory until it is not seen for a while.
"""

import argparse
import gc
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final

import bcrypt
import uvloop

from benchmarks.decisions import grants
from benchmarks.process_tree import resident
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import PRODUCTION, TESTING, PasswordHasher
from kiteward.authz.model import Policy, Role
from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.store.data_directory import STORE_FILE
from kiteward.store.records import HashSchemes, UserRecord
from kiteward.store.sql import SqlStore

_PASSWORD: Final = "Kite-ward-1"
_TURNS: Final = 5
_IMPORTED_COST: Final = 10
_ROLES: Final = 1_000
_MIB: Final = 1024 * 1024

_USERS: Final = """
WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < :users)
INSERT INTO users (name, password_hash, credential_id, description, created_at, changed_at)
SELECT printf('user%09d', number), 'none', 'none', '', 0, 0 FROM numbers
"""


class _Users:
    """As much of a store as the authenticator asks for: any number of users with one password."""

    def __init__(self, password_hash: str) -> None:
        self._hash = password_hash

    async def user(self, name: str) -> UserRecord | None:
        """Return a user of that name."""
        return UserRecord(
            name, self._hash, f"of {name}", description="", created_at=0, changed_at=0, roles=("role_0", "role_1")
        )

    async def hash_schemes(self, _names: Collection[str] | None) -> HashSchemes:
        """Return how the hashes begin: all but salt and digest."""
        beginning, _, _ = self._hash.rsplit("$", 2)
        return HashSchemes(frozenset({f"{beginning}$"}), None)


async def _median(work: Callable[[], Awaitable[object]]) -> float:
    """Return the median of some turns, in milliseconds of processor time."""
    taken = []
    for _ in range(_TURNS):
        start = time.process_time()
        await work()
        taken.append((time.process_time() - start) * 1e3)
    return statistics.median(taken)


def _memory() -> int:
    gc.collect()
    return resident(os.getpid())


async def users(number: int) -> None:
    """Measure a store of so many users, and print."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / STORE_FILE
        await (await SqlStore.open(path)).close()
        connection = sqlite3.connect(path)
        connection.execute(_USERS, {"users": number})
        connection.commit()
        connection.close()
        store = await SqlStore.open(path)
        policy = await _median(store.policy)
        one = await _median(lambda: store.user(f"user{number // 2:09}"))
        page = await _median(lambda: store.users(after=f"user{number // 2:09}", limit=1_000))
        names = await _median(store.user_names)
        await store.close()
        size = path.stat().st_size / _MIB
    print(
        f"{number:,} users ({size:.0f} MiB): the policy is loaded in {policy:.1f} ms, one user is read in {one:.1f}, "
        f"a page of 1,000 in {page:.0f}, all names, as ListCredUsers does, in {names:.0f}",
        flush=True,
    )


async def granted(number: int) -> None:
    """Measure a policy of so many grants, and print."""
    policy = Policy(1, tuple(Role(f"role_{each}") for each in range(_ROLES)), tuple(grants(number)), ())
    before = _memory()
    start = time.process_time()
    snapshot = PolicySnapshot.compile(policy)
    taken = time.process_time() - start
    grown = (_memory() - before) / _MIB
    print(f"{number:,} grants in {len(snapshot.roles):,} roles: compiled in {taken * 1e3:.0f} ms, {grown:.0f} MiB more")


async def active(number: int) -> None:
    """Measure so many users who have signed in, and print."""
    hasher = PasswordHasher(TESTING)
    authenticator = Authenticator(_Users(await hasher.hash(Secret(_PASSWORD))), hasher)  # type: ignore[arg-type]
    await authenticator.authenticate(PasswordCredential("warm", Secret(_PASSWORD)))
    before = _memory()
    for each in range(number):
        await authenticator.authenticate(PasswordCredential(f"user{each:09}", Secret(_PASSWORD)))
    kib = (_memory() - before) / 1024 / number
    start = time.process_time()
    for each in range(number):
        await authenticator.authenticate(PasswordCredential(f"user{each:09}", Secret(_PASSWORD)))
    again = (time.process_time() - start) / number * 1e6
    print(f"{number:,} active users: {kib:.2f} KiB each; authenticated again in {again:.1f} µs", flush=True)
    await authenticator.close()
    hasher.close()


async def sign_ins() -> None:
    """Measure the processor time of a first sign-in with each kind of hash, and print."""
    imported = bcrypt.hashpw(_PASSWORD.encode(), bcrypt.gensalt(_IMPORTED_COST)).decode()
    hasher = PasswordHasher(PRODUCTION)
    current = await hasher.hash(Secret(_PASSWORD))
    for name, stored in (("Argon2id", current), (f"bcrypt of cost {_IMPORTED_COST}, as Milvus has it", imported)):
        taken = []
        for _ in range(_TURNS):
            start = time.process_time()
            assert await hasher.verify(stored, Secret(_PASSWORD))
            taken.append((time.process_time() - start) * 1e3)
        print(f"a password that is verified for the first time, {name}: {statistics.median(taken):.1f} ms", flush=True)
    hasher.close()


async def _measure(arguments: argparse.Namespace) -> None:
    await sign_ins()
    # Memory first: what was freed before would be used again, and not be counted.
    for number in arguments.active:
        await active(number)
    for number in arguments.grants:
        await granted(number)
    for number in arguments.users:
        await users(number)


def main() -> int:
    """Measure and print; there is no budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--grants", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--active", type=int, nargs="*", default=[1_000, 10_000])
    uvloop.run(_measure(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
