"""The collections of one database at a time, and creating and dropping databases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.load_states import load_states
from kiteward.api.console.explorer.place import require, rights_of
from kiteward.api.console.failures import if_ready
from kiteward.api.console.forms import Field, Form, path_below, show
from kiteward.api.console.lists import Asked, Found, ListPage, in_memory
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, NotFound, ProtectedObject, RequestRefused
from kiteward.domain.naming import ANY, DEFAULT_DATABASE
from kiteward.iam.json_api.overview import SizedCollection, SizedCollections, SizesWanted
from kiteward.milvus import messages

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class _Listed:
    """A collection in the list; what the engine does not tell, or not to the reader, is None."""

    name: str
    created_at: datetime | None
    state: str = ""
    sized: SizedCollection | None = None


async def database_names(request: ConsoleRequest) -> list[str]:
    """Return the databases that the signed-in user may see."""
    try:
        found = await request.client.call(messages.ListDatabasesRequest(), messages.ListDatabasesResponse)
        return sorted(found.db_names)
    except AccessDenied:
        # The databases in the user's grants can be requested one by one.
        return sorted({grant.db_name for grant in request.me.grants if grant.db_name != ANY} | {DEFAULT_DATABASE})


async def collection_names(request: ConsoleRequest, database: str) -> list[str]:
    """Return the collections of a database that the signed-in user may see; none where there is no such database."""
    return [each.name for each in await _listed(request, database)]


async def _listed(request: ConsoleRequest, database: str) -> list[_Listed]:
    """Return the collections of a database, by name, without what costs further requests."""
    try:
        asked = messages.ShowCollectionsRequest(db_name=database)
        found = await request.client.call(asked, messages.ShowCollectionsResponse)
    except (AccessDenied, RequestRefused):
        return []
    names, times = list(found.collection_names), list(found.created_utc_timestamps)
    created = [_moment(time) for time in times] if len(times) == len(names) else [None] * len(names)
    return sorted(map(_Listed, names, created), key=lambda each: each.name)


async def _detailed(request: ConsoleRequest, database: str, entries: Sequence[_Listed]) -> list[_Listed]:
    """Return the entries of a page with their states and sizes: three requests, however many there are."""
    rights = await rights_of(request)
    names = [each.name for each in entries]
    states = await load_states(request, rights, database, names)
    wanted = SizesWanted(db_name=database, collection_names=names, limit=max(1, len(names)))
    found = await if_ready(request.client.invoke("ListCollectionSizes", wanted, SizedCollections)) if names else None
    sizes = {each.collection_name: each for each in found.collections} if found is not None else {}
    return [replace(each, state=states.get(each.name, ""), sized=sizes.get(each.name)) for each in entries]


def _moment(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
    except (OverflowError, ValueError, OSError):
        return None


async def _chosen(request: ConsoleRequest, databases: Sequence[str]) -> str:
    """Return the database whose collections are listed.

    Raises:
        NotFound: the user may not see it.
    """
    database = request.query_value("database")
    if not database:  # who may see no database gets an empty list
        return DEFAULT_DATABASE if DEFAULT_DATABASE in databases or not databases else databases[0]
    if database not in databases:
        raise _missing(database)
    return database


async def _read(request: ConsoleRequest, _asked: Asked, arguments: Mapping[str, Any]) -> Found:
    database = await _chosen(request, await database_names(request))
    found = in_memory(await _listed(request, database), arguments, _COLUMNS)
    return Found(await _detailed(request, database, found.entries), found.total)


async def _values(request: ConsoleRequest) -> Mapping[str, Any]:
    databases = await database_names(request)
    database, rights = await _chosen(request, databases), await rights_of(request)
    return {
        "databases": databases,
        "database": database,
        "creates": rights.may("CreateCollection", database),
        "creates_databases": rights.may("CreateDatabase", database),
        "drops": rights.may("DropDatabase", database) and database != DEFAULT_DATABASE,
    }


_COLUMNS: Final[Mapping[str, Callable[[_Listed], Any]]] = {
    "collectionName": lambda each: each.name,
    "createdAt": lambda each: each.created_at or _EPOCH,
}
_CELLS: Final[Mapping[str, Callable[[_Listed], object]]] = {
    "collectionName": lambda each: each.name,
    "description": lambda each: each.sized and each.sized.description,
    "loadState": lambda each: each.state,
    "rows": lambda each: each.sized and each.sized.rows,
    "protected": lambda each: each.sized and each.sized.protected,
    "createdAt": lambda each: each.created_at,
}

_LIST: Final = ListPage("collections", "explorer/collections.html", _read, _CELLS, ("database",), _values)


def _missing(database: str) -> NotFound:
    return NotFound(f"database not found: {database}", ErrorDetail(ErrorCode.DATABASE_NOT_FOUND, {"name": database}))


async def create_form(request: ConsoleRequest) -> Response:
    """Show the form for a new database."""
    await require(request, "CreateDatabase", database=DEFAULT_DATABASE)
    return show(request, _creating(request))


async def create(request: ConsoleRequest) -> Response:
    """Create a database."""
    name = request.form_text("database_name")
    if not name:
        return show(request, _creating(request), {"database_name": request.complaint("field.needed")})
    try:
        await request.client.call(messages.CreateDatabaseRequest(db_name=name))
    except RequestRefused as error:
        return show(request, _creating(request), {"database_name": request.reason(error.details)})
    return request.redirect(path_below("collections"), done="explorer_new_database", database=name)


def _creating(request: ConsoleRequest) -> Form:
    return Form(
        request.text("explorer_new_database.title"),
        request.text("explorer_new_database.button"),
        path_below("collections"),
        [Field("database_name", required=True)],
    )


async def drop_form(request: ConsoleRequest) -> Response:
    """Ask whether to drop a database."""
    await _require_droppable(request)
    return show(request, _dropping(request))


async def drop(request: ConsoleRequest) -> Response:
    """Drop a database."""
    await _require_droppable(request)
    name = request.names["database"]
    if request.form_text("typed_name") != name:
        return show(request, _dropping(request), {"typed_name": request.complaint("typed_name.differs")})
    try:
        await request.client.call(messages.DropDatabaseRequest(db_name=name))
    except RequestRefused as error:
        return show(request, _dropping(request), {"": request.reason(error.details)})
    return request.redirect(path_below("collections"), done="explorer_drop_database")


async def _require_droppable(request: ConsoleRequest) -> None:
    """Require that the database in the path is there, and that the user may drop it."""
    name = request.names["database"]
    if name not in await database_names(request):
        raise _missing(name)
    await require(request, "DropDatabase", database=name)
    if name == DEFAULT_DATABASE:
        raise ProtectedObject(
            f"the database {name} cannot be dropped", ErrorDetail(ErrorCode.DEFAULT_DATABASE_KEPT, {"name": name})
        )


def _dropping(request: ConsoleRequest) -> Form:
    text, name = request.text, request.names["database"]
    return Form(
        text("explorer_drop_database.title", name=name),
        text("explorer_drop_database.button"),
        path_below("collections"),
        effects=[text("explorer_drop_database.effect")],
        dangerous=True,
        typed=name,
    )


PAGES: Final = (
    *_LIST.pages(),
    Page("new-database", create_form, create),
    Page("databases/{database}/drop", drop_form, drop),
)
