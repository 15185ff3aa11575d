"""Password hashing: Argon2id for what we store, bcrypt only to verify what came from Milvus (contract Q1)."""

import asyncio
import contextlib
import functools
import os
import re
import secrets
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, TypeVar

import argon2
import bcrypt

from kiteward.domain.identity import Secret

_T = TypeVar("_T")

_BCRYPT: Final = re.compile(r"\$2[aby]\$(0[4-9]|1[0-2])\$[./A-Za-z0-9]{53}\Z")
"""A hash whose verification takes a quarter of a second at most: every wrong password costs as much (decision 0023)."""
_HIGHEST_COST: Final = (64 * 1024, 4, 4)
"""KiB, passes and lanes of Argon2id beyond which a hash from elsewhere is refused, for the same reason."""
_ARGON2: Final = re.compile(
    r"\$argon2id\$v=19\$m=[0-9]{1,9},t=[0-9]{1,9},p=[0-9]{1,9}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}"
)
"""A whole hash, with a salt of 8 to 64 bytes and 12 to 64 bytes of its own."""
_LEAST_KIB: Final = 8
"""KiB of each lane of Argon2id, at least (RFC 9106, 3.1)."""
_KIND: Final = re.compile(r"\$2[aby]\$(?P<bcrypt>\d\d)|\$argon2id\$v=19\$m=(?P<m>\d+),t=(?P<t>\d+),p=(?P<p>\d+)")
"""How a stored hash begins: its algorithm and cost."""
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


@dataclass(frozen=True, slots=True)
class _Kind:
    """Algorithm and cost of a hash: KiB, passes and lanes of Argon2id, or the one number of bcrypt."""

    cost: tuple[int, ...]

    @classmethod
    def of(cls, stored: str) -> "_Kind | None":
        """Return the kind of a stored hash, or of as much of it as tells; None for what is no hash.

        A cost that no hash can have is none: computing one would fail, at every wrong password of anybody.
        """
        found = _KIND.match(stored)
        if found is None:
            return None
        kind = cls(tuple(int(each) for each in found.groups() if each is not None))
        return kind if kind.bcrypt or kind._exists() else None

    def _exists(self) -> bool:
        memory, passes, lanes = self.cost
        return passes > 0 and lanes > 0 and memory >= _LEAST_KIB * lanes

    @property
    def bcrypt(self) -> bool:
        """Whether it is bcrypt, else Argon2id."""
        return len(self.cost) == 1

    def of_nobody(self) -> str:
        """Return a hash of this kind whose password nobody knows."""
        password = secrets.token_urlsafe(32)
        if self.bcrypt:
            return bcrypt.hashpw(password.encode(), bcrypt.gensalt(self.cost[0])).decode()
        memory, passes, lanes = self.cost
        return argon2.PasswordHasher(passes, memory, lanes, type=argon2.Type.ID).hash(password)


def _give_way() -> None:
    """Let a hashing thread run behind everything else, so that a flood of logins does not slow searches down."""
    if sys.platform != "linux":
        return  # elsewhere a priority is the whole process's
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class PasswordHasher:
    """Hashes and verifies passwords in a bounded pool of threads.

    The pool is bounded, so that a flood of logins cannot occupy the event loop.

    Attributes:
        workers: how many hashes are computed at the same time.
    """

    def __init__(self, profile: HashingProfile = PRODUCTION) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=profile.passes, memory_cost=profile.memory_kib, parallelism=profile.lanes, type=argon2.Type.ID
        )
        self.workers = profile.workers
        self._pool = ThreadPoolExecutor(profile.workers, thread_name_prefix="kiteward-hashing", initializer=_give_way)
        self._own = _Kind((profile.memory_kib, profile.passes, profile.lanes))
        self._nobody = {self._own: self._own.of_nobody()}

    async def hash(self, password: Secret) -> str:
        """Return a self-describing hash with a fresh salt."""
        return await self._run(functools.partial(self._argon2.hash, password.reveal()))

    async def verify(self, stored: str, password: Secret) -> bool:
        """Tell whether the password is the one behind the stored hash."""
        return await self.find([stored], password) is not None

    async def find(
        self, stored: Sequence[str], password: Secret, *, kinds: Iterable[str] = (), rounds: int = 1
    ) -> int | None:
        """Return the place of the stored hash that the password is behind, or None.

        Where there is none, the work is the same whatever is stored: in each round a hash of our own kind and one of
        each of the given kinds, so that time tells neither who exists nor what was brought from elsewhere
        (contract Q5).

        Args:
            stored: hashes of a user, as many as rounds at most; none for a user that does not exist.
            password: what was presented.
            kinds: hashes, or as much of their beginning as tells algorithm and cost, of the kinds that are stored for
                any user.
            rounds: how many hashes any user has at most.
        """
        own = {self._own: None}
        found = (_Kind.of(each) for each in sorted(kinds))
        sequence = tuple(own | dict.fromkeys(kind for kind in found if kind is not None))
        return await self._run(functools.partial(self._find, tuple(stored), password.reveal(), sequence, rounds))

    def is_outdated(self, stored: str) -> bool:
        """Tell whether a stored hash should be replaced at the next occasion: other algorithm or other cost."""
        return _Kind.of(stored) != self._own or self._argon2.check_needs_rehash(stored)

    @staticmethod
    def recognises(stored: str) -> bool:
        """Tell whether a hash is of a format that `verify` can judge, at a cost that a login may have."""
        if _BCRYPT.match(stored):
            return True
        kind = _Kind.of(stored) if _ARGON2.fullmatch(stored) else None
        return kind is not None and all(value <= most for value, most in zip(kind.cost, _HIGHEST_COST, strict=True))

    def close(self) -> None:
        """Let the pool go; hashes under way finish."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _find(self, stored: Sequence[str], password: str, kinds: Sequence[_Kind], rounds: int) -> int | None:
        for place in range(max(rounds, len(stored))):
            candidate = stored[place] if place < len(stored) else ""
            kind = _Kind.of(candidate)
            for each in kinds if kind is None or kind in kinds else (kind, *kinds):
                if each == kind:
                    if self._matches(candidate, password, kind):
                        return place
                else:
                    self._matches(self._of_nobody(each), password, each)
        return None

    def _of_nobody(self, kind: _Kind) -> str:
        if kind not in self._nobody:
            self._nobody[kind] = kind.of_nobody()
        return self._nobody[kind]

    def _matches(self, stored: str, password: str, kind: _Kind) -> bool:
        presented = password.encode("utf-8", "surrogatepass")
        try:
            if kind.bcrypt:
                return bcrypt.checkpw(presented[:_BCRYPT_BYTES], stored.encode())
            return self._argon2.verify(stored, presented)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError, ValueError):
            return False

    async def _run(self, work: "functools.partial[_T]") -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
