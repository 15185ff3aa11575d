"""The privilege matrix: the grants of a role, what they cover, and a preview of changes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.databases import collection_names, database_names
from kiteward.api.console.forms import path_below
from kiteward.api.console.lists import PAGE_SIZE, Asked, Shown
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.api.console.roles import Group, all_groups, key_of
from kiteward.authz.coverage import Coverage
from kiteward.authz.model import GrantKey, PrivilegeGroup
from kiteward.authz.privileges import BUILT_IN_GROUPS, PRIVILEGES, Level, ObjectType, group_level
from kiteward.domain.errors import RequestRefused
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.iam.json_api.grants import GrantChange, GrantNamed, GrantsChanged
from kiteward.iam.json_api.listing import matches
from kiteward.iam.json_api.roles import RoleList, RoleListing
from kiteward.milvus import messages

_SEPARATOR: Final = "|"
_KINDS: Final = "groups"
_GIVES_ROLES: Final = "ManageOwnership"
"""Who holds it gives roles and privileges to anybody, except what administrators alone may give."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the matrix: a privilege or a group, its level, and the members of a group."""

    name: str
    level: Level | None
    members: Sequence[str] = ()

    @property
    def gives_roles(self) -> bool:
        """Whether holders can give roles and privileges to themselves."""
        return _GIVES_ROLES in (self.name, *self.members)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the matrix.

    Attributes:
        value: its value in the form.
        column: the privilege or group.
        held: whether the role holds the grant.
        fits: whether it can be granted.
        covered: the grants of the role that give all of it already.
    """

    value: str
    column: str
    held: bool
    fits: bool
    covered: Sequence[GrantKey] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One scope of the matrix.

    Attributes:
        database: its database.
        collection: its collection.
        cells: its cells.
        others: the number of the role's grants on it that have no column.
        elsewhere: which columns have those.
    """

    database: str
    collection: str
    cells: Sequence[Cell]
    others: int
    elsewhere: Sequence[str] = ()


async def matrix(request: ConsoleRequest) -> Response:
    """Show the grants of a role on the scopes of a database, a page of them."""
    asked = Asked.of(request, "role", "database", "columns")
    role, database = asked.filters["role"], asked.filters["database"] or DEFAULT_DATABASE
    columns_of = asked.filters["columns"] or _KINDS
    values: dict[str, Any] = {
        "role": role,
        "known": False,
        "database": database,
        "databases": await database_names(request),
        "columns_of": columns_of,
        "choices": [_KINDS, *(level.value for level in Level)],
        "rows": (),
        "columns": (),
        "roles": (),
        "list": Shown(asked, 0),
    }
    # Whom the gateway does not let list roles is refused here too, whether or not a role was named.
    roles = await request.client.invoke("ListRoles", RoleListing(limit=PAGE_SIZE), RoleList)
    if role and await _exists(request, role):
        groups = await all_groups(request)
        columns, held = _columns(groups, columns_of), await _held(request, role)
        scopes = await _scopes(request, database, held, asked.contains)
        values["known"], values["list"] = True, Shown(asked, len(scopes))
        if values["list"].beyond:
            return request.redirect(asked.link(page=values["list"].pages))
        coverage = Coverage(held, {group.name: PrivilegeGroup(group.name, tuple(group.privileges)) for group in groups})
        rows = [_row(scope, columns, held, coverage) for scope in asked.cut(scopes)]
        values["columns"], values["rows"] = columns, rows
    else:
        values["roles"] = [each.role_name for each in roles.roles]
    return request.page("matrix.html", **values)


async def _exists(request: ConsoleRequest, role: str) -> bool:
    try:
        asked = messages.SelectRoleRequest(role=messages.RoleEntity(name=role))
        return bool((await request.client.call(asked, messages.SelectRoleResponse)).results)
    except RequestRefused:
        return False


def _columns(groups: Iterable[Group], kind: str) -> list[Column]:
    """Return the columns: privilege groups, or the privileges of one level."""
    if kind in tuple(Level):
        return [Column(name, each.level) for name, each in PRIVILEGES.items() if each.level == kind]
    named = {**BUILT_IN_GROUPS, **{group.name: group.privileges for group in groups}}
    return [Column(name, group_level(members), members) for name, members in named.items()]


async def _held(request: ConsoleRequest, role: str) -> set[GrantKey]:
    entity = messages.GrantEntity(role=messages.RoleEntity(name=role), db_name=ANY)
    found = await request.client.call(messages.SelectGrantRequest(entity=entity), messages.SelectGrantResponse)
    return set(map(key_of, found.entities))


async def _scopes(
    request: ConsoleRequest, database: str, held: Iterable[GrantKey], contains: str
) -> list[tuple[str, str]]:
    """Return the scopes, those of all databases and of the whole database first; the others as they are searched."""
    named = {key.object_name for key in held if key.db_name == database and key.object_name != ANY}
    collections = sorted({*(await collection_names(request, database)), *named})
    wide = [] if contains else [(ANY, ANY), (database, ANY)]
    return [*wide, *((database, name) for name in collections if matches(contains, name))]


def _row(scope: tuple[str, str], columns: Sequence[Column], held: set[GrantKey], coverage: Coverage) -> Row:
    names = {key.privilege for key in held if (key.db_name, key.object_name) == scope}
    cells = []
    for column in columns:
        fits, there = _fits(scope, column.level), column.name in names
        covered = coverage.of(_key(scope, column.name)) if fits or there else ()
        cells.append(Cell(_SEPARATOR.join((*scope, column.name)), column.name, there, fits, covered))
    others = names - {column.name for column in columns}
    elsewhere = {PRIVILEGES[name].level.value if name in PRIVILEGES else _KINDS for name in others}
    return Row(*scope, cells, len(others), sorted(elsewhere))


def _key(scope: tuple[str, str], name: str) -> GrantKey:
    """Return the grant of a cell, as it would be stored."""
    kind = PRIVILEGES[name].object_type if name in PRIVILEGES else ObjectType.GLOBAL
    return GrantKey(kind, *scope, name)


def _fits(scope: tuple[str, str], level: Level | None) -> bool:
    """Return whether to show a checkbox for a privilege on a scope. The gateway decides what can be granted."""
    if level is Level.CLUSTER:
        return scope == (ANY, ANY)
    return level is not Level.DATABASE or scope[1] == ANY


async def preview(request: ConsoleRequest) -> Response:
    """Show what the selected checkboxes change; with `apply`, make the change."""
    role, apply = request.form_text("role"), bool(request.form_text("apply"))
    given, taken = _wanted(request, apply=apply)
    back = {"role": role, **{name: request.form_text(name) for name in ("database", "columns", "q", "page")}}
    back = {name: value for name, value in back.items() if value}
    if not (given or taken):
        return request.redirect("/console/matrix", done="matrix_same", **back)
    values: dict[str, Any] = {"role": role, "back": back, "give": given, "take": taken}
    change = GrantChange(role_name=role, grant=_named(given), revoke=_named(taken), dry_run=not apply)
    try:
        changed = await request.client.invoke("ChangeGrants", change, GrantsChanged)
        if apply:
            return request.redirect("/console/matrix", done="matrix", **back)
        values["warned"] = await _giving_roles(request, (each.privilege for each in changed.granted))
    except RequestRefused as error:
        reason = {"": request.reason(error.details)}
        return request.page_with_errors("preview.html", reason, change=None, warned=(), **values)
    return request.page("preview.html", change=changed, **values)


def _wanted(request: ConsoleRequest, *, apply: bool) -> tuple[list[str], list[str]]:
    """Return the cells to grant and those to revoke."""
    if apply:
        return request.form_values("give"), request.form_values("take")
    had, ticked = set(request.form_values("had")), set(request.form_values("grant"))
    return sorted(ticked - had), sorted(had - ticked)


async def _giving_roles(request: ConsoleRequest, granted: Iterable[str]) -> list[str]:
    """Return which of some privileges and groups let their holders give roles and privileges to themselves."""
    members: Mapping[str, Sequence[str]] = {
        **BUILT_IN_GROUPS,
        **{group.name: group.privileges for group in await all_groups(request)},
    }
    return sorted({name for name in granted if _GIVES_ROLES in (name, *members.get(name, ()))})


def _named(values: Iterable[str]) -> list[GrantNamed]:
    parts = [value.split(_SEPARATOR) for value in values]
    return [
        GrantNamed(db_name=database, collection_name=collection, privilege=privilege)
        for database, collection, privilege in (part for part in parts if len(part) == 3)  # noqa: PLR2004  as made above
    ]


async def _to_matrix(request: ConsoleRequest) -> Response:
    return request.redirect(path_below("matrix"))


PAGES: Final = (Page("matrix", matrix), Page("matrix/preview", _to_matrix, preview))
