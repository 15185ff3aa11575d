"""Mappings that are made, as a whole or part by part, when they are first looked into."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Deferred(Mapping[K, V]):
    """A mapping that a function makes when it is first looked into; it is the same mapping from then on."""

    __slots__ = ("_made",)

    def __init__(self, make: Callable[[], Mapping[K, V]]) -> None:
        """Take the function that makes it; what that raises is raised by the look."""
        self._made = functools.cache(make)

    def __getitem__(self, key: K) -> V:
        return self._made()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._made()

    def __iter__(self) -> Iterator[K]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())

    def get(self, key: K, default: Any = None) -> Any:
        """As of every mapping, without an exception for a key that is missing: requests are looked up by it."""
        return self._made().get(key, default)


class DeferredParts(Mapping[K, V]):
    """A mapping of parts, each of which is made when one of its keys is first looked for.

    Whoever lists or counts the keys has all parts made.
    """

    __slots__ = ("_left", "_made", "_make", "_part_of")

    def __init__(
        self, parts: Iterable[str], part_of: Callable[[K], str | None], make: Callable[[str], Mapping[K, V]]
    ) -> None:
        """Take what makes the parts.

        Args:
            parts: the names of all parts, in their order.
            part_of: returns the part that a key would be in; None for a key that is in none.
            make: makes a part; what it raises is raised by the look.
        """
        self._left = dict.fromkeys(parts)
        self._part_of = part_of
        self._make = make
        self._made: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        if key not in self._made:
            self._require(self._part_of(key))
        return self._made[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def get(self, key: K, default: Any = None) -> Any:
        """As of every mapping, without an exception for a key that is missing: requests are looked up by it."""
        if self._left and key not in self._made:
            self._require(self._part_of(key))
        return self._made.get(key, default)

    def _whole(self) -> Mapping[K, V]:
        for part in list(self._left):
            self._require(part)
        return self._made

    def _require(self, part: str | None) -> None:
        """Make a part unless it is made.

        Raises:
            ValueError: a key is in two parts.
        """
        if part not in self._left:
            return
        entries = self._make(part)
        for key in entries.keys() & self._made.keys():
            raise ValueError(f"`{key}` is in the table twice")
        self._made.update(entries)
        del self._left[part]
