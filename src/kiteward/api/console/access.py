"""Pages about access: the privilege matrix with a preview of changes, and the health of the server."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.databases import collection_names, database_names
from kiteward.api.console.forms import path_below
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.console.roles import role_names
from kiteward.authz.privileges import BUILT_IN_GROUPS, PRIVILEGES, Level, group_level
from kiteward.domain.errors import RequestRefused, StoreError
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.iam.json_api.base import Arguments
from kiteward.iam.json_api.grants import GrantChange, GrantNamed, GrantsChanged
from kiteward.iam.json_api.server import ServerList, ServerState
from kiteward.milvus import messages

_SEPARATOR: Final = "|"
_GROUPS: Final = "groups"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the matrix: its value in the form, whether the role holds the grant, whether it can be granted."""

    value: str
    column: str
    held: bool
    fits: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One scope of the matrix: its cells, and the number of the role's grants on it that have no column."""

    database: str
    collection: str
    cells: Sequence[Cell]
    others: int


async def matrix(request: ConsoleRequest) -> Response:
    """Show the grants of a role on the scopes of a database."""
    roles = await role_names(request)
    role, database = request.query_value("role"), request.query_value("database") or DEFAULT_DATABASE
    columns_of = request.query_value("columns") or _GROUPS
    databases = await database_names(request)
    values: dict[str, Any] = {
        "roles": roles,
        "role": role,
        "database": database,
        "databases": databases,
        "columns_of": columns_of,
        "choices": [_GROUPS, *(level.value for level in Level)],
        "rows": (),
        "columns": (),
    }
    if role in roles:
        columns = await _columns(request, columns_of)
        held = await _held(request, role)
        scopes = await _scopes(request, database, held)
        values["columns"] = list(columns)
        values["rows"] = [_row(scope, columns, held) for scope in scopes]
    return request.page("matrix.html", **values)


async def _columns(request: ConsoleRequest, kind: str) -> dict[str, Level | None]:
    """Return the columns, privilege groups or the privileges of one level, each with its level."""
    if kind in tuple(Level):
        return {name: each.level for name, each in PRIVILEGES.items() if each.level == kind}
    found = await request.client.call(messages.ListPrivilegeGroupsRequest(), messages.ListPrivilegeGroupsResponse)
    named = {group.group_name: [each.name for each in group.privileges] for group in found.privilege_groups}
    return {name: group_level(members) for name, members in {**BUILT_IN_GROUPS, **named}.items()}


async def _held(request: ConsoleRequest, role: str) -> set[tuple[str, str, str]]:
    entity = messages.GrantEntity(role=messages.RoleEntity(name=role), db_name=ANY)
    found = await request.client.call(messages.SelectGrantRequest(entity=entity), messages.SelectGrantResponse)
    return {(each.db_name, each.object_name, each.grantor.privilege.name) for each in found.entities}


async def _scopes(
    request: ConsoleRequest, database: str, held: Iterable[tuple[str, str, str]]
) -> list[tuple[str, str]]:
    named = {collection for where, collection, _ in held if where == database and collection != ANY}
    collections = {*(await collection_names(request, database)), *named}
    return [(ANY, ANY), (database, ANY), *((database, name) for name in sorted(collections))]


def _row(scope: tuple[str, str], columns: dict[str, Level | None], held: set[tuple[str, str, str]]) -> Row:
    cells = [
        Cell(_SEPARATOR.join((*scope, name)), name, (*scope, name) in held, fits=_fits(scope, level))
        for name, level in columns.items()
    ]
    others = sum(1 for where, what, name in held if (where, what) == scope and name not in columns)
    return Row(*scope, cells, others)


def _fits(scope: tuple[str, str], level: Level | None) -> bool:
    """Return whether to show a checkbox for a privilege on a scope. The gateway decides what can be granted."""
    if level is Level.CLUSTER:
        return scope == (ANY, ANY)
    return level is not Level.DATABASE or scope[1] == ANY


async def preview(request: ConsoleRequest) -> Response:
    """Show what the selected checkboxes change; with `apply`, make the change."""
    role = request.form_text("role")
    had, ticked = set(request.form_values("had")), set(request.form_values("grant"))
    if request.form_text("apply"):
        given, taken = request.form_values("give"), request.form_values("take")
    else:
        given, taken = sorted(ticked - had), sorted(had - ticked)
    apply = bool(request.form_text("apply"))
    values: dict[str, Any] = {
        "role": role,
        "database": request.form_text("database"),
        "columns_of": request.form_text("columns"),
    }
    back = {"role": role, "database": values["database"], "columns": values["columns_of"]}
    if not (given or taken):
        return request.redirect("/console/matrix", done="matrix_same", **back)
    change = GrantChange(role_name=role, grant=_named(given), revoke=_named(taken), dry_run=not apply)
    try:
        changed = await request.client.invoke("ChangeGrants", change, GrantsChanged)
    except RequestRefused as error:
        return request.page_with_errors(
            "preview.html", {"": request.reason(error.details)}, change=None, give=given, take=taken, **values
        )
    if apply:
        return request.redirect("/console/matrix", done="matrix", **back)
    return request.page("preview.html", change=changed, give=given, take=taken, **values)


def _named(values: Iterable[str]) -> list[GrantNamed]:
    parts = [value.split(_SEPARATOR) for value in values]
    return [
        GrantNamed(db_name=database, collection_name=collection, privilege=privilege)
        for database, collection, privilege in (part for part in parts if len(part) == 3)  # noqa: PLR2004  as made above
    ]


async def health(request: ConsoleRequest) -> Response:
    """Show the health of the server, and of those that use the same store."""
    state = await request.client.invoke("DescribeServer", Arguments(), ServerState)
    servers = None
    with contextlib.suppress(StoreError):
        servers = (await request.client.invoke("ListServers", Arguments(), ServerList)).servers
    return request.page("health.html", server=state, servers=servers)


async def _to_matrix(request: ConsoleRequest) -> Response:
    return request.redirect(path_below("matrix"))


PAGES: Final = (
    Page("matrix", matrix),
    Page("matrix/preview", _to_matrix, preview),
    Page("health", health),
)
