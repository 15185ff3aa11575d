"""Parameters that a request gives by name: what Milvus Lite would ignore is refused (decision 0047).

Each table lists the keys that are heeded, and those that may be given although nothing changes, because they only tune
what this engine does not do, or repeat what it does anyway. Every other key changes a result in Milvus, or is
misspelt. `docs/request-parameters.md` has the tables with the reasons.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf.message import DecodeError
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

Pairs = Iterable[common_pb2.KeyValuePair]

LARGEST_WINDOW: Final = 16_384
LARGEST_GROUPED_WINDOW: Final = 10 * LARGEST_WINDOW
LARGEST_DIMENSION: Final = 32_768
MOST_DECIMALS: Final = 6

ITERATOR: Final = frozenset(
    {
        "iterator",
        "search_iter_v2",
        "search_iter_batch_size",
        "search_iter_last_bound",
        "search_iter_id",
        "guarantee_timestamp",  # which Node's iterators put there from their second page on
    }
)
PLACES: Final = frozenset({"timezone", "time_fields"})
HINTS: Final = frozenset(
    {"ignore_growing", "hints", "page_retain_order", "reduce_stop_for_best", "collection_id", "cluster_id"}
)
"""Rows are searched as soon as they are written, exactly, and in one place."""

_TUNING: Final = (
    "ef nprobe search_list reorder_k level max_empty_result_buckets refine_k rbq_query_bits search_k itopk_size "
    "search_width min_iterations max_iterations team_size refine_ratio beamwidth retain_iterator_order "
    "iterative_filter_execution drop_ratio_search drop_ratio_build inverted_index_algo dim_max_score_ratio nlist"
)
TUNING: Final = frozenset(_TUNING.split())
"""They trade accuracy for time; an index that has no such parameter is searched at least as exactly."""

SELECTING: Final = frozenset(
    {
        "anns_field",
        "topk",
        "metric_type",
        "offset",
        "round_decimal",
        "group_by_field",
        "group_size",
        "strict_group_size",
    }
)
"""What a search is about. They are read at the top level only."""

RANGE: Final = frozenset({"radius", "range_filter"})
SEARCH: Final = SELECTING | RANGE | ITERATOR | PLACES | HINTS | TUNING | {"params"}
PART: Final = (SELECTING - {"group_by_field", "group_size", "strict_group_size"}) | PLACES | HINTS | TUNING | {"params"}
RANK: Final = (
    frozenset(
        {"strategy", "params", "limit", "offset", "round_decimal", "group_by_field", "group_size", "strict_group_size"}
    )
    | PLACES
    | HINTS
)
QUERY: Final = frozenset({"limit", "offset", "iterator"}) | PLACES | HINTS

PROPERTIES_WITHOUT_EFFECT: Final = (
    "collection.ttl.seconds",
    "collection.insertRate.",
    "collection.upsertRate.",
    "collection.deleteRate.",
    "collection.queryRate.",
    "collection.searchRate.",
    "collection.bulkLoadRate.",
    "collection.diskProtection.",
    "database.diskQuota.",
    "database.max.collections",
    "database.force.deny.",
    "database.replica.number",
    "database.resource_groups",
    "dynamicfield.enabled",
    "allow_update_auto_id",
    "allow_insert_auto_id",
    "collection.description",
    "namespace.enabled",
    "replicate.",
    "ttl_field",
)
"""Beginnings of the properties by which Milvus acts and this engine does not. Others are kept and shown."""

_FIELD_KEYS: Final = (
    "dim max_length max_capacity enable_analyzer enable_match analyzer_params mmap.enabled mmap_enabled warmup"
)
FIELD: Final = frozenset(_FIELD_KEYS.split())

TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"", "0", "f", "F", "FALSE", "false", "False"})
"""What Milvus reads as a boolean."""

_OFF: Final = frozenset({"", "0", "-1", "false", "none", "null", "[]", "{}", '""'})
"""Values with which a parameter asks for nothing."""


def search_refusal(request: milvus_pb2.SearchRequest, *, known: frozenset[str] = SEARCH) -> str:
    """Return why the parameters of a search cannot be heeded, or empty.

    Args:
        request: the search, or one of a hybrid search.
        known: the keys that it may have.
    """
    given = _given(request.search_params)
    inner = _inner(given.get("params", ""))
    if inner is None:
        return "`params` of a search must be a JSON object"
    misplaced = sorted(key for key in inner.keys() & SELECTING - given.keys() if str(inner[key]).lower() not in _OFF)
    if misplaced:
        return f"`{misplaced[0]}` is not read inside `params`; put it beside `params`"
    return (
        _unknown({**{key: str(value) for key, value in inner.items()}, **given}, known, "search")
        or _decimals(given)
        or _strictness(given)
        or _vectors(request)
        or _window(given, "topk")
    )


def hybrid_refusal(request: milvus_pb2.HybridSearchRequest) -> str:
    """Return why the parameters of a hybrid search, or of one of its searches, cannot be heeded, or empty."""
    given = _given(request.rank_params)
    if _inner(given.get("params", "")) is None:
        return "`params` of a ranking must be a JSON object"
    if given.get("strict_group_size", "").lower() not in _OFF:
        return "`strict_group_size` is not supported by the embedded engine in a hybrid search"
    found = _unknown(given, RANK, "ranking") or _decimals(given) or _window(given, "limit")
    for part in request.requests:
        given = _given(part.search_params)
        found = found or _window(given, "topk") or search_refusal(part, known=PART)
        if given.get("offset", "") not in _OFF:
            found = found or "`offset` belongs to the ranking of a hybrid search"
    return found


def query_refusal(request: milvus_pb2.QueryRequest) -> str:
    """Return why the parameters of a query cannot be heeded, or empty."""
    given = _given(request.query_params)
    for key, least in (("limit", 1), ("offset", 0)):
        if key in given and given[key] != "" and (_number(given[key], -1) < least):
            return f"{key} [{given[key][:20]}] is invalid, should be a whole number from {least} on"
    if "count(*)" in request.output_fields:
        if len(request.output_fields) > 1:
            return "count(*) is returned alone: ask for no other output field"
        if given.get("limit") or given.get("offset", "0") != "0":
            return "count entities with pagination is not allowed"
    return _unknown(given, QUERY, "query")


def properties_refusal(pairs: Pairs) -> str:
    """Return why properties of a collection or database cannot be heeded, or empty."""
    for pair in pairs:
        if pair.key.startswith(PROPERTIES_WITHOUT_EFFECT) and pair.value.lower() not in _OFF:
            return f"the property `{pair.key}` is not supported by the embedded engine; leave it out"
    return ""


def schema_refusal(request: milvus_pb2.CreateCollectionRequest) -> str:
    """Return why a new collection cannot be as it is described, or empty; Milvus Lite refuses what is not readable."""
    try:
        schema = schema_pb2.CollectionSchema.FromString(request.schema)
    except DecodeError:
        return ""
    if schema.name != request.collection_name:
        return f"collection name = {request.collection_name}, schema.Name={schema.name}: they must be equal"
    if request.num_partitions and not any(field.is_partition_key for field in schema.fields):
        return "num_partitions should only be specified with partition key field enabled"
    refusals = (_field_refusal(field) for field in schema.fields)
    return next((found for found in refusals if found), "") or properties_refusal(request.properties)


def _field_refusal(field: schema_pb2.FieldSchema) -> str:
    """Return why the parameters of a field cannot be heeded, or empty. Milvus Lite allocates memory for any dimension.

    Source: Milvus' `proxy.maxDimension`.
    """
    given = _given(field.type_params)
    dimension = _number(given.get("dim", ""), 0)
    if dimension > LARGEST_DIMENSION:
        return (
            f"invalid dimension: {dimension} of field {field.name}. "
            f"float vector dimension should be in range 2 ~ {LARGEST_DIMENSION}: invalid parameter"
        )
    if _inner(given.get("analyzer_params", "")) is None:
        return f"analyzer_params of field {field.name} must be a JSON object"
    return _unknown(given, FIELD, f"field {field.name}")


def _unknown(given: Mapping[str, str], known: frozenset[str], what: str) -> str:
    found = sorted(key for key, value in given.items() if key not in known and value.lower() not in _OFF)
    return f"`{found[0][:64]}` is not a parameter that the embedded engine heeds in a {what}" if found else ""


def _decimals(given: Mapping[str, str]) -> str:
    text = given.get("round_decimal", "")
    if text in ("", "-1") or 0 <= _number(text, -1) <= MOST_DECIMALS:
        return ""
    return f"round_decimal [{text[:20]}] is invalid, should be -1 or an integer in range [0, {MOST_DECIMALS}]"


def _strictness(given: Mapping[str, str]) -> str:
    text = given.get("strict_group_size", "")
    if text in (TRUE | _FALSE):
        return ""
    return f"strict_group_size [{text[:20]}] is invalid, should be true or false"


def _vectors(request: milvus_pb2.SearchRequest) -> str:
    """Return why the vectors are not those that a search announces. Milvus Lite reads the first group of any number."""
    try:
        groups = common_pb2.PlaceholderGroup.FromString(request.placeholder_group).placeholders
    except DecodeError:
        return ""
    if len(groups) > 1:
        return "a search has one group of vectors"
    given = len(groups[0].values) if groups else 0
    return f"nq [{request.nq}] differs from the number of vectors, {given}" if request.nq not in (0, given) else ""


def _window(given: Mapping[str, str], limit_key: str) -> str:
    """Return why a search asks for too much, or empty. Milvus Lite allocates memory for any number.

    Source: Milvus' `quotaAndLimits.limits.topK` and its check of `offset + limit`.
    """
    limit, offset, size = (_number(given.get(key, ""), 0) for key in (limit_key, "offset", "group_size"))
    if limit + offset <= LARGEST_WINDOW and max(size, 1) * limit <= LARGEST_GROUPED_WINDOW:
        return ""
    return (
        f"{limit_key} [{limit}] with offset [{offset}] and group size [{max(size, 1)}] is invalid, "
        f"limit and offset together should be in range [1, {LARGEST_WINDOW}], "
        f"limit times group size at most {LARGEST_GROUPED_WINDOW}: invalid parameter"
    )


def _given(pairs: Pairs) -> dict[str, str]:
    return {pair.key: pair.value for pair in pairs}


def _inner(text: str) -> Mapping[str, Any] | None:
    """Return the object that a text of JSON holds, empty for none; None for anything else."""
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else ({} if found is None else None)


def _number(text: str, otherwise: int) -> int:
    """Return the whole number that a parameter holds, perhaps written as JSON, or another for any other text."""
    try:
        return int(text.strip('"'))
    except ValueError:
        return otherwise
