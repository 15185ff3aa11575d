"""What a user holds, and which databases and collections lists show to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kiteward.authz.policy import PolicySnapshot, listed_collections, listed_databases
from kiteward.domain.identity import Principal
from kiteward.iam.caller import Caller
from kiteward.iam.lookup import stored_user
from kiteward.iam.services import Services


@dataclass(frozen=True, slots=True)
class UserView:
    """What a user sees.

    Attributes:
        principal: the principal of the user's requests.
        databases: database -> its collections that are listed.
    """

    principal: Principal
    databases: Mapping[str, Sequence[str]]


async def view_as_user(services: Services, caller: Caller, name: str) -> UserView:
    """Return what a user would see.

    Raises:
        UserNotFound: there is no such user.
        EngineError: the engine does not answer.
    """
    principal = (await services.principals.of_user(await stored_user(services, name))).principal
    databases = await services.catalog.database_names()
    listed = listed_databases(principal, databases, caller.snapshot)
    return UserView(
        principal,
        {
            database: await _collections(services, principal, database, caller.snapshot)
            for database, is_listed in zip(databases, listed, strict=True)
            if is_listed
        },
    )


async def _collections(
    services: Services, principal: Principal, database: str, snapshot: PolicySnapshot
) -> Sequence[str]:
    names = await services.catalog.collection_names(database)
    listed = listed_collections(principal, database, names, snapshot)
    return [name for name, is_listed in zip(names, listed, strict=True) if is_listed]
