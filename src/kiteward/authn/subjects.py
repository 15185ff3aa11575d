"""Which principal a user or an API key makes, without any credential: for whoever explains decisions."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from kiteward.authn.known_keys import KnownKey
from kiteward.domain.identity import ROOT, Principal
from kiteward.store.base import KeyRecord, Store, UserRecord


def principal_of(record: UserRecord, *, root_bypass: bool) -> Principal:
    """Return the principal that a user's own credential makes.

    Args:
        record: the user.
        root_bypass: whether `root` needs no roles.
    """
    return Principal(record.name, frozenset(record.roles), unrestricted=root_bypass and record.name == ROOT)


def closed_user(record: UserRecord) -> str:
    """Return why a user may not come in, or empty."""
    if not record.enabled:
        return "the user is disabled"
    return "" if record.locked_at is None else "the user is locked after too many wrong passwords"


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody who could call.

    Attributes:
        principal: what it would run as.
        closed: why it may not come in now, or empty.
    """

    principal: Principal
    closed: str = ""


class Subjects:
    """Finds users and API keys as the principals they make."""

    def __init__(self, store: Store, *, root_bypass: bool, clock: Callable[[], float] = time.time) -> None:
        """Set up.

        Args:
            store: where they are.
            root_bypass: whether `root` needs no roles.
            clock: seconds since the epoch.
        """
        self._store = store
        self._root_bypass = root_bypass
        self._clock = clock

    async def user(self, name: str) -> Subject | None:
        """Return a user, or None."""
        record = await self._store.user(name)
        return None if record is None else self.of_user(record)

    async def key(self, key_id: str) -> Subject | None:
        """Return an API key, or None."""
        record = await self._store.key(key_id)
        owner = None if record is None else await self._store.user(record.owner)
        return None if record is None or owner is None else self.of_key(record, owner)

    def of_user(self, record: UserRecord) -> Subject:
        """Return what a user makes."""
        return Subject(principal_of(record, root_bypass=self._root_bypass), closed_user(record))

    def of_key(self, record: KeyRecord, owner: UserRecord) -> Subject:
        """Return what an API key makes."""
        known = KnownKey.of(record, principal_of(owner, root_bypass=self._root_bypass), closed=False)
        closed = closed_user(owner)
        if not record.enabled:
            closed = "the API key is disabled"
        elif record.expires_at is not None and self._clock() >= record.expires_at:
            closed = "the API key has ended"
        return Subject(known.principal, closed)
