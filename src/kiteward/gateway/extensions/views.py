"""What administrators look at: what a user holds and is shown."""

from typing import Final

from kiteward.authn.subjects import principal_of
from kiteward.domain.errors import EngineUnavailable, NotFound
from kiteward.domain.identity import Principal
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.domain.policy import decide_administrator, listed_collections, listed_databases
from kiteward.gateway.administration.base import Tools
from kiteward.gateway.extensions.accounts import HeldGrant, Named, held_grants
from kiteward.gateway.extensions.base import Extension, Outcome, Request
from kiteward.wire import messages

_TIMEOUT: Final = 30.0


class SeenDatabase(Outcome):
    """A database and the collections of it that are shown."""

    db_name: str
    collections: list[str]


class View(Outcome):
    """What a user holds, and what lists show it."""

    user_name: str
    administrator: bool
    roles: list[str]
    grants: list[HeldGrant]
    databases: list[SeenDatabase]


async def viewed(tools: Tools, request: Request, arguments: Named) -> View:
    """Tell what a user would be shown."""
    record = await tools.store.user(arguments.user_name)
    if record is None:
        raise NotFound(f"user not found: {arguments.user_name}")
    principal = principal_of(record, root_bypass=tools.root_bypass)
    databases = []
    names = await databases_of(tools)
    for name, shown in zip(names, listed_databases(principal, names, request.snapshot), strict=True):
        if shown:
            databases.append(SeenDatabase(db_name=name, collections=await _shown(tools, request, principal, name)))
    return View(
        user_name=record.name,
        administrator=decide_administrator(principal).allowed,
        roles=sorted(principal.roles),
        grants=held_grants(principal, request.snapshot),
        databases=databases,
    )


async def _shown(tools: Tools, request: Request, principal: Principal, database: str) -> list[str]:
    answer = messages.ShowCollectionsResponse.FromString(await _ask(tools, "ShowCollections", database))
    names = sorted(answer.collection_names)
    shown = listed_collections(principal, database, names, request.snapshot)
    return [name for name, is_shown in zip(names, shown, strict=True) if is_shown]


async def databases_of(tools: Tools) -> list[str]:
    """Return the databases that the engine has, sorted."""
    answer = messages.ListDatabasesResponse.FromString(await _ask(tools, "ListDatabases", DEFAULT_DATABASE))
    return sorted(answer.db_names)


async def _ask(tools: Tools, operation: str, database: str) -> bytes:
    answer = await tools.engine.call(operation, b"", metadata={"dbname": database}, timeout=_TIMEOUT)
    if messages.status_code(operation, answer):
        raise EngineUnavailable(f"the engine refused {operation}")
    return answer


EXTENSIONS: Final = (
    Extension("ViewAsUser", "users/view", Named, View, viewed, "Tell what a user holds and sees.", changes=False),
)
