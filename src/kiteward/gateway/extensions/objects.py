"""What extensions ask the engine about collections and databases."""

import contextlib

from kiteward.domain.errors import EngineError, EngineUnavailable
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.gateway.administration.base import Services
from kiteward.milvus import messages

_TIMEOUT = 30.0


async def ask(services: Services, operation: str, database: str, payload: bytes = b"") -> bytes:
    """Ask the engine and return its answer.

    Raises:
        EngineError: it does not answer.
        EngineUnavailable: it refused.
    """
    answer = await services.engine.call(operation, payload, metadata={"dbname": database}, timeout=_TIMEOUT)
    if messages.status_code(operation, answer):
        raise EngineUnavailable(f"the engine refused {operation}")
    return answer


async def databases_of(services: Services) -> list[str]:
    """Return the databases that the engine has, sorted."""
    answer = messages.ListDatabasesResponse.FromString(await ask(services, "ListDatabases", DEFAULT_DATABASE))
    return sorted(answer.db_names)


async def collections_of(services: Services, database: str) -> list[str]:
    """Return the collections of a database that the engine has, sorted."""
    answer = messages.ShowCollectionsResponse.FromString(await ask(services, "ShowCollections", database))
    return sorted(answer.collection_names)


async def behind_alias(services: Services, database: str, name: str) -> str:
    """Return the collection behind an alias, as requests are judged; without an engine, the name as it stands."""
    with contextlib.suppress(EngineError):
        if not services.catalog.fresh:
            await services.catalog.refresh()
        return services.catalog.resolve(database, name)
    return name


async def exists(services: Services, database: str, name: str) -> bool | None:
    """Tell whether a collection exists; None for `*`, and where the engine cannot tell now."""
    if ANY in (database, name):
        return None
    request = messages.method_of("HasCollection").request(db_name=database, collection_name=name)
    with contextlib.suppress(EngineError):
        # A database that does not exist is refused by the engine, and has no collections.
        if services.catalog.fresh and not services.catalog.has_database(database):
            return False
        answer = await ask(services, "HasCollection", database, request.SerializeToString())
        return bool(messages.BoolResponse.FromString(answer).value)
    return None
