"""What administrators look at: what a user holds and is shown."""

from typing import Final

from kiteward.authn.principals import principal_of
from kiteward.authz.policy import decide_administrator, listed_collections, listed_databases
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import NotFound
from kiteward.domain.identity import Principal
from kiteward.gateway.administration.base import Services
from kiteward.gateway.extensions.accounts import HeldGrant, Named, held_grants
from kiteward.gateway.extensions.base import AdminOperation, Outcome, Request
from kiteward.gateway.extensions.objects import collections_of, databases_of


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


async def viewed(services: Services, request: Request, arguments: Named) -> View:
    """Tell what a user would be shown."""
    record = await services.store.user(arguments.user_name)
    if record is None:
        raise NotFound(
            f"user not found: {arguments.user_name}",
            ErrorDetail(ErrorCode.USER_NOT_FOUND, {"name": arguments.user_name}),
            field="userName",
        )
    principal = principal_of(record, root_bypass=services.root_bypass)
    databases = []
    names = await databases_of(services)
    for name, shown in zip(names, listed_databases(principal, names, request.snapshot), strict=True):
        if shown:
            databases.append(SeenDatabase(db_name=name, collections=await _shown(services, request, principal, name)))
    return View(
        user_name=record.name,
        administrator=decide_administrator(principal).allowed,
        roles=sorted(principal.roles),
        grants=held_grants(principal, request.snapshot),
        databases=databases,
    )


async def _shown(services: Services, request: Request, principal: Principal, database: str) -> list[str]:
    names = await collections_of(services, database)
    shown = listed_collections(principal, database, names, request.snapshot)
    return [name for name, is_shown in zip(names, shown, strict=True) if is_shown]


ADMIN_OPERATIONS: Final = (
    AdminOperation("ViewAsUser", "users/view", Named, View, viewed, "Tell what a user holds and sees.", changes=False),
)
