"""Who may do what where: the privilege matrix with a preview of changes, collections, and the server's health."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from kiteward.domain.errors import AccessDenied, RequestRefused
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.domain.privileges import BUILT_IN_GROUPS, PRIVILEGES, Level, group_level
from kiteward.gateway.extensions.access import OfCollection
from kiteward.gateway.extensions.grants import GrantChange, GrantNamed
from kiteward.transports.console.forms import below, told
from kiteward.transports.console.visit import Page, Visit

_SEPARATOR: Final = "|"
_GROUPS: Final = "groups"


@dataclass(frozen=True, slots=True)
class Cell:
    """One crossing of the matrix: its value in the form, whether the role holds it, and whether it can be given."""

    value: str
    column: str
    held: bool
    fits: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One scope of the matrix with its cells, and how many grants the role has there in no column."""

    database: str
    collection: str
    cells: Sequence[Cell]
    others: int


async def matrix(visit: Visit) -> Response:
    """Show the grants of a role on the scopes of a database."""
    roles = [result.role.name for result in (await visit.talk.call("SelectRole")).results]
    role, database = visit.asked("role"), visit.asked("database") or DEFAULT_DATABASE
    columns_of = visit.asked("columns") or _GROUPS
    databases = await _databases(visit)
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
        columns = await _columns(visit, columns_of)
        held = await _held(visit, role)
        scopes = await _scopes(visit, database, held)
        values["columns"] = list(columns)
        values["rows"] = [_row(scope, columns, held) for scope in scopes]
    return visit.page("matrix.html", **values)


async def _columns(visit: Visit, kind: str) -> dict[str, Level | None]:
    """Return the columns: groups, or the single privileges of one level; each with its level."""
    if kind in tuple(Level):
        return {name: each.level for name, each in PRIVILEGES.items() if each.level == kind}
    found = (await visit.talk.call("ListPrivilegeGroups")).privilege_groups
    named = {group.group_name: [each.name for each in group.privileges] for group in found}
    return {name: group_level(members) for name, members in {**BUILT_IN_GROUPS, **named}.items()}


async def _held(visit: Visit, role: str) -> set[tuple[str, str, str]]:
    entity = {"role": {"name": role}, "db_name": ANY}
    grants = (await visit.talk.call("SelectGrant", entity=entity)).entities
    return {(each.db_name, each.object_name, each.grantor.privilege.name) for each in grants}


async def _scopes(visit: Visit, database: str, held: Iterable[tuple[str, str, str]]) -> list[tuple[str, str]]:
    named = {collection for where, collection, _ in held if where == database and collection != ANY}
    collections = {*(await _collections(visit, database)), *named}
    return [(ANY, ANY), (database, ANY), *((database, name) for name in sorted(collections))]


def _row(scope: tuple[str, str], columns: dict[str, Level | None], held: set[tuple[str, str, str]]) -> Row:
    cells = [
        Cell(_SEPARATOR.join((*scope, name)), name, (*scope, name) in held, fits=_fits(scope, level))
        for name, level in columns.items()
    ]
    others = sum(1 for where, what, name in held if (where, what) == scope and name not in columns)
    return Row(*scope, cells, others)


def _fits(scope: tuple[str, str], level: Level | None) -> bool:
    """Tell whether a box is worth showing; what may be granted is the gateway's to say."""
    if level is Level.CLUSTER:
        return scope == (ANY, ANY)
    return level is not Level.DATABASE or scope[1] == ANY


async def preview(visit: Visit) -> Response:
    """Tell what the ticked boxes change; with `apply`, change it."""
    role = visit.typed("role")
    had, ticked = set(visit.ticked("had")), set(visit.ticked("grant"))
    if visit.typed("apply"):
        given, taken = visit.ticked("give"), visit.ticked("take")
    else:
        given, taken = sorted(ticked - had), sorted(had - ticked)
    apply = bool(visit.typed("apply"))
    values: dict[str, Any] = {"role": role, "database": visit.typed("database"), "columns_of": visit.typed("columns")}
    back = {"role": role, "database": values["database"], "columns": values["columns_of"]}
    if not (given or taken):
        return visit.go("/console/matrix", done="matrix_same", **back)
    change = GrantChange(role_name=role, grant=_named(given), revoke=_named(taken), dry_run=not apply)
    try:
        told_change = await visit.talk.extend("ChangeGrants", change)
    except RequestRefused as error:
        return visit.wrong("preview.html", {"": told(visit, error)}, change=None, give=given, take=taken, **values)
    if apply:
        return visit.go("/console/matrix", done="matrix", **back)
    return visit.page("preview.html", change=told_change, give=given, take=taken, **values)


def _named(values: Iterable[str]) -> list[GrantNamed]:
    parts = [value.split(_SEPARATOR) for value in values]
    return [
        GrantNamed(db_name=database, collection_name=collection, privilege=privilege)
        for database, collection, privilege in (part for part in parts if len(part) == 3)  # noqa: PLR2004  as made above
    ]


async def _databases(visit: Visit) -> list[str]:
    """Return the databases that whoever is signed in is shown."""
    try:
        return sorted((await visit.talk.call("ListDatabases")).db_names)
    except AccessDenied:
        # Those that the user's grants name can be asked about one by one.
        return sorted({grant.db_name for grant in visit.me.grants if grant.db_name != ANY} | {DEFAULT_DATABASE})


async def _collections(visit: Visit, database: str) -> list[str]:
    try:
        return sorted((await visit.talk.call("ShowCollections", db_name=database)).collection_names)
    except (AccessDenied, RequestRefused):
        return []


async def collections(visit: Visit) -> Response:
    """List the collections that whoever is signed in is shown."""
    found = [(database, await _collections(visit, database)) for database in await _databases(visit)]
    return visit.page("collections.html", databases=[each for each in found if each[1] or visit.me.administrator])


async def collection(visit: Visit) -> Response:
    """Describe a collection, and for administrators who may touch it."""
    database, name = visit.names["database"], visit.names["name"]
    described = await visit.talk.call("DescribeCollection", db_name=database, collection_name=name)
    kinds = described.schema.DESCRIPTOR.fields_by_name["fields"].message_type.fields_by_name["data_type"].enum_type
    fields = [
        (field.name, kinds.values_by_number[field.data_type].name, field.is_primary_key, field.description)
        for field in described.schema.fields
    ]
    holders = None
    if visit.me.administrator:
        named = OfCollection(db_name=database, collection_name=name, after=visit.asked("after"))
        holders = await visit.talk.extend("ListCollectionAccess", named)
    values = {"database": database, "name": name, "description": described.schema.description}
    return visit.page("collection.html", fields=fields, holders=holders, **values)


async def health(visit: Visit) -> Response:
    """Show how the server is."""
    return visit.page("health.html", server=await visit.talk.extend("DescribeServer"))


async def _to_matrix(visit: Visit) -> Response:
    return visit.go(below("matrix"))


PAGES: Final = (
    Page("matrix", matrix),
    Page("matrix/preview", _to_matrix, preview),
    Page("collections", collections),
    Page("collections/{database}/{name}", collection),
    Page("health", health),
)
