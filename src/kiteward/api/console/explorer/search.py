"""Vector search: the rows nearest to a pasted vector, to a text, or to the vector of a stored row."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as field_of_class
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.asked import chosen_columns
from kiteward.api.console.explorer.cells import as_text, columns, usual_columns
from kiteward.api.console.explorer.offer import offer_of
from kiteward.api.console.explorer.one_row import stored_row
from kiteward.api.console.explorer.place import Place, open_place, require
from kiteward.api.console.explorer.rows import Line, line_cells, refusal, unloaded
from kiteward.api.console.explorer.schema import IndexRow, indexes_of, partition_names
from kiteward.api.console.explorer.search_parameters import (
    DISTANCES,
    OF_INDEX,
    RADIUS,
    RANGE_FILTER,
    Unfit,
    offered,
    score_range,
    together,
    tuning,
)
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.errors import CollectionNotFound, InvalidArgument, NotFound, RequestRefused
from kiteward.milvus import builders, json_codec, json_rows, messages
from kiteward.milvus.collection_fields import DataType, Field
from kiteward.milvus.messages import common_pb2

MOST_HITS: Final = 200
_USUAL_HITS: Final = 10
_TEMPLATE: Final = "explorer/search.html"
_SIMILARITIES: Final = ("COSINE", "IP")
"""The metrics by which a larger number is nearer."""

_SCORE: Final = "distance"


_NAMES: Final = frozenset(each.name for parameters in OF_INDEX.values() for each in parameters)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search is asked for, as the form has it.

    Attributes:
        field: the vector field.
        vector: the vector or the text.
        columns: the columns of the hits.
        like: the primary key of the stored row whose vector is searched with, or empty.
        metric: a metric, or empty for that of the index.
        filter: an expression of Milvus, or empty.
        limit: how many hits, as text.
        partition: the only partition to search, or empty.
        bounds: the range of scores, by the name of the parameter, as text.
        parameters: parameters of the index by name, as text; empty for the usual value.
    """

    field: str
    vector: str
    columns: Sequence[str]
    like: str = ""
    metric: str = ""
    filter: str = ""
    limit: str = str(_USUAL_HITS)
    partition: str = ""
    bounds: Mapping[str, str] = field_of_class(default_factory=dict)
    parameters: Mapping[str, str] = field_of_class(default_factory=dict)


async def search_form(request: ConsoleRequest) -> Response:
    """Show the form; with `like`, the primary key of a row, also the rows nearest to that one."""
    place = await open_place(request, "Search")
    field = request.query_value("field") or next((each.name for each in place.shape.vectors), "")
    wanted = Wanted(field, "", usual_columns(place.shape), like=request.query_value("like"))
    indexes = await indexes_of(request, place)
    if wanted.like:
        return await _found(request, place, wanted, indexes)
    return request.page(_TEMPLATE, **await _values(request, place, wanted, indexes))


async def search(request: ConsoleRequest) -> Response:
    """Show the rows nearest to the vector in the form."""
    place = await open_place(request, "Search")
    given = request.form_text
    wanted = Wanted(
        given("field"),
        given("vector"),
        chosen_columns(request.form_values("column"), place),
        like=request.form_raw("like"),
        metric=given("metric"),
        filter=given("filter"),
        limit=given("limit"),
        partition=given("partition"),
        bounds={name: given(name) for name in (RADIUS, RANGE_FILTER)},
        parameters={name: given(name) for name in _NAMES},
    )
    return await _found(request, place, wanted, await indexes_of(request, place))


async def _values(
    request: ConsoleRequest, place: Place, wanted: Wanted, indexes: Mapping[str, IndexRow]
) -> dict[str, Any]:
    """Return the variables of the template, without hits."""
    return {
        **place.values(),
        "wanted": wanted,
        "vector_fields": place.shape.vectors,
        "indexes": indexes,
        "metrics": _metrics(request, place, indexes),
        "offered": offered({each.name: indexes[each.name] for each in place.shape.vectors if each.name in indexes}),
        "every_column": columns(place.shape),
        "partitions": await partition_names(request, place),
        "most": MOST_HITS,
        "hits": None,
        "metric": "",
        "unloaded": False,
    }


def _metrics(request: ConsoleRequest, place: Place, indexes: Mapping[str, IndexRow]) -> list[str]:
    """Return the metrics to choose from: engines refuse all but that of the index that is searched."""
    offer = offer_of(embedded=request.embedded_engine)
    of_fields = [
        (indexes[field.name].metric,)
        if field.name in indexes and indexes[field.name].metric
        else offer.metrics_of(field)
        for field in place.shape.vectors
    ]
    return list(dict.fromkeys(metric for metrics in of_fields for metric in metrics))


async def _found(request: ConsoleRequest, place: Place, wanted: Wanted, indexes: Mapping[str, IndexRow]) -> Response:
    """Return the page with the hits, or with what is wrong with the form."""
    values = await _values(request, place, wanted, indexes)
    try:
        field = _field(request, place, wanted)
        index = indexes.get(field.name)
        metric = wanted.metric or (index.metric if index else "")
        if wanted.like:
            wanted = replace(wanted, vector=await _vector_of_row(request, place, wanted.like, field))
            values["wanted"] = wanted
        found = await _searched(request, place, wanted, field=field, index=index, metric=metric)
    except Unfit as unfit:
        return request.page_with_errors(_TEMPLATE, unfit.errors, **values)
    except CollectionNotFound:
        raise
    except RequestRefused as error:
        suspect = "filter" if wanted.filter else ""
        if wanted.metric and index and wanted.metric != index.metric:
            suspect = "metric"
        values["unloaded"] = unloaded(error)
        return request.page_with_errors(_TEMPLATE, refusal(request, error, suspect), **values)
    values |= {"hits": await _hits(request, place, wanted, found), "metric": metric, "nearer": _nearer(metric)}
    return request.page(_TEMPLATE, **values)


async def _searched(
    request: ConsoleRequest, place: Place, wanted: Wanted, *, field: Field, index: IndexRow | None, metric: str
) -> messages.SearchResults:
    """Return what the engine finds.

    Raises:
        Unfit: fields of the form cannot be searched with.
        KitewardError: as `GatewayClient.call`.
    """
    limit, vector, parameters = together(
        partial(_limit, request, wanted),
        partial(_vector, request, field, wanted.vector),
        partial(_parameters, request, wanted, index, metric),
    )
    message = await asyncio.to_thread(
        builders.search,
        collection=place.name,
        field=field.name,
        field_type=field.kind,
        limit=limit,
        vectors=[vector],
        expression=wanted.filter,
        output_fields=wanted.columns,
        partitions=[wanted.partition] if wanted.partition else (),
        parameters=parameters,
        consistency=common_pb2.ConsistencyLevel.Strong,
    )
    message.db_name = place.database
    return await request.client.call(message, messages.SearchResults)


def _parameters(request: ConsoleRequest, wanted: Wanted, index: IndexRow | None, metric: str) -> dict[str, Any]:
    """Return the parameters of the request. Raises `Unfit`."""
    tuned, bounded = together(
        partial(tuning, request, wanted.parameters, index), partial(score_range, request, wanted.bounds, metric)
    )
    return {**({"metric_type": wanted.metric} if wanted.metric else {}), "params": {**tuned, **bounded}}


async def _vector_of_row(request: ConsoleRequest, place: Place, key: str, field: Field) -> str:
    """Return the vector of a stored row as text.

    Raises:
        Unfit: there is no such row, or none that the user may see, or it has no vector.
        AccessDenied: the user may not read rows.
        KitewardError: as `GatewayClient.call`.
    """
    if not place.may("Query"):
        await require(request, "Query", database=place.database, collection=place.name)
    if field.text:
        raise Unfit("like", request.complaint("explorer.text_needed"))
    try:
        row = await stored_row(request, place, key, field.name)
    except NotFound as error:
        raise Unfit("like", request.reason(error.details)) from None
    if not row.get(field.name):
        raise Unfit("like", request.complaint("explorer.no_vector"))
    return as_text(row[field.name], field)


def _nearer(metric: str) -> str:
    """Return the key of the text about scores of a metric. Engines give those of BM25 different signs."""
    if metric in DISTANCES:
        return "explorer.smaller_is_nearer"
    return "explorer.larger_is_nearer" if metric in _SIMILARITIES else "explorer.nearest_first"


async def _hits(
    request: ConsoleRequest, place: Place, wanted: Wanted, found: messages.SearchResults
) -> list[tuple[float, Line]]:
    """Return the hits in their order, each with its score."""
    key = place.shape.primary
    name = key.name if key else "id"
    rows: Sequence[Mapping[str, Any]] = await asyncio.to_thread(json_rows.hits, found, key=name, allow_int64=True)
    scores = json_rows.shortest(found.results.scores)
    return [
        (score, Line(str(row.get(name, "")), line_cells(request, place, _without_score(row, place), wanted.columns)))
        for row, score in zip(rows, scores, strict=False)
    ]


def _without_score(row: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    return row if _SCORE in place.shape.fields else {name: value for name, value in row.items() if name != _SCORE}


def _field(request: ConsoleRequest, place: Place, wanted: Wanted) -> Field:
    for field in place.shape.vectors:
        if field.name == wanted.field:
            return field
    raise Unfit("field", request.complaint("explorer.choose_field"))


def _limit(request: ConsoleRequest, wanted: Wanted) -> int:
    text = wanted.limit
    if text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MOST_HITS:
        return int(text)
    raise Unfit("limit", Reason(request.text("explorer.limit", most=MOST_HITS)))


def _vector(request: ConsoleRequest, field: Field, given: str) -> Any:
    """Return the vector or text of the form in the form that the builders take."""
    if not given:
        raise Unfit("vector", request.complaint("field.needed"))
    if field.text:
        return given
    try:
        value = json.loads(given) if given[:1] in "[{" else given.strip('"')
        (vector,) = json_codec.vectors([value], field)
    except (InvalidArgument, ValueError, RecursionError):
        raise Unfit("vector", _unfit_vector(request, field, given)) from None
    return vector


def _unfit_vector(request: ConsoleRequest, field: Field, given: str) -> Reason:
    """Return what is wrong with a vector: how many numbers it has if that is it, else what is expected."""
    try:
        value = json.loads(given)
    except (ValueError, RecursionError):
        value = None
    expected = _expected(request, field)
    if isinstance(value, list) and len(value) != _length(field) and field.kind != DataType.SparseFloatVector:
        return Reason(request.text("explorer.vector_length", field=field.name, expected=expected, got=len(value)))
    return Reason(request.text("explorer.vector_invalid", field=field.name, expected=expected))


def _length(field: Field) -> int:
    return field.dimension // 8 if field.kind == DataType.BinaryVector else field.dimension


def _expected(request: ConsoleRequest, field: Field) -> str:
    text = request.text
    match field.kind:
        case DataType.SparseFloatVector:
            return text("explorer.expects_sparse")
        case DataType.BinaryVector:
            return text("explorer.expects_bytes", count=_length(field), lowest=0, highest=255)
        case DataType.Int8Vector:
            return text("explorer.expects_bytes", count=_length(field), lowest=-128, highest=127)
        case _:
            return text("explorer.expects_numbers", count=_length(field))


PAGES: Final = (Page("collections/{database}/{name}/search", search_form, search),)
