"""One row of a collection in full, and deleting it."""

from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.cells import DYNAMIC_COLUMN, columns, in_full, values_of
from kiteward.api.console.explorer.place import Place, open_place
from kiteward.api.console.explorer.rows import query
from kiteward.api.console.forms import Form, show
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import NotFound, RequestRefused
from kiteward.milvus import json_codec, messages
from kiteward.milvus.messages import common_pb2


def key_filter(place: Place, given: str) -> str:
    """Return the filter of the row with a primary key.

    Args:
        place: the collection.
        given: the key as text.

    Raises:
        NotFound: the text is no primary key of the collection.
    """
    key = place.shape.primary
    if key is None:
        raise _missing(given)
    try:
        return json_codec.among(key, json_codec.primary_keys(given, key))
    except RequestRefused:
        raise _missing(given) from None


async def stored_row(request: ConsoleRequest, place: Place, key: str, *fields: str) -> dict[str, Any]:
    """Return the row with a primary key.

    Args:
        request: the request.
        place: the collection.
        key: the primary key as text.
        fields: the fields to read, none for all.

    Raises:
        NotFound: there is none, or none that the user may see.
        KitewardError: as `GatewayClient.call`.
    """
    found = await query(request, place, key_filter(place, key), output_fields=fields or ("*",), limit=1)
    if not found:
        raise _missing(key)
    return found[0]


def _missing(key: str) -> NotFound:
    return NotFound(f"no such row: {key[:100]}", ErrorDetail(ErrorCode.ROW_NOT_FOUND), field="key")


async def row(request: ConsoleRequest) -> Response:
    """Show one row in full."""
    place = await open_place(request, "Query")
    given = request.query_value("key")
    found = await stored_row(request, place, given)
    shape = place.shape
    names = columns(shape)
    shown = [
        (name, shape.fields.get(name), in_full(request, value, shape.fields.get(name)))
        for name, value in zip(names, values_of(found, names, shape), strict=True)
        if name in found or name == DYNAMIC_COLUMN
    ]
    similar = {
        field.name for field in shape.vectors if not field.text and found.get(field.name) and place.may("Search")
    }
    return request.page("explorer/row.html", **place.values(), key=given, shown=shown, similar=similar)


async def delete_form(request: ConsoleRequest) -> Response:
    """Ask whether to delete one row."""
    return show(request, _deleting(request, await open_place(request, "Delete")))


async def delete(request: ConsoleRequest) -> Response:
    """Delete one row."""
    place = await open_place(request, "Delete")
    asked = messages.DeleteRequest(
        db_name=place.database,
        collection_name=place.name,
        expr=key_filter(place, request.query_value("key")),
        consistency_level=common_pb2.ConsistencyLevel.Strong,
    )
    try:
        await request.client.call(asked, messages.MutationResult)
    except RequestRefused as error:
        return show(request, _deleting(request, place), {"": request.reason(error.details)})
    return request.redirect(f"{place.path}/rows", done="explorer_delete")


def _deleting(request: ConsoleRequest, place: Place) -> Form:
    text, key = request.text, request.query_value("key")
    return Form(
        text("explorer_delete.title", key=key[:100], name=place.name),
        text("explorer_delete.button"),
        place.path,
        effects=[text("explorer_delete.effect")],
        dangerous=True,
    )


_ROW: Final = "collections/{database}/{name}/row"

PAGES: Final = (Page(_ROW, row), Page(f"{_ROW}/delete", delete_form, delete))
