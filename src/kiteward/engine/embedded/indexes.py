"""Index requests as Milvus understands them: what it fills in, and what Milvus Lite builds in its place.

Milvus Lite demands an index type and a metric, knows few types, keeps no names, and refuses an existing index. Here a
request is completed as Milvus completes it, mapped to an index with the same results, and recorded as it was requested.
`docs/engine-indexes.md` has the table.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from milvus_lite.exceptions import SchemaValidationError
from milvus_lite.index.spec import IndexSpec
from milvus_lite.schema.types import DataType, FieldSchema

AUTOINDEX: Final = "AUTOINDEX"

_INDEX_TYPE: Final = "index_type"
_METRIC_TYPE: Final = "metric_type"
_PARAMS: Final = "params"

_DENSE_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AUTOINDEX": "AUTOINDEX",
        "FLAT": "FLAT",
        "BRUTE_FORCE": "BRUTE_FORCE",
        "HNSW": "HNSW",
        "HNSW_SQ": "HNSW_SQ",
        "HNSW_PQ": "HNSW",
        "HNSW_PRQ": "HNSW",
        "DISKANN": "HNSW",
        "IVF_FLAT": "IVF_FLAT",
        "IVF_SQ8": "IVF_SQ8",
        "IVF_PQ": "IVF_FLAT",
        "IVF_RABITQ": "IVF_FLAT",
        "SCANN": "IVF_FLAT",
    }
)
"""Type of a dense vector's index in Milvus -> the engine's index that finds at least as much."""

_SPARSE_TYPES: Final = frozenset({"AUTOINDEX", "SPARSE_INVERTED_INDEX", "SPARSE_WAND"})
_SPARSE_ENGINE_TYPE: Final = "SPARSE_INVERTED_INDEX"

_NUMBERS: Final = frozenset(
    {DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64, DataType.FLOAT, DataType.DOUBLE}
)
_INTEGERS: Final = _NUMBERS - {DataType.FLOAT, DataType.DOUBLE}
_PLAIN: Final = _NUMBERS | {DataType.BOOL, DataType.VARCHAR}

_SCALAR_TYPES: Final[Mapping[str, frozenset[DataType]]] = MappingProxyType(
    {
        "AUTOINDEX": _PLAIN | {DataType.ARRAY, DataType.JSON, DataType.GEOMETRY, DataType.TIMESTAMPTZ},
        "INVERTED": _PLAIN | {DataType.ARRAY, DataType.JSON, DataType.TIMESTAMPTZ},
        "STL_SORT": _NUMBERS | {DataType.VARCHAR, DataType.TIMESTAMPTZ},
        "BITMAP": _INTEGERS | {DataType.BOOL, DataType.VARCHAR, DataType.ARRAY},
        "TRIE": frozenset({DataType.VARCHAR}),
        "NGRAM": frozenset({DataType.VARCHAR, DataType.JSON}),
        "RTREE": frozenset({DataType.GEOMETRY}),
    }
)
"""Type of a scalar index in Milvus -> the fields it may be on."""

_SCALAR_ENGINE_TYPE: Final = "INVERTED"
_BUILT_SCALARS: Final = _PLAIN | {DataType.TIMESTAMPTZ}
"""Scalar fields that the engine indexes. An index on others changes nothing but speed, and is only recorded."""

_ENGINE_PARAMETERS: Final = frozenset({"M", "efConstruction", "ef", "nlist", "nprobe", "sq_type", "bm25_k1", "bm25_b"})
"""Parameters that the engine's indexes take; others tune what it does not build."""


@dataclass(frozen=True, slots=True)
class IndexRecord:
    """An index as it was requested, and as DescribeIndex returns it.

    Attributes:
        field_name: the field it is on.
        name: its name.
        parameters: the parameters as given, with type and metric filled in.
        built: whether the engine builds an index for it.
    """

    field_name: str
    name: str
    parameters: Mapping[str, str]
    built: bool

    @classmethod
    def of(cls, spec: IndexSpec) -> "IndexRecord":
        """Return the record of an index that was made before records were kept."""
        parameters = {_INDEX_TYPE: spec.index_type, _METRIC_TYPE: spec.metric_type}
        if spec.build_params:
            parameters[_PARAMS] = json.dumps(dict(spec.build_params), sort_keys=True)
        return cls(spec.field_name, spec.field_name, parameters, built=True)

    def to_json(self) -> dict[str, Any]:
        """Return what a file keeps of it."""
        return {"name": self.name, "parameters": dict(self.parameters), "built": self.built}

    @classmethod
    def from_json(cls, field_name: str, kept: Mapping[str, Any]) -> "IndexRecord":
        """Return the record that `to_json` wrote."""
        return cls(field_name, kept["name"], MappingProxyType(dict(kept["parameters"])), built=kept["built"])


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """A request for an index, completed.

    Attributes:
        record: the index as it was requested.
        engine_parameters: what Milvus Lite's `create_index` takes, or None where it builds nothing.
    """

    record: IndexRecord
    engine_parameters: Mapping[str, Any] | None


def completed(field: FieldSchema, name: str, given: Mapping[str, str], *, bm25: bool) -> IndexRequest:
    """Return a request with what Milvus fills in.

    Args:
        field: the field of the collection.
        name: the index's name; empty for the field's.
        given: parameters as they came.
        bm25: whether the field is the output of a BM25 function.

    Raises:
        SchemaValidationError: the type does not exist or is not for such a field.
    """
    index_type = (given.get(_INDEX_TYPE) or AUTOINDEX).upper()
    metric = (given.get(_METRIC_TYPE) or "").upper()
    if field.dtype is DataType.FLOAT_VECTOR:
        engine_type = _DENSE_TYPES.get(index_type, "")
        metric = metric or "COSINE"
    elif field.dtype is DataType.SPARSE_FLOAT_VECTOR:
        engine_type = _SPARSE_ENGINE_TYPE if index_type in _SPARSE_TYPES else ""
        metric = metric or ("BM25" if bm25 else "IP")
    else:
        engine_type = _SCALAR_ENGINE_TYPE if field.dtype in _SCALAR_TYPES.get(index_type, ()) else ""
    if not engine_type:
        raise SchemaValidationError(
            f"invalid parameter[expected=valid index][actual=index type {index_type} on field {field.name} "
            f"of type {field.dtype.name}]"
        )
    parameters = {**given, _INDEX_TYPE: given.get(_INDEX_TYPE) or AUTOINDEX}
    if metric:
        parameters[_METRIC_TYPE] = metric
    built = metric != "" or field.dtype in _BUILT_SCALARS
    record = IndexRecord(field.name, name or field.name, MappingProxyType(parameters), built=built)
    return IndexRequest(record, _engine_parameters(engine_type, metric, given) if built else None)


def check_against(wanted: IndexRecord, existing: Iterable[IndexRecord]) -> bool:
    """Return whether an identical index exists already, which Milvus reports as success.

    Raises:
        SchemaValidationError: the field or the name has another index.
    """
    for record in existing:
        same_field, same_name = record.field_name == wanted.field_name, record.name == wanted.name
        if same_field and same_name and _same(record.parameters, wanted.parameters):
            return True
        if same_field or same_name:
            raise SchemaValidationError("CreateIndex failed: at most one distinct index is allowed per field")
    return False


def find(records: Sequence[IndexRecord], *, field_name: str, name: str) -> list[IndexRecord]:
    """Return the indexes that a request names, by field or by name; all where it names none.

    Clients also name an index by its field, with or without `_idx` behind it.
    """
    if field_name:
        return [record for record in records if record.field_name == field_name]
    if not name:
        return list(records)
    named = [record for record in records if record.name == name]
    return named or [record for record in records if name in (record.field_name, f"{record.field_name}_idx")]


def search_parameters_without_tuning(text: str) -> str:
    """Return the JSON `params` of a search without what tunes an approximation that the engine does not make.

    Milvus Lite searches sparse vectors exactly, and refuses parameters that would make it less exact.
    """
    try:
        parameters = json.loads(text)
    except ValueError:
        return text
    if not isinstance(parameters, dict) or parameters.keys().isdisjoint(_SPARSE_TUNING):
        return text
    return json.dumps({key: value for key, value in parameters.items() if key not in _SPARSE_TUNING})


_SPARSE_TUNING: Final = frozenset(
    {"drop_ratio_search", "drop_ratio_build", "inverted_index_algo", "dim_max_score_ratio"}
)


def _engine_parameters(engine_type: str, metric: str, given: Mapping[str, str]) -> Mapping[str, Any]:
    build = {key: value for key, value in _build_parameters(given).items() if key in _ENGINE_PARAMETERS}
    if metric != "BM25":
        build = {key: value for key, value in build.items() if not key.startswith("bm25_")}
    engine = {_INDEX_TYPE: engine_type, _PARAMS: build}
    return {**engine, _METRIC_TYPE: metric} if metric else engine


def _build_parameters(given: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the parameters of an index: in JSON under `params`, as pymilvus sends them, or each by itself, as Go does.

    Raises:
        SchemaValidationError: `params` is not a JSON object.
    """
    try:
        nested = json.loads(given.get(_PARAMS) or "{}")
    except ValueError:
        nested = None
    if not isinstance(nested, dict):
        raise SchemaValidationError("invalid index params: `params` must be a JSON object")
    return {**{key: _value(text) for key, text in given.items() if key in _ENGINE_PARAMETERS}, **nested}


def _same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return _comparable(one) == _comparable(other)


def _comparable(parameters: Mapping[str, str]) -> dict[str, Any]:
    nested = _value(parameters.get(_PARAMS) or "{}")
    flat = {key: _value(text) for key, text in parameters.items() if key not in (_PARAMS, _INDEX_TYPE)}
    merged = {**flat, **(nested if isinstance(nested, dict) else {_PARAMS: nested})}
    return {**{key: str(value) for key, value in merged.items()}, _INDEX_TYPE: parameters[_INDEX_TYPE].upper()}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
