"""Which kinds of password hashes are stored, so that a wrong password costs the same whichever its user has."""

import asyncio
from collections.abc import Iterable
from typing import Final

from kiteward.store.base import Store
from kiteward.store.records import HashSchemes

_MOST_NAMES: Final = 1000
"""Changed users that are read one by one; beyond, all users are read again."""


class StoredSchemes:
    """The kinds of all stored password hashes, as of now. A kind that was seen stays until the process ends."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kinds = HashSchemes(frozenset(), None)
        self._changed: set[str] | None = None
        self._reading = asyncio.Lock()

    def changed(self, user_names: Iterable[str]) -> None:
        """Note that these users may have other hashes than before."""
        if self._changed is not None:
            self._changed.update(user_names)
            if len(self._changed) > _MOST_NAMES:
                self._changed = None

    def changed_all(self) -> None:
        """Note that any user may have another hash than before."""
        self._changed = None

    async def current(self) -> HashSchemes:
        """Return the kinds.

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
