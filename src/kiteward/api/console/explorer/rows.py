"""The rows of a collection: filtered, in pages by primary key, sorted within the page, and as another user sees them.

Engines have no order but that of the primary key. A page is what follows the last key of the one before it, which takes
no longer however far one has come.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from kiteward.api.console.explorer.cells import Cell, brief, columns, ranked, usual_columns, values_of
from kiteward.api.console.explorer.place import Place, open_place
from kiteward.api.console.explorer.schema import count_rows, partition_names
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.errors import CollectionNotFound, RequestRefused, ResponseFailed
from kiteward.iam.json_api.row_preview import PreviewedRows, PreviewRequest
from kiteward.milvus import builders, json_codec, json_rows, messages
from kiteward.milvus.messages import common_pb2

PAGE: Final = 50
"""Most rows on one page."""

_DESCENDING: Final = "desc"
_NOT_LOADED: Final = 101
"""Milvus' code for a collection that is not loaded."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page of rows shows.

    Attributes:
        filter: an expression of Milvus, or empty.
        columns: the columns, the primary key first.
        partition: the only partition to read, or empty.
        after: the primary key that the page before ended with, or None for the first page.
        sort: the column that the page is sorted by, or empty for the primary key.
        descending: whether it is sorted in descending order.
        view_as: the user for whom each row is marked as visible or hidden, or empty.
    """

    filter: str
    columns: Sequence[str]
    partition: str
    after: str | None
    sort: str
    descending: bool
    view_as: str

    def query(self, **changed: Any) -> str:
        """Return the query string of the same page with something changed."""
        asked = replace(self, **changed)
        pairs = [("filter", asked.filter), ("partition", asked.partition), ("view_as", asked.view_as)]
        pairs += [("sort", asked.sort), ("order", _DESCENDING if asked.descending else "")]
        pairs = [pair for pair in pairs if pair[1]] + [("column", name) for name in asked.columns]
        if asked.after is not None:
            pairs.append(("after", asked.after))
        return urlencode(pairs)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table: the text of its primary key, its cells, and as of `view_as` how it is seen, or None."""

    key: str
    cells: Sequence[Cell]
    seen: Any = None


async def rows(request: ConsoleRequest) -> Response:
    """Show a page of the rows of a collection."""
    place = await open_place(request, "Query")
    asked = _asked(request, place)
    values: dict[str, Any] = {
        **place.values(),
        "asked": asked,
        "every_column": columns(place.shape),
        "partitions": await partition_names(request, place),
        "lines": (),
        "next": None,
        "counted": None,
        "preview": None,
        "previews": place.holds("ManageRLS"),
    }
    try:
        found = await _page_of(request, place, asked)
    except CollectionNotFound:
        raise
    except RequestRefused as error:
        return request.page_with_errors("explorer/rows.html", refusal(request, error, filtered=asked.filter), **values)
    if request.query_value("count"):
        partitions = [asked.partition] if asked.partition else []
        values["counted"] = await count_rows(request, place, asked.filter, partitions)
    try:
        preview = await _preview(request, place, asked, found)
    except RequestRefused as error:
        return request.page_with_errors("explorer/rows.html", {"view_as": request.reason(error.details)}, **values)
    lines = _lines(request, place, asked, found[:PAGE], preview)
    key = place.shape.primary
    if len(found) > PAGE and key is not None:
        values["next"] = str(found[PAGE - 1][key.name])
    return request.page("explorer/rows.html", **{**values, "lines": lines, "preview": preview})


def refusal(request: ConsoleRequest, error: RequestRefused, *, filtered: str) -> dict[str, Reason]:
    """Return why rows cannot be read, by the field of the form that it concerns.

    Args:
        request: the request.
        error: the refusal.
        filtered: the filter, which is at fault if there is one and the collection is loaded.
    """
    if isinstance(error, ResponseFailed) and error.status == _NOT_LOADED:
        return {"": request.complaint("explorer.load_first")}
    return {"filter" if filtered else "": request.reason(error.details)}


def _asked(request: ConsoleRequest, place: Place) -> Asked:
    parameters = request.http_request.query_params
    every = columns(place.shape)
    chosen = chosen_columns(parameters.getlist("column"), place)
    sort = request.query_value("sort")
    return Asked(
        filter=request.query_value("filter").strip(),
        columns=chosen,
        partition=request.query_value("partition"),
        after=request.query_value("after") if "after" in parameters else None,
        sort=sort if sort in every else "",
        descending=request.query_value("order") == _DESCENDING,
        view_as=request.query_value("view_as").strip(),
    )


def chosen_columns(names: Sequence[str], place: Place) -> list[str]:
    """Return the chosen columns of a table in their order, the primary key among them; the usual ones for none."""
    chosen = {*names}
    key = place.shape.primary
    found = [name for name in columns(place.shape) if name in chosen]
    if not found:
        return usual_columns(place.shape)
    return found if key is None or key.name in chosen else [key.name, *found]


async def _page_of(request: ConsoleRequest, place: Place, asked: Asked) -> list[dict[str, Any]]:
    """Return the rows of a page and one more, if there is one.

    Raises:
        RequestRefused: the filter is not valid, or the engine refuses.
        KitewardError: as `GatewayClient.call`.
    """
    key = place.shape.primary
    expression = asked.filter
    if asked.after is not None and key is not None:
        (last,) = json_codec.primary_keys(asked.after, key)
        beyond = json_codec.beyond(key, last)
        expression = f"({expression}) and {beyond}" if expression else beyond
    return await query(
        request,
        place,
        expression,
        output_fields=asked.columns,
        partitions=[asked.partition] if asked.partition else (),
        limit=PAGE + 1,
    )


async def query(
    request: ConsoleRequest,
    place: Place,
    expression: str,
    *,
    output_fields: Sequence[str],
    limit: int,
    partitions: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return the rows that a filter matches, with the least primary keys first.

    Raises:
        KitewardError: as `GatewayClient.call`.
    """
    asked = await asyncio.to_thread(
        builders.query,
        collection=place.name,
        expression=expression,
        output_fields=output_fields,
        partitions=partitions,
        limit=limit,
        in_key_order=True,
        consistency=common_pb2.ConsistencyLevel.Strong,
    )
    asked.db_name = place.database
    found = await request.client.call(asked, messages.QueryResults)
    return await asyncio.to_thread(json_rows.query_rows, found, allow_int64=True)


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
        primary_keys=[row[key.name] for row in found[:PAGE]],
    )
    return await request.client.invoke("PreviewRows", question, PreviewedRows)


def _lines(
    request: ConsoleRequest,
    place: Place,
    asked: Asked,
    found: Sequence[Mapping[str, Any]],
    preview: PreviewedRows | None,
) -> list[Line]:
    shape, key = place.shape, place.shape.primary
    seen = preview.keys if preview is not None else [None] * len(found)
    by = asked.sort or (key.name if key else "")
    order: Sequence[int] = range(len(found))
    if asked.sort or asked.descending:
        order = ranked([values_of(row, [by], shape)[0] for row in found], descending=asked.descending)
    return [
        Line(
            str(found[position][key.name]) if key else "",
            line_cells(request, place, found[position], asked.columns),
            seen[position],
        )
        for position in order
    ]


def line_cells(request: ConsoleRequest, place: Place, row: Mapping[str, Any], names: Sequence[str]) -> list[Cell]:
    """Return the cells of a row."""
    shape = place.shape
    values = values_of(row, names, shape)
    return [brief(request, value, shape.fields.get(name)) for name, value in zip(names, values, strict=True)]


PAGES: Final = (Page("collections/{database}/{name}/rows", rows),)
