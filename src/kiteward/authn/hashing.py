"""Password hashing: Argon2id for what we store, bcrypt only to verify what came from Milvus (contract Q1)."""

import asyncio
import contextlib
import functools
import os
import re
import secrets
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

import argon2
import bcrypt

from kiteward.domain.identity import Secret

_T = TypeVar("_T")

_BCRYPT_PREFIXES: Final = ("$2a$", "$2b$", "$2y$")
_BCRYPT: Final = re.compile(r"\$2[aby]\$(0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}\Z")
"""A hash whose verification takes seconds at most: one of cost 31 would hold a thread for days."""
_HIGHEST_COST: Final = (256 * 1024, 16, 16)
"""KiB, passes and lanes of Argon2id beyond which a hash from elsewhere is refused, for the same reason."""
_NICENESS: Final = 10
_BCRYPT_BYTES: Final = 72
"""bcrypt reads no more of a password than this."""


@dataclass(frozen=True, slots=True)
class HashingProfile:
    """Cost parameters of Argon2id (RFC 9106, section 4; OWASP Password Storage Cheat Sheet).

    Attributes:
        memory_kib: memory, in KiB.
        passes: iterations over the memory.
        lanes: degree of parallelism.
        workers: threads that hash at the same time; more hashes wait. Half the cores, so that a flood of logins leaves
            the others to searches.
    """

    memory_kib: int = 19 * 1024
    passes: int = 2
    lanes: int = 1
    workers: int = field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2))


PRODUCTION: Final = HashingProfile()
TESTING: Final = HashingProfile(memory_kib=8, passes=1, lanes=1)
"""Only for tests: fast and worthless."""


def _give_way() -> None:
    """Let a hashing thread run behind everything else, so that a flood of logins does not slow searches down."""
    if sys.platform != "linux":
        return  # elsewhere a priority is the whole process's
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class PasswordHasher:
    """Hashes and verifies passwords in a bounded pool of threads.

    The pool is bounded, so that a flood of logins cannot occupy the event loop.

    An unknown user costs the same verification as a known one (contract Q5): `verify` takes None for the stored hash.
    """

    def __init__(self, profile: HashingProfile = PRODUCTION) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=profile.passes, memory_cost=profile.memory_kib, parallelism=profile.lanes, type=argon2.Type.ID
        )
        self._pool = ThreadPoolExecutor(profile.workers, thread_name_prefix="kiteward-hashing", initializer=_give_way)
        self._nobody = self._argon2.hash(secrets.token_urlsafe(32))

    async def hash(self, password: Secret) -> str:
        """Return a self-describing hash with a fresh salt."""
        return await self._run(functools.partial(self._argon2.hash, password.reveal()))

    async def verify(self, stored: str | None, password: Secret) -> bool:
        """Tell whether the password is the one behind the stored hash.

        Args:
            stored: the stored hash; None for a user that does not exist, which takes as long and is never right.
            password: what was presented.
        """
        matches = await self._run(functools.partial(self._matches, stored or self._nobody, password.reveal()))
        return matches and stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Tell whether a stored hash should be replaced at the next occasion: other algorithm or other cost."""
        return stored.startswith(_BCRYPT_PREFIXES) or self._argon2.check_needs_rehash(stored)

    @staticmethod
    def recognises(stored: str) -> bool:
        """Tell whether a hash is of a format that `verify` can judge, at a cost that a login may have."""
        if stored.startswith(_BCRYPT_PREFIXES):
            return _BCRYPT.match(stored) is not None
        try:
            parameters = argon2.extract_parameters(stored)
        except argon2.exceptions.InvalidHashError:
            return False
        cost = (parameters.memory_cost, parameters.time_cost, parameters.parallelism)
        bearable = all(value <= most for value, most in zip(cost, _HIGHEST_COST, strict=True))
        return parameters.type is argon2.Type.ID and bearable

    def close(self) -> None:
        """Let the pool go; hashes under way finish."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _matches(self, stored: str, password: str) -> bool:
        if stored.startswith(_BCRYPT_PREFIXES):
            return self._matches_bcrypt(stored, password)
        try:
            return self._argon2.verify(stored, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    @staticmethod
    def _matches_bcrypt(stored: str, password: str) -> bool:
        try:
            return bcrypt.checkpw(password.encode()[:_BCRYPT_BYTES], stored.encode())
        except ValueError:
            return False

    async def _run(self, work: "functools.partial[_T]") -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
