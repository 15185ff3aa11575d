"""Requests with rows, queries and searches, built by pymilvus' own code.

A transport that takes JSON sends the engine the same messages as the SDKs do, because the same code makes them. Values
come in as pymilvus wants them; what it refuses is reported as `InvalidArgument` with its sentence. This module is the
only one that knows those builders, which carry no promise of stability.

The first request that is built imports pymilvus, and with it pandas, NumPy and gRPC: 110 MiB, and half a second. All
functions of this module are therefore called in an executor.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, TypedDict, Unpack

from kiteward.domain.errors import InvalidArgument
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2

Row = Mapping[str, Any]
Vectors = Sequence[Any]


def _sdk() -> Any:
    return import_module("pymilvus")


def insert(
    described: messages.DescribeCollectionResponse, rows: Sequence[Row], *, collection: str, partition: str = ""
) -> messages.InsertRequest:
    """Return the InsertRequest for rows.

    Args:
        described: the DescribeCollectionResponse of the collection.
        rows: values by field name; names the schema lacks are dynamic.
        collection: name or alias.
        partition: name, or empty for the default.

    Raises:
        InvalidArgument: a row does not fit the schema.
    """
    schema = _sdk().client.abstract.CollectionSchema(described)
    info = schema.dict()
    with _refusals():
        request: messages.InsertRequest = _sdk().Prepare.row_insert_param(
            collection,
            list(rows),
            partition,
            info["fields"],
            info["struct_array_fields"],
            schema_timestamp=schema.update_timestamp,
            enable_dynamic=schema.enable_dynamic_field,
        )
    return request


def upsert(
    described: messages.DescribeCollectionResponse,
    rows: Sequence[Row],
    *,
    collection: str,
    partition: str = "",
    partial: bool = False,
    field_operations: Mapping[str, Any] | None = None,
) -> messages.UpsertRequest:
    """Return the UpsertRequest for rows.

    Args:
        described: the DescribeCollectionResponse of the collection.
        rows: values by field name; names the schema lacks are dynamic.
        collection: name or alias.
        partition: name, or empty for the default.
        partial: whether fields that the rows leave out keep their values.
        field_operations: what is done with a field's value, by field name, where it is not replaced.

    Raises:
        InvalidArgument: a row does not fit the schema, or an operation is unknown.
    """
    schema = _sdk().client.abstract.CollectionSchema(described)
    info = schema.dict()
    with _refusals():
        request: messages.UpsertRequest = _sdk().Prepare.row_upsert_param(
            collection,
            list(rows),
            partition,
            info["fields"],
            info["struct_array_fields"],
            enable_dynamic=schema.enable_dynamic_field,
            schema_timestamp=schema.update_timestamp,
            partial_update=partial,
            field_ops=dict(field_operations) if field_operations else None,
        )
    return request


def delete(
    *, collection: str, expression: str, partition: str = "", values: Row | None = None
) -> messages.DeleteRequest:
    """Return the DeleteRequest for what an expression matches.

    Raises:
        InvalidArgument: a template value has no type.
    """
    with _refusals():
        request: messages.DeleteRequest = _sdk().Prepare.delete_request(
            collection,
            expression,
            partition_name=partition or None,
            consistency_level=common_pb2.ConsistencyLevel.Strong,
            expr_params=dict(values or {}),
        )
    return request


_IN_KEY_ORDER: Final = {"iterator": "True", "reduce_stop_for_best": True}
"""What the iterators of SDKs ask for."""


def query(
    *,
    collection: str,
    expression: str,
    output_fields: Sequence[str],
    partitions: Sequence[str] = (),
    limit: int | None = None,
    offset: int | None = None,
    order_by: Sequence[Any] = (),
    in_key_order: bool = False,
    consistency: common_pb2.ConsistencyLevel.ValueType | None = None,
    values: Row | None = None,
) -> messages.QueryRequest:
    """Return the QueryRequest for what an expression matches.

    Args:
        collection: name or alias.
        expression: the filter, or empty.
        output_fields: names of fields to return.
        partitions: names, none for all.
        limit: most rows to return, or None.
        offset: rows to skip, or None.
        order_by: the order, where the engine has it.
        in_key_order: whether the rows with the least primary keys are returned, sorted by them: those that are certain
            to be next, perhaps more or fewer than the limit. Only an answer without rows is the end.
        consistency: the level, None for the collection's own.
        values: template values of the expression.

    Raises:
        InvalidArgument: a template value has no type, or an order cannot be read.
    """
    options = {"limit": limit, "offset": offset, "order_by_fields": list(order_by) or None, **_consistency(consistency)}
    options |= _IN_KEY_ORDER if in_key_order else {}
    with _refusals():
        request: messages.QueryRequest = _sdk().Prepare.query_request(
            collection, expression, list(output_fields), list(partitions), expr_params=dict(values or {}), **options
        )
    return request


class ResultOptions(TypedDict, total=False):
    """Options for the hits of every search.

    Attributes:
        output_fields: names of fields to return.
        partitions: names, none for all.
        offset: hits to skip.
        grouping: `group_by_field`, `group_size`, `strict_group_size`.
        scoring: `functions` and `params` of a function score.
        consistency: the level, None for the collection's own.
    """

    output_fields: Sequence[str]
    partitions: Sequence[str]
    offset: int
    grouping: Row | None
    scoring: Row | None
    consistency: common_pb2.ConsistencyLevel.ValueType | None


class SearchOptions(ResultOptions, total=False):
    """Options of one search.

    Attributes:
        vectors: lists of floats, mappings of index to float, bytes, or texts; one kind for all.
        ids: primary keys, where there are no vectors.
        expression: filter.
        parameters: `metric_type`, `params` and the like.
        values: template values of the expression.
    """

    vectors: Vectors | None
    ids: Sequence[Any] | None
    expression: str
    parameters: Row | None
    values: Row | None


def search(
    *, collection: str, field: str, field_type: int, limit: int, **options: Unpack[SearchOptions]
) -> messages.SearchRequest:
    """Return the SearchRequest for vectors, texts, or the vectors of stored entities.

    Args:
        collection: name or alias.
        field: the vector field.
        field_type: its type, which tells byte vectors apart.
        limit: hits per vector.
        options: what else is said.

    Raises:
        InvalidArgument: something of it cannot be expressed.
    """
    vectors, ids = options.get("vectors"), options.get("ids")
    with _refusals():
        request: messages.SearchRequest = _sdk().Prepare.search_requests_with_expr(
            collection,
            field,
            dict(options.get("parameters") or {}),
            limit,
            data=None if vectors is None else list(vectors),
            ids=None if ids is None else list(ids),
            expr=options.get("expression", ""),
            ranker=_score(options.get("scoring")),
            schema={"fields": [{"name": field, "type": field_type}]},
            expr_params=dict(options.get("values") or {}),
            **_result_arguments(options),
        )
    return request


def hybrid_search(
    requests: Sequence[messages.SearchRequest],
    *,
    collection: str,
    limit: int,
    strategy: str,
    strategy_parameters: Row,
    **options: Unpack[ResultOptions],
) -> messages.HybridSearchRequest:
    """Return the HybridSearchRequest that ranks the hits of several searches together.

    Args:
        requests: the SearchRequests.
        collection: name or alias.
        limit: hits of the whole.
        strategy: how they are ranked, such as `rrf`.
        strategy_parameters: what the strategy takes.
        options: what else is said.

    Raises:
        InvalidArgument: something of it cannot be expressed.
    """
    with _refusals():
        score = _score(options.get("scoring"))
        request: messages.HybridSearchRequest = _sdk().Prepare.hybrid_search_request_with_ranker(
            collection,
            list(requests),
            _ranking(strategy, strategy_parameters) if score is None else None,
            limit,
            **_result_arguments(options),
        )
        if score is not None:
            request.function_score.CopyFrom(_sdk().Prepare.function_score_schema(score))
        return request


def _result_arguments(options: ResultOptions) -> dict[str, Any]:
    """Return what pymilvus' builders take for the options of every search."""
    return {
        "partition_names": list(options.get("partitions", ())),
        "output_fields": list(options.get("output_fields", ())),
        "offset": options.get("offset", 0),
        **(options.get("grouping") or {}),
        **_consistency(options.get("consistency")),
    }


def _ranking(strategy: str, parameters: Row) -> Any:
    """Return a ranking as the caller names it; the engine decides whether it exists."""

    class Ranking(_sdk().client.abstract.BaseRanker):  # type: ignore[misc]  # pymilvus' client carries no types
        def dict(self) -> dict[str, Any]:
            return {"strategy": strategy, "params": dict(parameters)}

    return Ranking()


def _consistency(level: common_pb2.ConsistencyLevel.ValueType | None) -> dict[str, Any]:
    if level is None:
        return {"use_default_consistency": True, "consistency_level": common_pb2.ConsistencyLevel.Bounded}
    return {"use_default_consistency": False, "consistency_level": level}


def _score(scoring: Row | None) -> Any:
    if not scoring:
        return None
    functions = [
        _sdk().Function(
            each["name"],
            each["type"],
            list(each["input_field_names"]),
            list(each["output_field_names"]),
            description=each["description"],
            params=dict(each["params"]),
        )
        for each in scoring["functions"]
    ]
    return _sdk().FunctionScore(functions, dict(scoring["params"]))


@contextmanager
def _refusals() -> Iterator[None]:
    """Report what pymilvus refuses. Its builders raise whatever Python raises where they do not check."""
    try:
        yield
    except _sdk().MilvusException as error:
        raise InvalidArgument(error.message) from None
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise InvalidArgument(f"the request cannot be built: {error}") from None
