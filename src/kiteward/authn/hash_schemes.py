"""Which kinds of password hashes are stored, so that a wrong password takes the same time for every user."""

import asyncio
from collections.abc import Iterable
from typing import Final

from kiteward.store.base import Store
from kiteward.store.records import HashSchemes

_MOST_NAMES: Final = 1000
"""Up to this many changed users are read one by one; for more, all users are read again."""


class StoredSchemes:
    """The kinds of all stored password hashes. A kind that was found stays until the process ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kinds = HashSchemes(frozenset(), None)
        self._changed: set[str] | None = None
        self._reading = asyncio.Lock()

    def changed(self, user_names: Iterable[str]) -> None:
        """Mark users whose hashes may have changed, to be read by the next `current`."""
        if self._changed is not None:
            self._changed.update(user_names)
            if len(self._changed) > _MOST_NAMES:
                self._changed = None

    def changed_all(self) -> None:
        """Mark all users as possibly changed."""
        self._changed = None

    async def current(self) -> HashSchemes:
        """Return the kinds, after reading the users that have changed.

        Raises:
            StoreUnavailable: they cannot be read.
        """
        if self._changed is None or self._changed or self._reading.locked():
            async with self._reading:
                await self._read()
        return self._kinds

    async def _read(self) -> None:
        names, self._changed = self._changed, set()
        if names is not None and not names:
            return
        try:
            found = await self._store.hash_schemes(None if names is None else sorted(names))
        except BaseException:
            self._changed = None
            raise
        known = self._kinds
        ends = [each for each in (known.former_until, found.former_until) if each is not None]
        self._kinds = HashSchemes(known.prefixes | found.prefixes, max(ends, default=None))
