"""Collections of the engine with their rows and sizes, as far as their caller may know them."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.authz.policy import Condition, decide
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.errors import EngineError
from kiteward.iam.caller import Caller
from kiteward.iam.services import CollectionSize, Services

_NAMES_WITHIN: Final = 1.0
_SIZES_WITHIN: Final = 2.0
"""Seconds within which the engine must list its collections, and then report their sizes; what it has not reported by
then is left out."""

_COUNTING: Final = ("GetStatistics", "Query")
"""The privileges with which one may count the rows of a collection that has no row policies."""


@dataclass(frozen=True, slots=True)
class SizedCollection:
    """A collection, and what its caller may know of its size.

    Attributes:
        database: its database.
        name: its name.
        size: its size; None where the engine has not reported it in time, or the caller may not see all rows.
        hidden: whether privileges or row policies keep the size from the caller.
        protected: whether its row policies are enforced; None for a caller who may not view them.
        description: what it was created with; None where the engine has not reported it in time.
    """

    database: str
    name: str
    size: CollectionSize | None
    hidden: bool
    protected: bool | None
    description: str | None


@dataclass(frozen=True, slots=True)
class SizedCollections:
    """Collections with their sizes.

    Attributes:
        collections: sorted by database and name.
        count: how many collections were asked for that the caller may see; None while the engine does not respond.
    """

    collections: Sequence[SizedCollection]
    count: int | None


async def size_collections(
    services: Services, caller: Caller, *, most: int, database: str = "", names: Collection[str] = ()
) -> SizedCollections:
    """Return the collections that a caller may see, with their sizes, as far as the engine tells them in time.

    Args:
        services: what services work with.
        caller: the caller, who does not get the size of a collection without the privilege to count it, or whose row
            policies apply to the caller; those that apply to everybody keep it from administrators too.
        most: how many collections at most.
        database: their database; empty for all.
        names: their names; empty for all.
    """
    found: list[tuple[str, str]] = []
    try:
        async with asyncio.timeout(_NAMES_WITHIN):
            for each in await services.catalog.database_names():
                if database in ("", each):
                    found += [(each, name) for name in await services.catalog.collection_names(each)]
    except (EngineError, TimeoutError):
        return SizedCollections((), None)
    seen = [each for each in found if (not names or each[1] in names) and _is_seen(caller, *each)]
    shown = seen[:most]
    sizes = await services.sizes.of(shown, within=_SIZES_WITHIN)
    return SizedCollections([_sized(caller, *each, sizes.get(each)) for each in shown], len(seen))


def _sized(caller: Caller, database: str, name: str, size: CollectionSize | None) -> SizedCollection:
    rules = caller.snapshot.protected(database, name)
    hidden = (rules is not None and not rules.bypassed_by(caller.principal, caller.snapshot)) or not any(
        _holds(caller, privilege, database, name) for privilege in _COUNTING
    )
    return SizedCollection(
        database,
        name,
        None if hidden else size,
        hidden,
        (rules is not None) if _holds(caller, "ViewRLS", database, name) else None,
        None if size is None else size.description,
    )


def _is_seen(caller: Caller, database: str, name: str) -> bool:
    condition = Condition(PRIVILEGES["DescribeCollection"], database, (name,), visibility_is_enough=True)
    return decide(caller.principal, (condition,), caller.snapshot).allowed


def _holds(caller: Caller, privilege: str, database: str, name: str) -> bool:
    condition = Condition(PRIVILEGES[privilege], database, (name,))
    return decide(caller.principal, (condition,), caller.snapshot).allowed
