"""Mappings that are made when they are first looked into."""

import functools
from collections.abc import Callable, Iterator, Mapping
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
