"""Inserting rows that are typed as JSON."""

import asyncio
import json
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.place import Place, open_place
from kiteward.api.console.forms import Field, Form, show
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.errors import InvalidArgument, RequestRefused
from kiteward.milvus import builders, json_codec, messages
from kiteward.milvus.collection_fields import DataType
from kiteward.milvus.collection_fields import Field as CollectionField

_MOST_TYPED: Final = 16
"""The largest dimension whose numbers the example has one by one."""

_EXAMPLES: Final = {
    DataType.Bool: False,
    DataType.Float: 0.5,
    DataType.Double: 0.5,
    DataType.VarChar: "",
    DataType.Text: "",
    DataType.JSON: {},
    DataType.Array: [],
    DataType.SparseFloatVector: {"0": 0.5},
}


async def insert_form(request: ConsoleRequest) -> Response:
    """Show the form, with an example of a row."""
    return show(request, _form(request, await open_place(request, "Insert")))


async def insert(request: ConsoleRequest) -> Response:
    """Insert one row or several."""
    place = await open_place(request, "Insert")
    try:
        given = json.loads(request.form_text("data"))
    except json.JSONDecodeError as error:
        reason = request.text("explorer.json_invalid", line=error.lineno, column=error.colno)
        return show(request, _form(request, place), {"data": Reason(reason)})
    except (ValueError, RecursionError):
        return show(request, _form(request, place), {"data": request.complaint("explorer.json_too_deep")})
    try:
        message = await asyncio.to_thread(_message, place, given)
    except InvalidArgument as error:
        reason = request.text("explorer.row_invalid")
        return show(request, _form(request, place), {"data": Reason(reason, str(error))})
    try:
        await request.client.call(message, messages.MutationResult)
    except RequestRefused as error:
        return show(request, _form(request, place), {"data": request.reason(error.details)})
    return request.finish(f"{place.path}/rows", done="explorer_insert")


def _message(place: Place, given: Any) -> messages.InsertRequest:
    rows = json_codec.rows(given, place.shape)
    message = builders.insert(place.described, rows, collection=place.name)
    message.db_name = place.database
    return message


def _form(request: ConsoleRequest, place: Place) -> Form:
    text = request.text
    example = {field.name: _example(field) for field in place.shape.fields.values() if not field.generated}
    value = json.dumps(example, ensure_ascii=False, indent=2)
    return Form(
        text("explorer_insert.title", name=place.name),
        text("explorer_insert.button"),
        f"{place.path}/rows",
        [Field("data", "textarea", hint=text("explorer_insert.hint"), value=value, required=True)],
    )


def _example(field: CollectionField) -> Any:
    if field.optional:
        return None
    if field.dimension and field.dimension <= _MOST_TYPED and field.kind == DataType.FloatVector:
        return [0.5] * field.dimension
    if field.dimension:
        return []
    return _EXAMPLES.get(DataType(field.kind), 0)


PAGES: Final = (Page("collections/{database}/{name}/insert", insert_form, insert),)
