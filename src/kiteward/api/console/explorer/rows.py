"""The rows of a collection: filtered, in pages, sorted, and as another user sees them; deleting those selected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.asked import PAGE_SIZES, Asked, asked_of, sortable
from kiteward.api.console.explorer.cells import Cell, brief, columns, values_of
from kiteward.api.console.explorer.place import Place, open_place
from kiteward.api.console.explorer.reading import MOST_SORTED, read
from kiteward.api.console.explorer.schema import count_rows, partition_names
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.errors import CollectionNotFound, RequestRefused, ResponseFailed
from kiteward.iam.json_api.row_preview import PreviewedRows, PreviewRequest

_TEMPLATE: Final = "explorer/rows.html"
_NOT_LOADED: Final = 101
"""Milvus' code for a collection that is not loaded."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table: the text of its primary key, its cells, and as of `view_as` how it is seen, or None."""

    key: str
    cells: Sequence[Cell]
    seen: Any = None


async def rows(request: ConsoleRequest) -> Response:
    """Show a page of the rows of a collection."""
    place = await open_place(request, "Query")
    asked = asked_of(request, place)
    values: dict[str, Any] = {
        **place.values(),
        "asked": asked,
        "sizes": PAGE_SIZES,
        "sortable": sortable(place),
        "most_sorted": MOST_SORTED,
        "every_column": columns(place.shape),
        "partitions": await partition_names(request, place),
        "lines": (),
        "found": None,
        "counted": None,
        "preview": None,
        "previews": place.holds("ManageRLS"),
        "unloaded": False,
    }
    try:
        found = await read(request, place, asked)
    except CollectionNotFound:
        raise
    except RequestRefused as error:
        errors = refusal(request, error, "filter" if asked.filter else "")
        return request.page_with_errors(_TEMPLATE, errors, **{**values, "unloaded": unloaded(error)})
    if request.query_value("count"):
        partitions = [asked.partition] if asked.partition else []
        values["counted"] = await count_rows(request, place, asked.filter, partitions)
    try:
        preview = await _preview(request, place, asked, found.rows)
    except RequestRefused as error:
        return request.page_with_errors(_TEMPLATE, {"view_as": request.reason(error.details)}, **values)
    values |= {"found": found, "lines": _lines(request, place, asked, found.rows, preview), "preview": preview}
    return request.page(_TEMPLATE, **values)


def refusal(request: ConsoleRequest, error: RequestRefused, field: str) -> dict[str, Reason]:
    """Return why rows cannot be read, by the field of the form that it concerns.

    Args:
        request: the request.
        error: the refusal.
        field: the field that is most likely at fault if the collection is loaded, or empty.
    """
    if unloaded(error):
        return {"": request.complaint("explorer.load_first")}
    reason = request.reason(error.details)
    if field == "filter" and reason.quoted:
        reason = Reason(request.text("explorer.filter_refused"), reason.quoted)
    return {field: reason}


def unloaded(error: RequestRefused) -> bool:
    """Return whether a refusal says that the collection is not loaded."""
    return isinstance(error, ResponseFailed) and error.status == _NOT_LOADED


async def _preview(
    request: ConsoleRequest, place: Place, asked: Asked, found: Sequence[Mapping[str, Any]]
) -> PreviewedRows | None:
    """Return how the user to view as sees the rows; None without one. Raises as `GatewayClient.invoke`."""
    key = place.shape.primary
    if not asked.view_as or key is None:
        return None
    question = PreviewRequest(
        db_name=place.database,
        collection_name=place.name,
        user_name=asked.view_as,
        action="Query",
        primary_keys=[row[key.name] for row in found],
    )
    return await request.client.invoke("PreviewRows", question, PreviewedRows)


def _lines(
    request: ConsoleRequest,
    place: Place,
    asked: Asked,
    found: Sequence[Mapping[str, Any]],
    preview: PreviewedRows | None,
) -> list[Line]:
    key = place.shape.primary
    seen = preview.keys if preview is not None else [None] * len(found)
    return [
        Line(str(row[key.name]) if key else "", line_cells(request, place, row, asked.columns), reached)
        for row, reached in zip(found, seen, strict=True)
    ]


def line_cells(request: ConsoleRequest, place: Place, row: Mapping[str, Any], names: Sequence[str]) -> list[Cell]:
    """Return the cells of a row."""
    shape = place.shape
    values = values_of(row, names, shape)
    return [brief(request, value, shape.fields.get(name)) for name, value in zip(names, values, strict=True)]


PAGES: Final = (Page("collections/{database}/{name}/rows", rows),)
