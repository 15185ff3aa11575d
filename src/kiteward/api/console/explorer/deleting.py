"""Deleting rows: one, from its page, or those that are selected in a table. A page asks before, and says how many."""

import json
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.cells import brief
from kiteward.api.console.explorer.one_row import PATH, keys_filter
from kiteward.api.console.explorer.place import Place, open_place
from kiteward.api.console.explorer.reading import query
from kiteward.api.console.forms import Form, show
from kiteward.api.console.many import address_before
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.errors import RequestRefused
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2

_TEMPLATE: Final = "explorer/delete_rows.html"


async def delete_form(request: ConsoleRequest) -> Response:
    """Ask whether to delete one row."""
    return show(request, _one(request, await open_place(request, "Delete")))


async def delete(request: ConsoleRequest) -> Response:
    """Delete one row."""
    place = await open_place(request, "Delete")
    refused = await _delete(request, place, [request.query_value("key")])
    if refused is not None:
        return show(request, _one(request, place), {"": refused})
    return request.finish(f"{place.path}/rows", done="explorer_delete", removed=f"{place.path}/row")


def _one(request: ConsoleRequest, place: Place) -> Form:
    text, key = request.text, request.query_value("key")
    return Form(
        text("explorer_delete.title", key=key[:100], name=place.name),
        text("explorer_delete.button"),
        place.path,
        effects=[text("explorer_delete.effect")],
        dangerous=True,
    )


async def selected_form(request: ConsoleRequest) -> Response:
    """Lead to the rows: what was selected is not in an address."""
    place = await open_place(request, "Delete")
    return request.redirect(f"{place.path}/rows")


async def delete_selected(request: ConsoleRequest) -> Response:
    """Ask whether to delete the selected rows; with `apply`, delete them by one request."""
    place = await open_place(request, "Delete")
    back = address_before(request, [f"{place.path}/rows"])
    keys = _selected(request)
    if keys and request.form_text("apply"):
        refused = await _delete(request, place, keys)
        if refused is None:
            return request.redirect(back, done="explorer_delete_rows")
        errors = {"": refused}
    else:
        errors = {} if keys else {"": request.complaint("explorer_delete_rows.nothing")}
    values = {
        **place.values(),
        "keys": [(json.dumps(key), key, brief(request, key, place.shape.primary)) for key in keys],
        "back": back,
    }
    return request.page_with_errors(_TEMPLATE, errors, **values) if errors else request.page(_TEMPLATE, **values)


def _selected(request: ConsoleRequest) -> list[str]:
    """Return the selected primary keys as text. The form has them as JSON, because browsers change line breaks."""
    keys: dict[str, None] = {}
    for each in request.form_values("selected"):
        try:
            key: Any = json.loads(each)
        except (ValueError, RecursionError):
            key = each
        keys[key if isinstance(key, str) else each] = None
    return [*keys]


async def _delete(request: ConsoleRequest, place: Place, keys: Sequence[str]) -> Reason | None:
    """Delete rows by one request, and return why not, or why not all of them.

    Raises:
        NotFound: something is no primary key of the collection.
        KitewardError: as `GatewayClient.call`, but for refusals.
    """
    chosen = keys_filter(place, keys)
    asked = messages.DeleteRequest(
        db_name=place.database,
        collection_name=place.name,
        expr=chosen,
        consistency_level=common_pb2.ConsistencyLevel.Strong,
    )
    try:
        answer = await request.client.call(asked, messages.MutationResult)
    except RequestRefused as error:
        return request.reason(error.details)
    # Row policies leave rows out without an error: rows that one sees, and rows that one does not.
    if place.may("Query") and place.shape.primary is not None:
        kept = await query(request, place, chosen, output_fields=[place.shape.primary.name], limit=len(keys))
        if kept:
            return Reason(request.text("explorer.kept", kept=len(kept), count=len(keys)))
    if answer.delete_cnt < len(keys):
        return Reason(request.text("explorer.not_deleted", deleted=answer.delete_cnt, count=len(keys)))
    return None


PAGES: Final = (
    Page(f"{PATH}/delete", delete_form, delete),
    Page("collections/{database}/{name}/rows/delete", selected_form, delete_selected),
)
