"""What the store says of the catalog: which names may stand for something else, and what is being changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kiteward.store.intent_records import Intent

Name = tuple[str, str]
"""A database, and the name of a collection or alias in it; the name is empty for everything in the database."""


@dataclass(frozen=True, slots=True)
class CatalogNews:
    """What a revision that was applied says of the catalog.

    Attributes:
        revision: the revision.
        names: what may stand for something else than before; None for any name.
        intents: the changes that are not finished, whoever began them.
        protected: collections whose row policies are enforced since then.
    """

    revision: int
    names: frozenset[Name] | None
    intents: Sequence[Intent]
    protected: frozenset[Name] = frozenset()


class CatalogObserver(Protocol):
    """Takes note of what the store says of the catalog."""

    def note(self, news: CatalogNews) -> None:
        """Take note of a revision, in the same step in which decisions begin to be made by it."""
        ...

    def awaited(self) -> int | None:
        """Return the first revision whose news concern a write that has not ended here; None if there is none."""
        ...


class Unobserved:
    """Takes note of nothing: nobody else changes the catalog. Implements `CatalogObserver`."""

    def note(self, news: CatalogNews) -> None:
        pass

    def awaited(self) -> int | None:
        return None
