"""Names for fields that take one: what the signed-in user may see, as JSON for `static/lists.js`."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from starlette.responses import JSONResponse, Response

from kiteward.api.console.explorer.databases import collection_names, database_names
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.console.roles import all_groups
from kiteward.authz.privileges import BUILT_IN_GROUPS, PRIVILEGES
from kiteward.domain.errors import AccessDenied, InvalidArgument, NotFound
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.iam.json_api.accounts import Accounts, Listing
from kiteward.iam.json_api.listing import matches
from kiteward.iam.json_api.roles import RoleList, RoleListing

MOST_OFFERED: Final = 20
"""Most names that are offered at once; whoever types more letters gets others."""


async def _users(request: ConsoleRequest, text: str) -> Iterable[str]:
    found = await request.client.invoke("ListUserAccounts", Listing(contains=text, limit=MOST_OFFERED), Accounts)
    return [user.user_name for user in found.users]


async def _roles(request: ConsoleRequest, text: str) -> Iterable[str]:
    found = await request.client.invoke("ListRoles", RoleListing(contains=text, limit=MOST_OFFERED), RoleList)
    return [role.role_name for role in found.roles]


async def _databases(request: ConsoleRequest, _text: str) -> Iterable[str]:
    return await database_names(request)


async def _collections(request: ConsoleRequest, _text: str) -> Iterable[str]:
    return await collection_names(request, request.query_value("database") or DEFAULT_DATABASE)


async def _groups(request: ConsoleRequest, _text: str) -> Iterable[str]:
    return [group.name for group in await all_groups(request)]


async def _privileges(request: ConsoleRequest, text: str) -> Iterable[str]:
    try:
        groups = await _groups(request, text)
    except AccessDenied:
        groups = BUILT_IN_GROUPS
    return sorted({*PRIVILEGES, *groups})


_KINDS: Final[Mapping[str, Callable[[ConsoleRequest, str], Awaitable[Iterable[str]]]]] = {
    "users": _users,
    "roles": _roles,
    "databases": _databases,
    "collections": _collections,
    "groups": _groups,
    "privileges": _privileges,
}
"""What kinds of names there are; a field that completes names one of them."""


async def names(request: ConsoleRequest) -> Response:
    """Return the first names of a kind that contain what was typed; none of what the user may not list."""
    text, kind = request.query_value("q").strip(), _KINDS.get(request.names["kind"])
    found: Iterable[str] = ()
    if kind is not None:
        try:
            found = await kind(request, text)
        except (AccessDenied, NotFound, InvalidArgument):
            found = ()
    # A user may be found by the description, whose name would not complete what was typed.
    return JSONResponse({"names": [name for name in found if matches(text, name)][:MOST_OFFERED]})


PAGES: Final = (Page("names/{kind}", names),)
