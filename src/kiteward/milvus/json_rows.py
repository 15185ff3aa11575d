"""Converts the columns of a response into JSON rows.

Scalars and vectors become JSON values. 64-bit integers become numbers or text, as `allow_int64` says. Byte vectors
become base64. A JSON field becomes text that holds JSON, as in Milvus. Dynamic values are members like fields. Numbers
that JSON lacks (NaN, infinity) become null when the response is encoded.
"""

import base64
import json
import math
import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from kiteward.milvus import messages
from kiteward.milvus.collection_fields import DYNAMIC
from kiteward.milvus.messages import schema_pb2

JsonRow = dict[str, Any]


def query_rows(response: messages.QueryResults, *, allow_int64: bool) -> list[JsonRow]:
    """Return the rows of QueryResults.

    Args:
        response: the message.
        allow_int64: whether 64-bit integers are numbers, else text.
    """
    return _rows(response.fields_data, response.output_fields, None, allow_int64=allow_int64)


def hits(response: messages.SearchResults, *, key: str, allow_int64: bool) -> list[JsonRow]:
    """Return the hits of SearchResults, in the order of the searched vectors.

    Args:
        response: the message.
        key: the name of the primary key, for engines that do not report it.
        allow_int64: whether 64-bit integers are numbers, else text.
    """
    results = response.results
    ids = primary_keys(results.ids, allow_int64=allow_int64)
    made = _rows(results.fields_data, results.output_fields, len(ids), allow_int64=allow_int64)
    name = results.primary_field_name or key
    for row, identity, distance in zip(made, ids, shortest(results.scores), strict=False):
        row[name] = identity
        row["distance"] = distance
    return made


def primary_keys(ids: schema_pb2.IDs, *, allow_int64: bool) -> list[Any]:
    """Return primary keys as JSON values."""
    which = ids.WhichOneof("id_field")
    if which is None:
        return []
    values = getattr(ids, which).data
    return [*values] if which == "str_id" or allow_int64 else [str(each) for each in values]


def shortest(values: Sequence[float]) -> list[float]:
    """Return 32-bit floats as 64-bit floats with the fewest digits that identify them: 0.1, not 0.10000000149011612.

    Nine digits are always enough. Many values are formatted and parsed at a time, because vectors hold many.
    """
    made = [*values]
    places: Sequence[int] = range(len(made))
    exact = made
    for digits in (7, 8, 9):
        candidates = _reread(exact, digits)
        if candidates is None:
            return _shortest_but_for_gaps(made)
        if exact is made:
            made = candidates
        else:
            for place, candidate in zip(places, candidates, strict=True):
                made[place] = candidate
        meant = array("f", candidates)
        missed = [position for position, wanted in enumerate(exact) if meant[position] != wanted]
        if not missed:
            break
        places = [places[position] for position in missed]
        exact = [exact[position] for position in missed]
    return made


_FLOATS: Final = msgspec.json.Decoder(list[float])


def _shortest_but_for_gaps(values: list[float]) -> list[float]:
    """Return the values with the fewest digits; NaN and infinity stay as they are."""
    places = [place for place, value in enumerate(values) if math.isfinite(value)]
    for place, value in zip(places, shortest([values[place] for place in places]), strict=True):
        values[place] = value
    return values


def _reread(values: Sequence[float], digits: int) -> list[float] | None:
    """Return the values rounded to `digits` digits, or None if JSON cannot represent one of them."""
    text = ",".join([f"%.{digits}g"] * len(values)) % tuple(values)
    try:
        return _FLOATS.decode(f"[{text}]")
    except msgspec.DecodeError:
        return None


def _rows(
    fields_data: Sequence[schema_pb2.FieldData], output_fields: Sequence[str], count: int | None, *, allow_int64: bool
) -> list[JsonRow]:
    columns = {}
    dynamic: list[Any] = []
    for field in fields_data:
        if field.is_dynamic or field.field_name == DYNAMIC:
            dynamic = _dynamic(
                field, [*output_fields], {each.field_name for each in fields_data if not each.is_dynamic}
            )
        else:
            columns[field.field_name] = _column(field, allow_int64=allow_int64)
    if count is None:
        count = max((len(values) for values in (*columns.values(), dynamic)), default=0)
    made: list[JsonRow] = [dict(dynamic[place]) if place < len(dynamic) else {} for place in range(count)]
    for name, values in columns.items():
        for row, value in zip(made, values, strict=False):
            row[name] = value
    return made


def _dynamic(field: schema_pb2.FieldData, output_fields: list[str], fixed: set[str]) -> list[JsonRow]:
    """Return the dynamic values of each row, restricted to the requested names if there are any."""
    decoded = [_decoded(each) for each in field.scalars.json_data.data]
    values = [each if isinstance(each, dict) else {} for each in decoded]
    asked = [name for name in output_fields if name not in fixed]
    if not asked or field.field_name in asked or DYNAMIC in asked:
        return values
    return [{name: row[name] for name in asked if name in row} for row in values]


def _decoded(raw: bytes) -> Any:
    """Return stored JSON, decoded. Python's own decoder accepts NaN, which engines written in Python may store."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _column(field: schema_pb2.FieldData, *, allow_int64: bool) -> list[Any]:
    which = field.WhichOneof("field")
    values: list[Any]
    match which:
        case "scalars":
            values = _scalars(field.scalars, allow_int64=allow_int64)
        case "vectors":
            values = _vectors(field.vectors)
        case "struct_arrays":
            return _structs(field.struct_arrays, allow_int64=allow_int64)
        case _:
            values = []
    return _with_nulls(values, field.valid_data)


def _with_nulls(values: list[Any], valid: Sequence[bool]) -> list[Any]:
    """Return the values with None for rows without one. Engines send a placeholder for those, or nothing."""
    if not valid:
        return values
    if len(values) == len(valid):
        return [value if there else None for value, there in zip(values, valid, strict=True)]
    remaining = iter(values)
    return [next(remaining, None) if there else None for there in valid]


def _scalars(scalars: schema_pb2.ScalarField, *, allow_int64: bool) -> list[Any]:
    which = scalars.WhichOneof("data")
    if which is None:
        return []
    data = getattr(scalars, which).data
    match which:
        case "long_data" | "timestamptz_data":
            return [*data] if allow_int64 else [str(each) for each in data]
        case "float_data":
            return shortest(data)
        case "json_data":
            return [each.decode(errors="replace") for each in data]
        case "array_data":
            return [_scalars(each, allow_int64=allow_int64) for each in data]
        case _:
            return [_base64(each) if isinstance(each, bytes) else each for each in data]


def _vectors(vectors: schema_pb2.VectorField) -> list[Any]:
    which = vectors.WhichOneof("data")
    reader = _VECTOR_READERS.get(which or "")
    return reader(vectors) if reader else []


def _float_vectors(vectors: schema_pb2.VectorField) -> list[list[float]]:
    dimension = vectors.dim
    flat = shortest(vectors.float_vector.data)
    return [flat[start : start + dimension] for start in range(0, len(flat), dimension or 1)]


def _byte_vectors(raw: bytes, length: int) -> list[str]:
    return [_base64(raw[start : start + length]) for start in range(0, len(raw), length or 1)]


def _sparse_vectors(vectors: schema_pb2.VectorField) -> list[dict[str, float]]:
    return [_sparse(content) for content in vectors.sparse_float_vector.contents]


def _sparse(content: bytes) -> dict[str, float]:
    pairs = [*struct.iter_unpack("<If", content)]
    numbers = shortest([number for _, number in pairs])
    return {str(index): number for (index, _), number in zip(pairs, numbers, strict=True)}


_VECTOR_READERS: Final[Mapping[str, Callable[[schema_pb2.VectorField], list[Any]]]] = MappingProxyType(
    {
        "float_vector": _float_vectors,
        "sparse_float_vector": _sparse_vectors,
        "binary_vector": lambda vectors: _byte_vectors(vectors.binary_vector, vectors.dim // 8),
        "float16_vector": lambda vectors: _byte_vectors(vectors.float16_vector, vectors.dim * 2),
        "bfloat16_vector": lambda vectors: _byte_vectors(vectors.bfloat16_vector, vectors.dim * 2),
        "int8_vector": lambda vectors: _byte_vectors(vectors.int8_vector, vectors.dim),
        "vector_array": lambda vectors: [_vectors(each) for each in vectors.vector_array.data],
    }
)


def _structs(struct_arrays: schema_pb2.StructArrayField, *, allow_int64: bool) -> list[Any]:
    """Return lists of objects from columns of lists."""
    columns = {field.field_name: _column(field, allow_int64=allow_int64) for field in struct_arrays.fields}
    made: list[Any] = []
    for lists in zip(*columns.values(), strict=False):
        if any(each is None for each in lists):
            made.append(None)
        else:
            made.append([dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=False)])
    return made


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
