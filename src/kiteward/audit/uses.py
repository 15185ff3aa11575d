"""Which privileges were used, by the lines of a trail, and which of these uses a store that replicas share lacks."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from kiteward.audit.reader import Entry
from kiteward.domain.naming import can_be_stored
from kiteward.store.records import Use

_HOUR: Final = 3600.0
"""Seconds. A use is stored as one until the end of its hour, so that it is written once an hour at most."""

_MOST_REMEMBERED: Final = 100_000
"""Uses that are known to be stored; more are stored again."""


class Used(msgspec.Struct):
    """The fields of a line that tell what was used."""

    time: str
    decision: str = ""
    privilege: str = ""
    principal: str = ""
    operation: str = ""
    database: str = ""
    resources: list[str] = []

    def uses(self) -> Iterable[Use]:
        """Yield the uses of a request that was allowed, one for each object that may exist."""
        if self.decision == "allowed" and self.privilege and can_be_stored(self.database):
            for name in filter(can_be_stored, self.resources or ("",)):
                yield Use(self.principal, self.privilege, self.operation, self.database, name)


def uses_of(entry: Entry) -> Iterable[Use]:
    """Return the uses of a line that was read."""
    return msgspec.convert(entry, Used).uses()


class UnstoredUses:
    """Finds uses that were not stored for their hour yet."""

    def __init__(self) -> None:
        self._stored: dict[Use, float] = {}

    def among(self, lines: Sequence[Used]) -> Mapping[float, set[Use]]:
        """Return the uses that are to be stored, by the end of their hour in seconds since the epoch."""
        found: dict[float, set[Use]] = {}
        for line in lines:
            for use in line.uses():
                until = (math.floor(datetime.fromisoformat(line.time).timestamp() / _HOUR) + 1) * _HOUR
                if self._stored.get(use, 0.0) < until:
                    found.setdefault(until, set()).add(use)
        return found

    def note_stored(self, used: Mapping[float, set[Use]]) -> None:
        """Take note that uses were stored."""
        for until, uses in sorted(used.items()):
            self._stored.update(dict.fromkeys(uses, until))
        if len(self._stored) > _MOST_REMEMBERED:
            self._stored.clear()
