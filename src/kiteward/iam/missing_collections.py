"""Grants on collections that do not exist: not yet, or not any more."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.authz.model import Grant, GrantKey
from kiteward.authz.privileges import ObjectType
from kiteward.domain.naming import ANY
from kiteward.iam.caller import Caller
from kiteward.iam.object_lookup import exists
from kiteward.iam.services import Catalog, Services

_AT_A_TIME: Final = 16
"""Collections that the engine is asked for at a time."""


@dataclass(frozen=True, slots=True)
class GrantsOnMissing:
    """Grants whose collection does not exist.

    Attributes:
        grants: the grants, by role and key, without those that are kept for a user (decision 0030).
        complete: whether the engine has responded for all collections.
    """

    grants: Sequence[Grant]
    complete: bool


async def list_grants_on_missing(services: Services, caller: Caller) -> GrantsOnMissing:
    """Return the grants that name a collection that does not exist."""
    held = (grant for role in caller.snapshot.roles.values() for grant in role.grants if grant.kept_for is None)
    named = [grant for grant in held if names_collection(grant.key)]
    found = await existing(services.catalog, {(grant.key.db_name, grant.key.object_name) for grant in named})
    missing = [grant for grant in named if found[grant.key.db_name, grant.key.object_name] is False]
    return GrantsOnMissing(sorted(missing, key=lambda grant: (grant.role, grant.key)), None not in found.values())


async def existing(catalog: Catalog, places: Collection[tuple[str, str]]) -> dict[tuple[str, str], bool | None]:
    """Return whether collections exist, by database and name; None where the engine does not respond."""
    objects = sorted(places)
    found: dict[tuple[str, str], bool | None] = {}
    for begin in range(0, len(objects), _AT_A_TIME):
        several = objects[begin : begin + _AT_A_TIME]
        there = await asyncio.gather(*(exists(catalog, database, name) for database, name in several))
        found.update(zip(several, there, strict=True))
    return found


def names_collection(key: GrantKey) -> bool:
    """Return whether a grant is on one collection."""
    return key.object_type is not ObjectType.USER and ANY not in (key.db_name, key.object_name)
