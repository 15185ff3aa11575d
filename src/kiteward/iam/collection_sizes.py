"""The collections of the engine with their rows and sizes, for administrators."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.domain.errors import EngineError
from kiteward.iam.caller import Caller
from kiteward.iam.services import CollectionSize, Services

_NAMES_WITHIN: Final = 1.0
_SIZES_WITHIN: Final = 2.0
"""Seconds within which the engine must list its collections, and then report their sizes; what it has not reported by
then is left out."""


@dataclass(frozen=True, slots=True)
class SizedCollection:
    """A collection and its size.

    Attributes:
        database: its database.
        name: its name.
        size: its size; None where the engine has not reported it in time, or the caller may not see all rows.
        hidden: whether row policies keep the size from the caller.
    """

    database: str
    name: str
    size: CollectionSize | None
    hidden: bool


@dataclass(frozen=True, slots=True)
class SizedCollections:
    """Collections with their sizes.

    Attributes:
        collections: sorted by database and name.
        count: how many collections there are; None while the engine does not respond.
    """

    collections: Sequence[SizedCollection]
    count: int | None


async def size_collections(services: Services, caller: Caller, *, most: int) -> SizedCollections:
    """Return collections with their sizes, as far as the engine tells them in time.

    Args:
        services: what services work with.
        caller: an administrator. Of a collection whose row policies apply to everybody, not even administrators are
            shown how many rows there are.
        most: how many collections at most.
    """
    names: list[tuple[str, str]] = []
    try:
        async with asyncio.timeout(_NAMES_WITHIN):
            for database in await services.catalog.database_names():
                names += [(database, name) for name in await services.catalog.collection_names(database)]
    except (EngineError, TimeoutError):
        return SizedCollections((), None)
    shown = names[:most]
    hidden = {name for name in shown if _is_hidden(caller, *name)}
    sizes = await services.sizes.of([name for name in shown if name not in hidden], within=_SIZES_WITHIN)
    return SizedCollections(
        [SizedCollection(*name, sizes.get(name), name in hidden) for name in shown],
        len(names),
    )


def _is_hidden(caller: Caller, database: str, name: str) -> bool:
    rules = caller.snapshot.protected(database, name)
    return rules is not None and not rules.bypassed_by(caller.principal, caller.snapshot)
