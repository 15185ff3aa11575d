"""Refuses requests that would make the engine call a server or read a file that the caller names.

A function may call a model provider, an analyzer may read dictionaries, and imports and snapshots read and write
storage. Addresses, paths and keys of that kind are not accepted from requests (decision 0026), except for what the
operator lists for functions (`providers`). `RULES` lists what is accepted, by the type of the message that contains it.
The places are found in the protocol's descriptors, wherever in a request they are, so that the rules apply to new
requests at once.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiteward.domain.errors import InvalidArgument
from kiteward.gateway.rule_places import Place

_SHOWN: Final = 64
"""Most characters of a refused name that the error repeats."""

_MILVUS: Final = "milvus.proto.milvus"
_SCHEMA: Final = "milvus.proto.schema"
_COMMON: Final = "milvus.proto.common"

FUNCTION: Final = f"{_SCHEMA}.FunctionSchema"
"""Full name of the message type of functions."""

_LOCAL_TYPES: Final = frozenset({0, 1, 3, 4})
"""Functions that are computed inside the engine: unknown, BM25, rerank, MinHash."""

_RANKING: Final = (
    "reranker strategy k weights norm_score function origin scale offset decay score_mode weight filter random_score"
)
_MIN_HASH: Final = "num_hashes shingle_size hash_function token_level seed"

_PROVIDER: Final = (
    "a function calls a provider only through a remote Milvus, if kiteward.engine.providers lists it, and no request "
    "may contain a provider's key"
)
_STORAGE: Final = "the engine reads and writes no files or storage that a request names; leave it out"
_FILES_OF_ANALYZERS: Final = "an analyzer's words must be in the request, not in a file or at an address"


@dataclass(frozen=True, slots=True)
class Rule:
    """The values that one field of one type of message may have.

    Attributes:
        message: full name of the message type.
        field: path of the field inside it. Of a map, the keys are checked and the values are not.
        accepts: whether a value is accepted.
        what: the name of the value in the error, which repeats the value; rules about secrets therefore have none.
        why: why a value is refused, and what is accepted.
    """

    message: str
    field: str
    accepts: Callable[[Any], bool]
    what: str
    why: str

    def refusal(self, path: str, value: Any) -> str:
        """Return the sentence for a value that is not accepted."""
        if not self.what:
            return f"`{path}` is not accepted: {self.why}"
        return f"{self.what} `{str(value)[:_SHOWN]}` is not accepted: {self.why}"


_PARTS_OF_PLACES: Final = ("path", "file", "_dir", "url", "uri", "endpoint", "address", "userdict", "user_dict")
"""Parts of parameter names that name a file or a server; analyzers read words and call tokenizers by them."""


def _one_of(words: str) -> Callable[[Any], bool]:
    return frozenset(words.split()).__contains__


def _names_no_file(text: str) -> bool:
    """Return whether the parameters of an analyzer name neither a file nor an address."""
    if not text.lstrip().startswith(("{", "[")):
        return True
    found: list[str] = []

    def note(pairs: Sequence[tuple[str, Any]]) -> None:
        found.extend(key.lower() for key, _ in pairs)

    try:
        json.loads(text, object_pairs_hook=note)
    except RecursionError:
        return False
    except ValueError:
        # A text that is not JSON names nothing; the engine refuses it.
        return not found
    return not any(part in key for key in found for part in _PARTS_OF_PLACES)


def _empty(value: Any) -> bool:
    return not value


_FUNCTION_TYPE: Final = Rule(
    FUNCTION, "type", _LOCAL_TYPES.__contains__, "function type", f"text embedding is type 2, and {_PROVIDER}"
)
_FUNCTION_PARAMETER: Final = Rule(
    FUNCTION, "params.key", _one_of(f"{_RANKING} {_MIN_HASH}"), "function parameter", _PROVIDER
)

RULES: Final = (
    _FUNCTION_TYPE,
    _FUNCTION_PARAMETER,
    Rule(
        f"{_SCHEMA}.FunctionScore",
        "params.key",
        _one_of("boost_mode function_mode"),
        "function score parameter",
        _PROVIDER,
    ),
    Rule(
        f"{_SCHEMA}.FunctionChain",
        "ops.params.key",
        _one_of("column desc tie_break_col limit offset"),
        "operator parameter",
        _PROVIDER,
    ),
    Rule(
        f"{_SCHEMA}.FunctionChain",
        "ops.expr.name",
        frozenset({"", "decay", "num_combine", "round_decimal"}).__contains__,
        "expression",
        _PROVIDER,
    ),
    Rule(
        f"{_SCHEMA}.FunctionChain",
        "ops.expr.params.key",
        _one_of("function origin scale offset decay mode weights decimal"),
        "expression parameter",
        _PROVIDER,
    ),
    # Milvus' semantic highlighter asks a model; the lexical one, type 0, does not.
    Rule(f"{_COMMON}.Highlighter", "type", _empty, "highlighter type", _PROVIDER),
    Rule(f"{_SCHEMA}.FieldSchema", "type_params.value", _names_no_file, "", _FILES_OF_ANALYZERS),
    Rule(f"{_SCHEMA}.FieldSchema", "index_params.value", _names_no_file, "", _FILES_OF_ANALYZERS),
    Rule(f"{_MILVUS}.RunAnalyzerRequest", "analyzer_params", _names_no_file, "", _FILES_OF_ANALYZERS),
    Rule(f"{_SCHEMA}.CollectionSchema", "external_source", _empty, "", _STORAGE),
    Rule(f"{_SCHEMA}.CollectionSchema", "external_spec", _empty, "", _STORAGE),
    Rule(f"{_MILVUS}.RefreshExternalCollectionRequest", "external_source", _empty, "", _STORAGE),
    Rule(f"{_MILVUS}.RefreshExternalCollectionRequest", "external_spec", _empty, "", _STORAGE),
    Rule(f"{_MILVUS}.RestoreExternalSnapshotRequest", "snapshot_metadata_uri", _empty, "", _STORAGE),
    Rule(f"{_MILVUS}.RestoreExternalSnapshotRequest", "external_spec", _empty, "", _STORAGE),
    Rule(f"{_MILVUS}.ExportSnapshotRequest", "target_s3_path", _empty, "", _STORAGE),
    Rule(f"{_MILVUS}.ExportSnapshotRequest", "external_spec", _empty, "", _STORAGE),
    Rule(f"{_MILVUS}.ImportRequest", "files", _empty, "", _STORAGE),
    Rule(f"{_MILVUS}.AddFileResourceRequest", "path", _empty, "", _STORAGE),
    Rule(f"{_COMMON}.ConnectionParam", "uri", _empty, "", _STORAGE),
    Rule(f"{_COMMON}.ConnectionParam", "token", _empty, "", _STORAGE),
)
"""Every field that may name an address, a file or a credential for one; the engine uses all other content itself."""


def must_be_empty(rule: Rule) -> bool:
    """Return whether a rule accepts no value at all."""
    return rule.accepts is _empty and not rule.what


def check_function(kind: int, keys: Sequence[str]) -> None:
    """Refuse a function that the engine does not compute itself.

    Args:
        kind: its type.
        keys: the names of its parameters.

    Raises:
        InvalidArgument: the error says what it names, and what is accepted.
    """
    for rule, value in ((_FUNCTION_TYPE, kind), *((_FUNCTION_PARAMETER, key) for key in keys)):
        if not rule.accepts(value):
            raise InvalidArgument(rule.refusal(rule.field, value))


def check(held: Sequence[Place[Rule]], fields: Mapping[str, Any], *, functions: bool = True) -> None:
    """Refuse a request that names an address, a file or a credential. It must be called after the decision.

    Args:
        held: the places of its operation.
        fields: the fields that were read from it.
        functions: whether the rules for functions apply; `providers` applies them where a function calls a provider.

    Raises:
        InvalidArgument: the error says what it names, and what is accepted.
    """
    for place in held:
        value = fields[place.path]
        if not value or (place.rule.message == FUNCTION and not functions):
            # An absent field names nothing, and most requests have none of the fields.
            continue
        for each in value if isinstance(value, list) else (value,):
            if not place.rule.accepts(each):
                raise InvalidArgument(place.rule.refusal(place.path, each))
