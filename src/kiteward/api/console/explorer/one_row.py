"""One row of a collection in full."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.cells import DYNAMIC_COLUMN, columns, in_full, values_of
from kiteward.api.console.explorer.place import Place, open_place
from kiteward.api.console.explorer.reading import query
from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import NotFound, RequestRefused
from kiteward.milvus import json_codec


def keys_filter(place: Place, given: Sequence[str]) -> str:
    """Return the filter of the rows with these primary keys.

    Args:
        place: the collection.
        given: the keys as text.

    Raises:
        NotFound: a text is no primary key of the collection.
    """
    key = place.shape.primary
    made = []
    for each in given:
        try:
            made += json_codec.primary_keys(each, key) if key else []
        except RequestRefused:
            raise _missing(each) from None
    if key is None or not made:
        raise _missing("")
    return json_codec.among(key, made)


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
    found = await query(request, place, keys_filter(place, [key]), output_fields=fields or ("*",), limit=1)
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


PATH: Final = "collections/{database}/{name}/row"

PAGES: Final = (Page(PATH, row),)
