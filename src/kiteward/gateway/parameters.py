"""Key-value parameters of requests: which keys are known, and what an unknown one says.

The parameters of searches, indexes and collections are texts with names. Names that are known are forwarded. Another
name that speaks of rows, tenants, callers, files or addresses is refused, because whatever an engine may mean by it has
not been checked. About all others the operator decides.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.gateway.settings import UnknownParameters

_SHOWN: Final = 64
"""Most characters of a refused name that the error repeats."""

_PROTECTED: Final = re.compile(
    r"namespace|tenant|principal|rls|row|polic|user|role|privilege|credential|token|secret|password|api_?key"
    r"|filter|expr|partition|\bids?\b|_ids?\b|\bpks?\b|primary"
    r"|path|file|_dir\b|\bdir\b|url|uri|endpoint|address|host|bucket|userdict|user_dict|external|replicat",
    re.IGNORECASE,
)
"""What a name speaks of that concerns rows, tenants, callers, files or addresses."""


_NAMES: Final = re.compile(r'"([^"]*)"\s*:')
"""Finds the names in JSON without escapes. What it may find between two texts is no known name."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters in one field of one type of message.

    Attributes:
        message: full name of the message type.
        field: the field, whose elements have a `key`; or whose elements are themselves names.
        known: names that are forwarded.
        what: what the error calls such a parameter.
        nested: names whose values are JSON objects with parameters of the same kind.
        elsewhere: the beginning of names that `row_properties` checks; empty for none.
        names_only: whether the elements are names without values.
    """

    message: str
    field: str
    known: frozenset[str]
    what: str
    nested: frozenset[str] = frozenset()
    names_only: bool = False
    elsewhere: str = ""

    def passes(self, name: str) -> bool:
        """Return whether a name is known, or checked elsewhere."""
        return name in self.known or bool(self.elsewhere and name.strip().lower().startswith(self.elsewhere))


@dataclass(frozen=True, slots=True)
class ParameterPlace:
    """Where in a request parameters are."""

    keys: str
    values: str
    parameters: Parameters


_INDEX: Final = """
    index_type metric_type params dim nlist nprobe M m efConstruction ef nbits n_trees k reorder_k with_raw_data
    search_list search_list_size build_dram_budget_gb pq_code_budget_gb drop_ratio_build drop_ratio_search bm25_k1
    bm25_b inverted_index_algo json_cast_type json_path json_cast_function min_gram max_gram mmap.enabled
    indexoffsetcache.enabled bitmap_cardinality_limit refine refine_k refine_type sq_type intermediate_graph_degree
    graph_degree build_algo cache_dataset_on_device adapt_for_cpu itopk_size search_width min_iterations
    max_iterations team_size in_min_hash_lsh mh_lsh_band mh_element_bit_width mh_lsh_aligned_block_size
    mh_lsh_shared_bloom_filter mh_lsh_bloom_false_positive_prob mh_search_with_jaccard ivf_build_ratio warmup radius
    range_filter max_empty_result_buckets page_retain_order hints level reorder
"""

_SEARCH: Final = f"""
    {_INDEX} anns_field topk limit offset round_decimal ignore_growing group_by_field group_size strict_group_size
    group_by_field_id iterator search_iter_v2 search_iter_id search_iter_batch_size search_iter_last_bound
    collection_id rank_group_scorer analyzer_name timezone time_fields bm25_avgdl reduce_stop_for_best expr_params
    is_embedding_list strategy weights norm_score guarantee_timestamp cluster_id
"""

_COLLECTION: Final = """
    collection.ttl.seconds collection.ttl.field ttl_field collection.autocompaction.enabled
    collection.insertRate.max.mb collection.insertRate.min.mb collection.upsertRate.max.mb
    collection.upsertRate.min.mb collection.deleteRate.max.mb collection.deleteRate.min.mb
    collection.bulkLoadRate.max.mb collection.bulkLoadRate.min.mb collection.queryRate.max.qps
    collection.queryRate.min.qps collection.searchRate.max.vps collection.searchRate.min.vps
    collection.diskProtection.diskQuota.mb collection.replica.number collection.resource_groups
    collection.description mmap.enabled lazyload.enabled partitionkey.isolation
    partition.diskProtection.diskQuota.mb dynamicfield.enabled allow_insert_auto_id allow_update_auto_id timezone
    consistency_level max_length max_capacity warmup.vectorField warmup.scalarField warmup.vectorIndex
    warmup.scalarIndex query_mode load_priority
"""

_DATABASE: Final = """
    database.replica.number database.resource_groups database.diskQuota.mb database.max.collections
    database.force.deny.writing database.force.deny.reading database.force.deny.ddl timezone
"""

_FIELD: Final = f"""
    {_INDEX} dim max_length max_capacity enable_analyzer analyzer_params multi_analyzer_params enable_match
    mmap.enabled mmap_enabled element_type json_shredding nullable max_length_per_row warmup field.description
    description
"""


def _known(names: str) -> frozenset[str]:
    return frozenset(names.split())


_MILVUS: Final = "milvus.proto.milvus"
_SCHEMA: Final = "milvus.proto.schema"
_ROW_POLICIES: Final = "rls."
_PARAMS: Final = frozenset({"params"})


def _of(
    message: str, field: str, known: str, what: str, *, nested: bool = False, names_only: bool = False
) -> Parameters:
    return Parameters(message, field, _known(known), what, _PARAMS if nested else frozenset(), names_only)


def _altered(message: str, field: str, known: str, what: str) -> tuple[Parameters, Parameters]:
    """Return the parameters that a request sets, and those that it deletes."""
    return (
        _of(f"{_MILVUS}.{message}", field, known, what),
        _of(f"{_MILVUS}.{message}", "delete_keys", known, what, names_only=True),
    )


PARAMETERS: Final = (
    _of(f"{_MILVUS}.SearchRequest", "search_params", _SEARCH, "search parameter", nested=True),
    _of(f"{_MILVUS}.SubSearchRequest", "search_params", _SEARCH, "search parameter", nested=True),
    _of(f"{_MILVUS}.HybridSearchRequest", "rank_params", _SEARCH, "ranking parameter", nested=True),
    _of(f"{_MILVUS}.QueryRequest", "query_params", _SEARCH, "query parameter", nested=True),
    *(
        replace(each, elsewhere=_ROW_POLICIES)
        for each in (
            _of(f"{_MILVUS}.CreateCollectionRequest", "properties", _COLLECTION, "collection property"),
            *_altered("AlterCollectionRequest", "properties", _COLLECTION, "collection property"),
            _of(f"{_SCHEMA}.CollectionSchema", "properties", _COLLECTION, "collection property"),
        )
    ),
    _of(f"{_MILVUS}.CreateDatabaseRequest", "properties", _DATABASE, "database property"),
    *_altered("AlterDatabaseRequest", "properties", _DATABASE, "database property"),
    *_altered("AlterCollectionFieldRequest", "properties", _FIELD, "field property"),
    _of(f"{_SCHEMA}.FieldSchema", "type_params", _FIELD, "field parameter"),
    _of(f"{_SCHEMA}.FieldSchema", "index_params", _FIELD, "index parameter", nested=True),
    _of(f"{_SCHEMA}.StructArrayFieldSchema", "type_params", _FIELD, "field parameter"),
    _of(f"{_MILVUS}.CreateIndexRequest", "extra_params", _FIELD, "index parameter", nested=True),
    _of(f"{_MILVUS}.AlterCollectionSchemaRequest.FieldInfo", "extra_params", _FIELD, "index parameter", nested=True),
    *_altered("AlterIndexRequest", "extra_params", _FIELD, "index parameter"),
    _of(f"{_MILVUS}.LoadCollectionRequest", "load_params", "load_priority warmup", "load parameter"),
    _of(f"{_MILVUS}.LoadPartitionsRequest", "load_params", "load_priority warmup", "load parameter"),
    _of(f"{_MILVUS}.PrewarmRequest", "load_params", "load_priority warmup", "load parameter"),
    _of(
        f"{_MILVUS}.ImportRequest",
        "options",
        "backup l0_import skip_disk_quota_check timeout sep nullkey storage_version start_ts end_ts auto_commit",
        "import option",
    ),
    _of(
        "milvus.proto.common.Highlighter",
        "params",
        "pre_tags post_tags fragment_size fragment_offset num_of_fragments highlight_search_text highlight_queries "
        "queries input_fields threshold highlight_only",
        "highlighter parameter",
    ),
)
"""Every field with parameters that are checked here. Those of functions and rerankers are checked by `outbound`."""


def parameter_places(paths: Mapping[str, Sequence[str]]) -> tuple[ParameterPlace, ...]:
    """Return where in the request of an RPC parameters are.

    Args:
        paths: what the request holds; see `messages.paths_in`.
    """
    found = []
    for parameters in PARAMETERS:
        for path in paths.get(parameters.message, ()):
            field = f"{path}.{parameters.field}" if path else parameters.field
            keys, values = (field, "") if parameters.names_only else (f"{field}.key", f"{field}.value")
            found.append(ParameterPlace(keys, values if parameters.nested else "", parameters))
    return tuple(found)


def check_parameters(
    held: Sequence[ParameterPlace], fields: Mapping[str, Any], *, unknown: UnknownParameters = UnknownParameters.FORWARD
) -> None:
    """Refuse a request with parameters that nobody has checked. It must be called after the decision.

    Args:
        held: the places of its operation.
        fields: the fields that were read from it.
        unknown: what happens to unknown names that are not protected.

    Raises:
        InvalidArgument: the error names the parameter.
    """
    for place in held:
        keys = fields[place.keys]
        if not keys:
            continue
        parameters = place.parameters
        if not parameters.known.issuperset(keys):
            _check_names(parameters, keys, unknown)
        if parameters.nested:
            for key, value in zip(keys, fields[place.values], strict=True):
                if key in parameters.nested:
                    _check_nested(parameters, value, unknown)


def _check_names(parameters: Parameters, names: Iterable[str], unknown: UnknownParameters) -> None:
    for name in names:
        if parameters.passes(name):
            continue
        if _PROTECTED.search(name):
            raise _refused(parameters, name, "it may speak of rows, tenants, callers, files or addresses")
        if unknown is UnknownParameters.REFUSE:
            raise _refused(parameters, name, "this server forwards only parameters that it knows")


def _check_nested(parameters: Parameters, text: str, unknown: UnknownParameters) -> None:
    """Check the names in a JSON object, and in objects inside it. What is not one is the engine's to refuse."""
    if "\\" not in text and parameters.known.issuperset(_NAMES.findall(text)):
        return  # as for nearly every search
    found: list[str] = []

    def note(pairs: Sequence[tuple[str, Any]]) -> None:
        found.extend(key for key, _ in pairs)

    try:
        json.loads(text, object_pairs_hook=note)
    except RecursionError:
        raise _refused(parameters, "params", "its JSON is nested too deep") from None
    except ValueError:
        pass
    _check_names(parameters, found, unknown)


def _refused(parameters: Parameters, name: str, why: str) -> InvalidArgument:
    shown = name[:_SHOWN]
    return InvalidArgument(
        f"{parameters.what} `{shown}` is not accepted: {why}; leave it out",
        ErrorDetail(ErrorCode.PARAMETER_NOT_ACCEPTED, {"name": shown}),
    )
