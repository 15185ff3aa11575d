"""Finds the collection that a name in a request refers to, and whether it exists, as far as the engine responds."""

import contextlib

from kiteward.domain.errors import EngineError
from kiteward.domain.naming import ANY
from kiteward.iam.services import Catalog


async def behind_alias(catalog: Catalog, database: str, name: str) -> str:
    """Return the collection behind an alias, resolved as in requests; without an engine, the name unchanged."""
    with contextlib.suppress(EngineError):
        await catalog.ensure(database, name)
        return catalog.resolve(database, name)
    return name


async def exists(catalog: Catalog, database: str, name: str) -> bool | None:
    """Return whether a collection exists; None for `*`, and while the engine does not respond."""
    if ANY in (database, name):
        return None
    # The engine refuses a database that does not exist; such a database has no collections.
    if catalog.fresh and await database_exists(catalog, database) is False:
        return False
    with contextlib.suppress(EngineError):
        return await catalog.has_collection(database, name)
    return None


async def database_exists(catalog: Catalog, name: str) -> bool | None:
    """Return whether a database exists; None for `*`, and while the engine does not respond."""
    if name == ANY:
        return None
    with contextlib.suppress(EngineError):
        await catalog.ensure(name)
        return catalog.has_database(name)
    return None
