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
    with contextlib.suppress(EngineError):
        # The engine refuses a database that does not exist; such a database has no collections.
        if catalog.fresh:
            await catalog.ensure(database)
            if not catalog.has_database(database):
                return False
        return await catalog.has_collection(database, name)
    return None
