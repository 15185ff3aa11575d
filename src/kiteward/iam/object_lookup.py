"""The collection that a name given in a request stands for, and whether it exists, as far as the engine answers."""

import contextlib

from kiteward.domain.errors import EngineError
from kiteward.domain.naming import ANY
from kiteward.iam.services import Catalog


async def behind_alias(catalog: Catalog, database: str, name: str) -> str:
    """Return the collection behind an alias, as requests are resolved; without an engine, the name unchanged."""
    with contextlib.suppress(EngineError):
        if not catalog.fresh:
            await catalog.refresh()
        return catalog.resolve(database, name)
    return name


async def exists(catalog: Catalog, database: str, name: str) -> bool | None:
    """Return whether a collection exists; None for `*`, and while the engine does not answer."""
    if ANY in (database, name):
        return None
    with contextlib.suppress(EngineError):
        # A database that does not exist is refused by the engine, and has no collections.
        if catalog.fresh and not catalog.has_database(database):
            return False
        return await catalog.has_collection(database, name)
    return None
