"""What administrators look at: what a user sees, who may touch a collection, how the server is."""

from typing import Final

from kiteward.authn.authenticator import principal_of
from kiteward.domain.access import ADMIN_ROLE
from kiteward.domain.errors import EngineUnavailable, NotFound
from kiteward.domain.identity import ROOT, Principal
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.domain.policy import decide_administrator, listed_collections, listed_databases
from kiteward.domain.privileges import PRIVILEGES
from kiteward.gateway.administration.base import Tools
from kiteward.gateway.administration.server import VERSION
from kiteward.gateway.extensions.accounts import HeldGrant, Named, held_grants
from kiteward.gateway.extensions.base import Arguments, Extension, Outcome, Request
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


class CollectionNamed(Arguments):
    """Names a collection."""

    collection_name: str
    db_name: str = DEFAULT_DATABASE


class Holder(Outcome):
    """A role that may do something with a collection, and who holds it. `everything` stands for the role `admin`."""

    role_name: str
    everything: bool
    privileges: list[str]
    users: list[str]


class Holders(Outcome):
    """Everybody who may do something with a collection; `root` where it needs no role."""

    unrestricted: list[str]
    roles: list[Holder]


class ServerState(Outcome):
    """How the server is, and how much it holds."""

    version: str
    engine_ready: bool
    engine_reason: str
    revision: int
    databases: int
    roles: int
    groups: int
    sessions: int


async def viewed(tools: Tools, request: Request, arguments: Named) -> View:
    """Tell what a user would be shown."""
    record = await tools.store.user(arguments.user_name)
    if record is None:
        raise NotFound(f"user not found: {arguments.user_name}")
    principal = principal_of(record, root_bypass=tools.root_bypass)
    databases = []
    names = await _databases(tools)
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


async def _databases(tools: Tools) -> list[str]:
    answer = messages.ListDatabasesResponse.FromString(await _ask(tools, "ListDatabases", DEFAULT_DATABASE))
    return sorted(answer.db_names)


async def _ask(tools: Tools, operation: str, database: str) -> bytes:
    answer = await tools.engine.call(operation, b"", metadata={"dbname": database}, timeout=_TIMEOUT)
    if messages.status_code(operation, answer):
        raise EngineUnavailable(f"the engine refused {operation}")
    return answer


async def holders(tools: Tools, request: Request, arguments: CollectionNamed) -> Holders:
    """Tell which roles may do something with a collection, what, and who holds them."""
    if not tools.catalog.fresh:
        await tools.catalog.refresh()
    database = arguments.db_name
    collection = tools.catalog.resolve(database, arguments.collection_name)
    bound = await tools.store.bindings(None)
    found = []
    for name, role in sorted(request.snapshot.roles.items()):
        mask = role.on(database, collection)
        everything = name == ADMIN_ROLE
        if mask or everything:
            held = [privilege.name for privilege in PRIVILEGES.values() if mask & privilege.bit]
            users = list(bound.get(name, ()))
            found.append(Holder(role_name=name, everything=everything, privileges=held, users=users))
    return Holders(unrestricted=[ROOT] if request.root_bypass else [], roles=found)


async def server_described(tools: Tools, request: Request, _arguments: Arguments) -> ServerState:
    """Tell how the server is. That there is an answer tells that store and policy are well."""
    health = tools.engine.health()
    return ServerState(
        version=VERSION,
        engine_ready=health.ready,
        engine_reason="" if health.ready else health.reason,
        revision=request.snapshot.revision,
        databases=len(await _databases(tools)) if health.ready else 0,
        roles=len(request.snapshot.roles),
        groups=len(request.snapshot.groups),
        sessions=tools.sessions.count(),
    )


EXTENSIONS: Final = (
    Extension("ViewAsUser", "users/view", Named, View, viewed, "Tell what a user holds and sees.", changes=False),
    Extension(
        "ListCollectionHolders",
        "collections/list_holders",
        CollectionNamed,
        Holders,
        holders,
        "List who may do something with a collection.",
        changes=False,
    ),
    Extension(
        "DescribeServer",
        "server/describe",
        Arguments,
        ServerState,
        server_described,
        "Tell how the server is and how much it holds.",
        changes=False,
    ),
)
