"""What a read of a collection with row policies may contain. Whatever is not listed is refused.

A field or parameter is listed if it cannot select rows by itself, and says nothing about rows that the policies hide:
found by running each against Milvus Lite with the same visible rows beside other hidden ones (decision 0044).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied
from kiteward.milvus import messages
from kiteward.milvus.messages import common_pb2, schema_pb2


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    "QueryRequest": _names(
        "base db_name collection_name expr output_fields partition_names guarantee_timestamp query_params "
        "not_return_all_meta consistency_level use_default_consistency expr_template_values"
    ),
    "SearchRequest": _names(
        "base db_name collection_name partition_names dsl placeholder_group ids dsl_type output_fields search_params "
        "guarantee_timestamp nq not_return_all_meta consistency_level use_default_consistency sub_reqs "
        "expr_template_values function_score"
    ),
    "SubSearchRequest": _names("dsl placeholder_group dsl_type search_params nq expr_template_values"),
    "HybridSearchRequest": _names(
        "base db_name collection_name partition_names requests rank_params guarantee_timestamp not_return_all_meta "
        "output_fields consistency_level use_default_consistency function_score"
    ),
}
"""Type of a message -> its fields that may be set."""

_BOTH: Final = "limit offset ignore_growing iterator reduce_stop_for_best collection_id timezone time_fields"
_GROUPS: Final = "group_by_field group_size strict_group_size"
_PAGES: Final = (
    "search_iter_v2 search_iter_batch_size search_iter_last_bound search_iter_id page_retain_order guarantee_timestamp"
)
_INDEX: Final = (
    "nprobe ef search_list level reorder_k refine_k itopk_size search_width min_iterations max_iterations team_size "
    "drop_ratio_search dim_max_score_ratio rbq_bits_query rbq_query_bits max_empty_result_buckets"
)
"""Parameters that tune the search in an index."""

QUERY_PARAMETERS: Final = _names(f"{_BOTH} query_iter_last_pk query_iter_last_element_offset")
SEARCH_PARAMETERS: Final = _names(
    f"{_BOTH} {_GROUPS} {_PAGES} {_INDEX} "
    "anns_field topk params metric_type round_decimal radius range_filter analyzer_name"
)
RANK_PARAMETERS: Final = _names(
    f"{_BOTH} {_GROUPS} strategy params round_decimal rank_group_scorer k weights norm_score"
)

_RERANKERS: Final = frozenset({"rrf", "weighted", "decay"})
"""Rerankers that compute with scores, and with fields of rows that were found."""
_CHOICE: Final = frozenset({"reranker", "strategy"})
_RERANKER_PARAMETERS: Final = _CHOICE | _names("k weights norm_score function origin scale offset decay")

_COUNT: Final = "count(*)"
_SHOWN: Final = 64
"""Characters of a name that a refusal repeats."""


def check_read(message: messages.ProtocolMessage) -> None:
    """Refuse a read that contains something else.

    Args:
        message: the request of Query, Search or HybridSearch.

    Raises:
        AccessDenied: the error names what is not accepted.
    """
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        raise refused("unknown_field", "a field that is unknown here")
    _check(message)


def refused(name: str, what: str = "") -> AccessDenied:
    """Return the refusal of something that a read contains.

    Args:
        name: the field, parameter or value, without words around it.
        what: what it is, in words; the name where it says that itself.
    """
    return AccessDenied(
        f"{what or f'`{name}`'} is not accepted in reads of a collection with row policies: leave it out",
        ErrorDetail(ErrorCode.ROW_POLICIES_READ_CONTENT, {"name": name}),
    )


def _refused_inside(place: str, key: str) -> AccessDenied:
    """Return the refusal of a parameter by its name, inside a field or another parameter."""
    return refused(f"{place}.{key[:_SHOWN]}", f"the parameter `{key[:_SHOWN]}` in `{place}`")


def _check(message: Any) -> None:
    allowed = ALLOWED[message.DESCRIPTOR.name]
    for field, value in message.ListFields():
        if field.name not in allowed:
            raise refused(field.name)
        match field.name:
            case "requests" | "sub_reqs":
                for part in value:
                    _check(part)
            case "query_params":
                _check_parameters(value, QUERY_PARAMETERS)
            case "search_params":
                _check_parameters(value, SEARCH_PARAMETERS)
            case "rank_params":
                _check_parameters(value, RANK_PARAMETERS)
            case "function_score":
                _check_rerankers(value)
            case "output_fields":
                _check_output(value)


def _check_parameters(pairs: Iterable[common_pb2.KeyValuePair], allowed: frozenset[str]) -> None:
    """Refuse parameters that are not listed, also those inside `params`, where clients put the same ones."""
    for pair in pairs:
        if pair.key not in allowed:
            raise refused(pair.key[:_SHOWN], f"the parameter `{pair.key[:_SHOWN]}`")
        if pair.key == "params":
            for key in _keys_of(pair.value):
                if key not in allowed or key == "params":
                    raise _refused_inside("params", key)


def _keys_of(text: str) -> Iterable[str]:
    """Return the keys of a JSON object of plain values and lists of them."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise refused("params", "`params` that is no JSON object")
    for key, held in value.items():
        if any(isinstance(each, dict | list) for each in (held if isinstance(held, list) else (held,))):
            raise refused(f"params.{key[:_SHOWN]}", f"the parameter `{key[:_SHOWN]}` in `params` with an object")
    return value


def _check_rerankers(score: schema_pb2.FunctionScore) -> None:
    """Refuse functions other than those rerankers: a boost carries a filter, a model is a server."""
    for pair in score.params:
        raise _refused_inside("function_score", pair.key)
    for function in score.functions:
        given = {pair.key: pair.value for pair in function.params}
        named = {pair.value for pair in function.params if pair.key in _CHOICE}
        if function.type != schema_pb2.FunctionType.Rerank or not named or not named <= _RERANKERS:
            raise refused("function_score.functions", "a function other than the rerankers rrf, weighted and decay")
        for key in sorted(given.keys() - _RERANKER_PARAMETERS):
            raise _refused_inside("function_score.functions", key)


def _check_output(names: Iterable[str]) -> None:
    """Refuse computed output, such as `sum(n)`, other than the number of rows."""
    for name in names:
        if "(" in name and name.strip().lower() != _COUNT:
            raise refused(name[:_SHOWN], f"the output field `{name[:_SHOWN]}`")
