"""Vector search: the rows nearest to a pasted vector, to a text, or to the vector of a stored row."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.explorer.cells import as_text, columns, usual_columns
from kiteward.api.console.explorer.one_row import stored_row
from kiteward.api.console.explorer.place import Place, open_place, require
from kiteward.api.console.explorer.rows import Line, chosen_columns, line_cells, refusal
from kiteward.api.console.explorer.schema import indexes_of, partition_names
from kiteward.api.console.request import ConsoleRequest, Page, Reason
from kiteward.domain.errors import CollectionNotFound, InvalidArgument, RequestRefused
from kiteward.milvus import builders, json_codec, json_rows, messages
from kiteward.milvus.collection_fields import DataType, Field
from kiteward.milvus.messages import common_pb2

MOST_HITS: Final = 50
_USUAL_HITS: Final = 10
_METRICS: Final = ("COSINE", "IP", "L2", "HAMMING", "JACCARD", "BM25")
_DISTANCES: Final = ("L2", "HAMMING", "JACCARD")
"""The metrics by which a smaller number is nearer."""

_SIMILARITIES: Final = ("COSINE", "IP")
"""Those by which a larger one is."""

_SCORE: Final = "distance"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search is asked for, as the form has it.

    Attributes:
        field: the vector field.
        vector: the vector or the text.
        metric: a metric, or empty for that of the index.
        filter: an expression of Milvus, or empty.
        limit: how many hits, as text.
        partition: the only partition to search, or empty.
        columns: the columns of the hits.
    """

    field: str
    vector: str
    metric: str
    filter: str
    limit: str
    partition: str
    columns: Sequence[str]


class _Unfit(Exception):
    """A field of the form has a value that cannot be searched with; it has the name of the field and the reason."""

    def __init__(self, field: str, reason: Reason) -> None:
        super().__init__(field)
        self.field = field
        self.reason = reason


async def search_form(request: ConsoleRequest) -> Response:
    """Show the form; with `like`, the primary key of a row, also the rows nearest to that one."""
    place = await open_place(request, "Search")
    wanted = Wanted(
        request.query_value("field") or next((field.name for field in place.shape.vectors), ""),
        "",
        "",
        "",
        str(_USUAL_HITS),
        "",
        usual_columns(place.shape),
    )
    like = request.query_value("like")
    if not like:
        return request.page("explorer/search.html", **await _values(request, place, wanted))
    if not place.may("Query"):
        await require(request, "Query", database=place.database, collection=place.name)
    field = place.shape.fields.get(wanted.field)
    row = await stored_row(request, place, like, wanted.field) if field in place.shape.vectors else {}
    vector = as_text(row.get(wanted.field, ""), field)
    return await _found(request, place, replace(wanted, vector=vector))


async def search(request: ConsoleRequest) -> Response:
    """Show the rows nearest to the vector in the form."""
    place = await open_place(request, "Search")
    given = request.form_text
    wanted = Wanted(
        given("field"),
        given("vector"),
        given("metric"),
        given("filter"),
        given("limit"),
        given("partition"),
        chosen_columns(request.form_values("column"), place),
    )
    return await _found(request, place, wanted)


async def _values(request: ConsoleRequest, place: Place, wanted: Wanted) -> dict[str, Any]:
    """Return the variables of the template, without hits."""
    return {
        **place.values(),
        "wanted": wanted,
        "vector_fields": place.shape.vectors,
        "metrics": _METRICS,
        "every_column": columns(place.shape),
        "partitions": await partition_names(request, place),
        "most": MOST_HITS,
        "hits": None,
        "metric": "",
    }


async def _found(request: ConsoleRequest, place: Place, wanted: Wanted) -> Response:
    """Return the page with the hits, or with what is wrong with the form."""
    values = await _values(request, place, wanted)
    try:
        field = _field(request, place, wanted)
        message = await asyncio.to_thread(
            builders.search,
            collection=place.name,
            field=field.name,
            field_type=field.kind,
            limit=_limit(request, wanted),
            vectors=[_vector(request, field, wanted.vector)],
            expression=wanted.filter,
            output_fields=wanted.columns,
            partitions=[wanted.partition] if wanted.partition else (),
            parameters={**({"metric_type": wanted.metric} if wanted.metric else {}), "params": {}},
            consistency=common_pb2.ConsistencyLevel.Strong,
        )
        message.db_name = place.database
        found = await request.client.call(message, messages.SearchResults)
    except _Unfit as unfit:
        return request.page_with_errors("explorer/search.html", {unfit.field: unfit.reason}, **values)
    except CollectionNotFound:
        raise
    except RequestRefused as error:
        errors = refusal(request, error, filtered=wanted.filter)
        return request.page_with_errors("explorer/search.html", errors, **values)
    metric = wanted.metric or await _metric(request, place, field)
    values |= {"hits": await _hits(request, place, wanted, found), "metric": metric, "nearer": _nearer(metric)}
    return request.page("explorer/search.html", **values)


def _nearer(metric: str) -> str:
    """Return the key of the text about scores of a metric. Engines give those of BM25 different signs."""
    if metric in _DISTANCES:
        return "explorer.smaller_is_nearer"
    return "explorer.larger_is_nearer" if metric in _SIMILARITIES else "explorer.nearest_first"


async def _metric(request: ConsoleRequest, place: Place, field: Field) -> str:
    index = (await indexes_of(request, place)).get(field.name)
    return index.metric if index else ""


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
    raise _Unfit("field", request.complaint("explorer.choose_field"))


def _limit(request: ConsoleRequest, wanted: Wanted) -> int:
    text = wanted.limit
    if text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MOST_HITS:
        return int(text)
    raise _Unfit("limit", Reason(request.text("explorer.limit", most=MOST_HITS)))


def _vector(request: ConsoleRequest, field: Field, given: str) -> Any:
    """Return the vector or text of the form in the form that the builders take."""
    if not given:
        raise _Unfit("vector", request.complaint("field.needed"))
    if field.text:
        return given
    try:
        value = json.loads(given) if given[:1] in "[{" else given.strip('"')
        (vector,) = json_codec.vectors([value], field)
    except (InvalidArgument, ValueError, RecursionError):
        raise _Unfit("vector", _unfit_vector(request, field, given)) from None
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
