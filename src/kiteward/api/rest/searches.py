"""Searches by vectors, and hybrid searches (contract 5.3)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec

from kiteward.api.rest.consistency import consistency_level
from kiteward.api.rest.endpoints import Answer, Endpoint, RequestContext
from kiteward.api.rest.entities import MOST_ROWS, Cost, Count, ReadReq, Row
from kiteward.api.rest.rpc import describe_collection
from kiteward.api.rest.schemas import FunctionReq, function_type
from kiteward.api.rest.status import BODY_MALFORMED, FIELD_MISSING, INVALID_PARAMETER, RestFailure
from kiteward.domain.errors import InvalidArgument
from kiteward.milvus import builders, json_codec, json_rows, messages
from kiteward.milvus.collection_fields import CollectionShape, Field, shape_of

Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST_ROWS)]


class FunctionScore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Functions that compute new scores of hits."""

    functions: list[FunctionReq] = []
    params: dict[str, Any] = {}


class Ranking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How the hits of several searches are ranked together."""

    strategy: str = "rrf"
    params: dict[str, Any] = {}


class Grouped(ReadReq):
    """The parameters that both kinds of search take."""

    output_fields: list[str] = []
    limit: Limit = 100
    offset: Count = 0
    grouping_field: str = ""
    group_size: Count = 0
    strict_group_size: bool = False
    function_score: FunctionScore = FunctionScore()


class SearchReq(Grouped):
    """A search by vectors or by the primary keys of stored entities, and which fields to return."""

    data: list[Any] = []
    ids: list[Any] = []
    anns_field: str = ""
    filter: str = ""
    search_params: dict[str, Any] = {}
    params: dict[str, Any] = {}
    expr_params: dict[str, Any] = {}


class SubSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One of the searches of a hybrid search."""

    data: list[Any]
    anns_field: str = ""
    filter: str = ""
    metric_type: str = ""
    limit: Limit = 100
    offset: Count = 0
    ignore_growing: bool = False
    grouping_field: str = ""
    search_params: dict[str, Any] = {}
    params: dict[str, Any] = {}
    expr_params: dict[str, Any] = {}


class HybridSearchReq(Grouped, kw_only=True):
    """A hybrid search: several searches, and how their hits are ranked together."""

    search: list[SubSearch]
    rerank: Ranking = Ranking()


class Counts(Cost, kw_only=True):
    """The further members of a response with hits."""

    topks: list[int]


async def search(context: RequestContext, body: SearchReq) -> Answer:
    """Answer `entities/search`."""
    if bool(body.data) == bool(body.ids):
        raise RestFailure(FIELD_MISSING, "missing required parameters, error: either data or ids is needed, not both")
    described = await describe_collection(context, body.collection_name)
    shape = shape_of(described)
    field = _searched(shape, body.anns_field)
    request = await context.run_in_executor(
        builders.search,
        collection=body.collection_name,
        field=field.name,
        field_type=field.kind,
        limit=body.limit,
        vectors=_vectors(body.data, field) if body.data else None,
        ids=_keys(body.ids, shape) if body.ids else None,
        expression=body.filter,
        output_fields=body.output_fields,
        partitions=body.partition_names,
        parameters=_parameters(body.search_params, body.params),
        offset=body.offset,
        grouping=_grouping(body),
        scoring=_scoring(body.function_score),
        consistency=consistency_level(body.consistency_level),
        values=body.expr_params,
    )
    return await _hits(context, request, shape)


async def hybrid_search(context: RequestContext, body: HybridSearchReq) -> Answer:
    """Answer `entities/hybrid_search` and its older name `entities/advanced_search`."""
    described = await describe_collection(context, body.collection_name)
    shape = shape_of(described)
    requests = [await context.run_in_executor(_sub_request, each, body, shape) for each in body.search]
    request = await context.run_in_executor(
        builders.hybrid_search,
        requests,
        collection=body.collection_name,
        limit=body.limit,
        strategy=body.rerank.strategy or "rrf",
        strategy_parameters=body.rerank.params,
        output_fields=body.output_fields,
        partitions=body.partition_names,
        offset=body.offset,
        grouping=_grouping(body),
        scoring=_scoring(body.function_score),
        consistency=consistency_level(body.consistency_level),
    )
    return await _hits(context, request, shape)


def _sub_request(given: SubSearch, body: HybridSearchReq, shape: CollectionShape) -> messages.SearchRequest:
    field = _searched(shape, given.anns_field)
    parameters = _parameters(given.search_params, given.params)
    if given.metric_type:
        parameters.setdefault("metric_type", given.metric_type)
    if given.ignore_growing:
        parameters.setdefault("ignore_growing", True)
    return builders.search(
        collection=body.collection_name,
        field=field.name,
        field_type=field.kind,
        limit=given.limit,
        vectors=_vectors(given.data, field),
        expression=given.filter,
        output_fields=body.output_fields,
        partitions=body.partition_names,
        parameters=parameters,
        offset=given.offset,
        grouping={"group_by_field": given.grouping_field} if given.grouping_field else None,
        consistency=consistency_level(body.consistency_level),
        values=given.expr_params,
    )


async def _hits(context: RequestContext, request: messages.ProtocolMessage, shape: CollectionShape) -> Answer:
    response = await context.call(request, messages.SearchResults)
    key = shape.primary
    rows = await context.run_in_executor(
        json_rows.hits, response, key=key.name if key else "id", allow_int64=context.allow_int64
    )
    return Answer(rows, Counts(topks=list(response.results.topks)))


def _searched(shape: CollectionShape, name: str) -> Field:
    """Return the vector field to search: the named one, or the only one.

    Raises:
        RestFailure: there is no such field, or none is named and there are several.
    """
    fields = shape.vectors
    chosen = [field for field in fields if field.name == name] if name else fields
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(f"`{field.name}`" for field in fields) or "none"
    text = f"there is no vector field `{name}`" if name else "annsField must name the vector field to search"
    raise _malformed(f"{text}; the collection has {names}")


def _vectors(given: list[Any], field: Field) -> list[Any]:
    try:
        return json_codec.vectors(given, field)
    except InvalidArgument as error:
        raise _malformed(str(error)) from None


def _keys(given: list[Any], shape: CollectionShape) -> list[Any]:
    key = shape.primary
    try:
        return json_codec.primary_keys(given, key) if key else given
    except InvalidArgument as error:
        raise _malformed(str(error)) from None


def _malformed(text: str) -> RestFailure:
    return RestFailure(BODY_MALFORMED, f"can only accept json format request, error: {text}")


_SPELLINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "metricType": "metric_type",
        "metric_type": "metric_type",
        "ignoreGrowing": "ignore_growing",
        "ignore_growing": "ignore_growing",
        "analyzerName": "analyzer_name",
        "analyzer_name": "analyzer_name",
        "hints": "hints",
    }
)
"""Search parameters other than those of the index: the spelling of REST -> that of SDKs."""


def _parameters(outer: dict[str, Any], legacy: dict[str, Any]) -> dict[str, Any]:
    """Return search parameters in the form that the builders take.

    Args:
        outer: `searchParams`, with or without `params` inside.
        legacy: `params` of the body, which older clients use instead; it may hold either kind.

    Raises:
        RestFailure: `params` is not an object, or a parameter is given twice with different values.
    """
    made: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for given in (legacy, outer):
        nested = given.get("params", {})
        if not isinstance(nested, dict):
            raise RestFailure(INVALID_PARAMETER, "params of searchParams must be an object: invalid parameter")
        extra = ((name, value) for name, value in given.items() if name != "params")
        for name, value in (*extra, *nested.items()):
            target, key = (made, _SPELLINGS[name]) if name in _SPELLINGS else (inner, name)
            if target.setdefault(key, value) != value:
                raise RestFailure(INVALID_PARAMETER, f"ambiguous parameter: {name}: invalid parameter")
    return {**made, "params": inner}


def _grouping(body: Grouped) -> dict[str, Any]:
    if not body.grouping_field:
        return {}
    made: dict[str, Any] = {"group_by_field": body.grouping_field}
    if body.group_size:
        made |= {"group_size": body.group_size, "strict_group_size": body.strict_group_size}
    return made


def _scoring(given: FunctionScore) -> dict[str, Any]:
    if not given.functions:
        return {}
    functions = [
        {
            "name": each.name,
            "type": function_type(each),
            "description": each.description,
            "input_field_names": each.input_field_names,
            "output_field_names": each.output_field_names,
            "params": each.params,
        }
        for each in given.functions
    ]
    return {"functions": functions, "params": given.params}


ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    Endpoint(
        "entities/search",
        SearchReq,
        list[Row],
        search,
        "Search for the nearest entities.",
        extra=Counts,
        large="Search",
    ),
    Endpoint(
        "entities/hybrid_search",
        HybridSearchReq,
        list[Row],
        hybrid_search,
        "Search by several vectors and rank the hits together.",
        extra=Counts,
        large="HybridSearch",
    ),
    Endpoint(
        "entities/advanced_search",
        HybridSearchReq,
        list[Row],
        hybrid_search,
        "The older name of entities/hybrid_search.",
        extra=Counts,
        large="HybridSearch",
    ),
)
