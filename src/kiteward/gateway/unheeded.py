"""Refuses what the engine would ignore without a word (decision 0047).

The embedded engine lacks some parts of the protocol, and an older Milvus skips the fields that were added after it. A
caller who sets such a field would get another result than was asked for, so that the request is refused. `RULES` is the
only list of these fields; `docs/request-parameters.md` has every field with what becomes of it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.engine.base import EngineHealth
from kiteward.gateway.rule_places import Place
from kiteward.iam.row_policies import is_row_property

_MILVUS: Final = "milvus.proto.milvus"
_SCHEMA: Final = "milvus.proto.schema"
_VERSION: Final = re.compile(r"(\d+)\.(\d+)")

Version = tuple[int, int]
"""Major and minor version of Milvus."""

NEVER: Final = (10_000, 0)
"""No version heeds it."""


def _empty(value: Any) -> bool:
    return not value


def _none(_value: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Rule:
    """One field that an engine ignores.

    Attributes:
        message: full name of the message type.
        field: path of the field inside it; for a field that holds a message, of a field that each such message has.
        embedded: why the embedded engine cannot heed it, and what does instead; empty if it heeds it.
        since: the first version of Milvus whose protocol has it; None for every version that is supported.
        accepts: the values that ask for nothing, or for what is done anyway.
        required: whether an absent field counts as its default value, so that it must be set.
        otherwise: what a Milvus before `since` would do.
    """

    message: str
    field: str
    embedded: str = ""
    since: Version | None = None
    accepts: Callable[[Any], bool] = _empty
    required: bool = False
    otherwise: str = "which would ignore it"


_NO_TIME_TRAVEL: Final = "no version of Milvus since 2.3 reads the past; leave it out"
_ONE_REPLICA: Final = "it has one replica; leave it out, or set it to 1"
_DEFAULT_GROUP: Final = frozenset({"", "__default_resource_group"})
_ONE_GROUP: Final = "it has no resource groups; leave it out"
_PRESENT_STATE: Final = "it knows the present state only; leave it out"
_BOOLEAN_EXPRESSION: Final = frozenset({1})
_ONE_OR_UNSET: Final = frozenset({0, 1})

_READS: Final = ("QueryRequest", "SearchRequest", "HybridSearchRequest")


_OF_READS: Final = (
    *(Rule(f"{_MILVUS}.{name}", "travel_timestamp", _NO_TIME_TRAVEL, NEVER) for name in _READS),
    # Milvus 2.3.5 ends for everybody at another kind of filter; later versions take each for an expression.
    Rule(
        f"{_MILVUS}.SearchRequest",
        "dsl_type",
        since=(2, 4),
        accepts=_BOOLEAN_EXPRESSION.__contains__,
        required=True,
        otherwise="which fails unless it is 1 (BoolExprV1)",
    ),
    Rule(f"{_MILVUS}.SearchRequest", "ids.int_id", "it does not search by ids; send the vectors", (2, 6)),
    Rule(f"{_MILVUS}.SearchRequest", "ids.str_id", "it does not search by ids; send the vectors", (2, 6)),
    Rule(f"{_MILVUS}.SearchRequest", "search_by_primary_keys", "it does not search by ids; send the vectors"),
    Rule(f"{_MILVUS}.SearchRequest", "sub_reqs.dsl", "call HybridSearch", (2, 4), _none),
    Rule(f"{_MILVUS}.SearchRequest", "highlighter.params.key", "it does not highlight", (2, 6), _none),
    Rule(f"{_MILVUS}.SearchRequest", "search_aggregation.fields", "it does not aggregate hits", (3, 0), _none),
    Rule(f"{_MILVUS}.SearchRequest", "search_aggregation.size", "it does not aggregate hits", (3, 0)),
    Rule(f"{_MILVUS}.SearchRequest", "function_score.functions.name", "", (2, 6), _none),
    Rule(f"{_MILVUS}.SearchRequest", "function_score.params.key", "", (2, 6), _none),
    Rule(f"{_MILVUS}.SearchRequest", "function_chains.name", "", (3, 0), _none),
    Rule(f"{_MILVUS}.HybridSearchRequest", "function_score.functions.name", "", (2, 6), _none),
    Rule(f"{_MILVUS}.HybridSearchRequest", "function_score.params.key", "", (2, 6), _none),
    Rule(
        f"{_MILVUS}.HybridSearchRequest",
        "function_chains.name",
        "chains belong to a search of one vector",
        (3, 0),
        _none,
    ),
    *(
        Rule(f"{_MILVUS}.{name}", "expr_template_values.key", "", (2, 4), _none)
        for name in ("QueryRequest", "SearchRequest", "DeleteRequest")
    ),
)

_OF_WRITES: Final = (
    Rule(f"{_MILVUS}.UpsertRequest", "partial_update", "", (2, 6)),
    Rule(
        f"{_MILVUS}.UpsertRequest",
        "field_ops.op",
        "an upsert replaces values; read the row and send the new value",
        (2, 6),
    ),
)

_OF_DEFINITIONS: Final = (
    Rule(f"{_SCHEMA}.CollectionSchema", "struct_array_fields.name", "it has no struct fields", (2, 6), _none),
    Rule(f"{_SCHEMA}.CollectionSchema", "functions.name", "", (2, 5), _none),
    Rule(f"{_SCHEMA}.CollectionSchema", "do_physical_backfill", "fields are not added later", (3, 0)),
    Rule(f"{_SCHEMA}.CollectionSchema", "properties.key", "set the properties of the request", (2, 4), _none),
    Rule(f"{_SCHEMA}.FieldSchema", "nullable", "", (2, 5)),
    Rule(f"{_SCHEMA}.FieldSchema", "is_function_output", "", (2, 5)),
    Rule(f"{_SCHEMA}.FieldSchema", "is_clustering_key", "", (2, 4)),
    Rule(f"{_SCHEMA}.FieldSchema", "is_dynamic", "set `enable_dynamic_field` of the schema"),
    Rule(f"{_SCHEMA}.FieldSchema", "index_params.key", "create the index with CreateIndex", None, _none),
    Rule(f"{_MILVUS}.AlterCollectionRequest", "delete_keys", "", (2, 4), is_row_property),
    Rule(f"{_MILVUS}.AlterIndexRequest", "delete_keys", "", (2, 4), _none),
    Rule(f"{_MILVUS}.AlterCollectionFieldRequest", "delete_keys", "", (2, 5), _none),
    Rule(f"{_MILVUS}.CreateDatabaseRequest", "properties.key", "", (2, 4), _none),
    Rule(f"{_MILVUS}.AlterDatabaseRequest", "db_id", "name the database in `db_name`"),
    Rule(f"{_MILVUS}.CreateResourceGroupRequest", "config.requests.node_num", "", (2, 4)),
    *(
        Rule(f"{_MILVUS}.{name}", "time_stamp", _PRESENT_STATE)
        for name in ("HasCollectionRequest", "DescribeCollectionRequest", "ShowCollectionsRequest")
    ),
)

_OF_LOADING: Final = tuple(
    rule
    for name in ("LoadCollectionRequest", "LoadPartitionsRequest")
    for rule in (
        Rule(f"{_MILVUS}.{name}", "replica_number", _ONE_REPLICA, None, _ONE_OR_UNSET.__contains__),
        Rule(f"{_MILVUS}.{name}", "resource_groups", _ONE_GROUP, None, _DEFAULT_GROUP.__contains__),
        Rule(f"{_MILVUS}.{name}", "load_fields", "", (2, 4), _none),
        Rule(f"{_MILVUS}.{name}", "load_params.key", "", (2, 5), _none),
    )
)

_OF_SEGMENTS: Final = (
    Rule(f"{_MILVUS}.FlushAllRequest", "flush_targets.db_name", "name one database in `db_name`", (2, 6), _none),
    Rule(f"{_MILVUS}.GetFlushAllStateRequest", "flush_targets.db_name", "", (2, 6), _none),
    Rule(f"{_MILVUS}.GetPersistentSegmentInfoRequest", "states", "", (3, 0), _none),
)

RULES: Final = (*_OF_READS, *_OF_WRITES, *_OF_DEFINITIONS, *_OF_LOADING, *_OF_SEGMENTS)
"""Every field that an engine ignores though it changes the result."""


def check(held: Sequence[Place[Rule]], fields: Mapping[str, Any], engine: Callable[[], EngineHealth]) -> None:
    """Refuse a request that sets what the engine would ignore. It must be called after the decision.

    Args:
        held: the places of its operation.
        fields: the fields that were read from it.
        engine: the state of the engine; asked only if a field is set.

    Raises:
        InvalidArgument: the error names the field, why the engine ignores it, and what to do instead.
    """
    for place in held:
        value = fields[place.path]
        if not value and not place.rule.required:
            continue
        if not all(place.rule.accepts(each) for each in (value if isinstance(value, list) else (value,))):
            _require_heeded(place, engine())


def _require_heeded(place: Place[Rule], engine: EngineHealth) -> None:
    """Refuse a field unless the engine heeds it.

    An engine that does not say its version is taken for the newest, as clients are shown.
    """
    rule, because = place.rule, ErrorDetail(ErrorCode.PARAMETER_NOT_ACCEPTED, {"name": place.path})
    if engine.embedded:
        if rule.embedded:
            raise InvalidArgument(f"`{place.path}` is not accepted by the embedded engine: {rule.embedded}", because)
        return
    found = _VERSION.match(engine.version)
    if rule.since is None or (rule.since != NEVER and found is None):
        return
    if rule.since == NEVER:
        raise InvalidArgument(f"`{place.path}` is not accepted: {rule.embedded}", because)
    if found is not None and (int(found[1]), int(found[2])) < rule.since:
        raise InvalidArgument(
            f"`{place.path}` is not accepted by Milvus {engine.version}, {rule.otherwise}: "
            f"other values need Milvus {rule.since[0]}.{rule.since[1]} or newer",
            because,
        )
