"""Password hashing: Argon2id for new hashes, bcrypt only to verify hashes imported from Milvus (contract Q1)."""

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
"""A bcrypt hash that verifies in a quarter of a second at most: each wrong password costs that much (decision 0023)."""
_HIGHEST_COST: Final = (64 * 1024, 4, 4)
"""KiB, passes and lanes of Argon2id above which an imported hash is refused, for the same reason."""
_ARGON2: Final = re.compile(
    r"\$argon2id\$v=19\$m=[0-9]{1,9},t=[0-9]{1,9},p=[0-9]{1,9}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}"
)
"""A complete Argon2id hash, with a salt of 8 to 64 bytes and a digest of 12 to 64 bytes."""
_LEAST_KIB: Final = 8
"""Least KiB for each lane of Argon2id (RFC 9106, 3.1)."""
_KIND: Final = re.compile(r"\$2[aby]\$(?P<bcrypt>\d\d)|\$argon2id\$v=19\$m=(?P<m>\d+),t=(?P<t>\d+),p=(?P<p>\d+)")
"""The beginning of a stored hash: its algorithm and cost."""
_NICENESS: Final = 10
_BCRYPT_BYTES: Final = 72
"""bcrypt ignores the bytes of a password beyond this."""


@dataclass(frozen=True, slots=True)
class HashingProfile:
    """Cost parameters of Argon2id (RFC 9106, section 4; OWASP Password Storage Cheat Sheet).

    Attributes:
        memory_kib: memory, in KiB.
        passes: iterations over the memory.
        lanes: degree of parallelism.
        workers: threads that hash at the same time; more hashes wait. Half the cores, so that a flood of logins leaves
            the other cores to searches.
    """

    memory_kib: int = 19 * 1024
    passes: int = 2
    lanes: int = 1
    workers: int = field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2))


PRODUCTION: Final = HashingProfile()
TESTING: Final = HashingProfile(memory_kib=8, passes=1, lanes=1)
"""Only for tests: fast and without protection."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Algorithm and cost of a hash: KiB, passes and lanes of Argon2id, or the one number of bcrypt."""

    cost: tuple[int, ...]

    @classmethod
    def of(cls, stored: str) -> "_Kind | None":
        """Return the kind of a stored hash, or of its beginning; None for anything that is not a hash.

        A cost that no hash can have returns None too: computing such a hash would fail at every wrong password.
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
        """Return a hash of this kind that no password matches."""
        password = secrets.token_urlsafe(32)
        if self.bcrypt:
            return bcrypt.hashpw(password.encode(), bcrypt.gensalt(self.cost[0])).decode()
        memory, passes, lanes = self.cost
        return argon2.PasswordHasher(passes, memory, lanes, type=argon2.Type.ID).hash(password)


def _give_way() -> None:
    """Lower the priority of a hashing thread, so that a flood of logins does not slow searches down."""
    if sys.platform != "linux":
        return  # on other systems, a priority applies to the whole process
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class PasswordHasher:
    """Hashes and verifies passwords in a bounded pool of threads.

    The bounded pool keeps a flood of logins off the event loop.

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
        self._nobody: dict[_Kind, str] = {}

    async def prepare(self) -> None:
        """Compute what the passwords of unknown users are compared with, so that the first takes no longer than others.

        Whoever verifies passwords of callers awaits this before the first.
        """
        await self._run(functools.partial(self._of_nobody, self._own))

    async def hash(self, password: Secret) -> str:
        """Return a self-describing hash with a fresh salt."""
        return await self._run(functools.partial(self._argon2.hash, password.reveal()))

    async def verify(self, stored: str, password: Secret) -> bool:
        """Return whether the password matches the stored hash."""
        return await self.find([stored], password) is not None

    async def find(
        self, stored: Sequence[str], password: Secret, *, kinds: Iterable[str] = (), rounds: int = 1
    ) -> int | None:
        """Return the index of the stored hash that the password matches, or None.

        When none matches, the work is the same whatever is stored: each round computes one hash of our own kind and one
        of each given kind. The time therefore reveals neither whether the user exists nor whether it was imported
        (contract Q5).

        Args:
            stored: hashes of the user, at most `rounds`; none for a user that does not exist.
            password: the presented password.
            kinds: hashes, or their beginnings with algorithm and cost, one for each kind stored for any user.
            rounds: most hashes that any user has.
        """
        own = {self._own: None}
        found = (_Kind.of(each) for each in sorted(kinds))
        sequence = tuple(own | dict.fromkeys(kind for kind in found if kind is not None))
        return await self._run(functools.partial(self._find, tuple(stored), password.reveal(), sequence, rounds))

    def is_outdated(self, stored: str) -> bool:
        """Return whether a stored hash should be replaced, because its algorithm or cost is not the current one."""
        return _Kind.of(stored) != self._own or self._argon2.check_needs_rehash(stored)

    @staticmethod
    def recognises(stored: str) -> bool:
        """Return whether `verify` accepts the format of a hash, and its cost is acceptable for a login."""
        if _BCRYPT.match(stored):
            return True
        kind = _Kind.of(stored) if _ARGON2.fullmatch(stored) else None
        return kind is not None and all(value <= most for value, most in zip(kind.cost, _HIGHEST_COST, strict=True))

    def close(self) -> None:
        """Shut the pool down without waiting; hashes in progress finish."""
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
