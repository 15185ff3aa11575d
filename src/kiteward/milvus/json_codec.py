"""Converts JSON values into arguments of the SDK's builders: rows to store, vectors to search with, primary keys.

Every value is checked against the type of its field. Errors name the value and what is valid. Integers may be numbers
or decimal text, because JavaScript cannot represent 64 bits. Byte vectors are base64. JSON fields hold any JSON value;
text in them is parsed as JSON, as the SDKs and Milvus do.
"""

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from kiteward.domain.errors import InvalidArgument
from kiteward.milvus.collection_fields import DYNAMIC, CollectionShape, DataType, Field

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT32_MAX: Final = 3.4028234663852886e38
_INDEX: Final = re.compile(r"[0-9]{1,10}")
_LAST_INDEX: Final = 2**32 - 2
_RANGES: Final = MappingProxyType(
    {
        DataType.Int8: (-(2**7), 2**7 - 1),
        DataType.Int16: (-(2**15), 2**15 - 1),
        DataType.Int32: (-(2**31), 2**31 - 1),
        DataType.Int64: (-(2**63), 2**63 - 1),
    }
)


def rows(given: object, shape: CollectionShape, *, partial: bool = False) -> list[dict[str, Any]]:
    """Return rows in the form that the builders take.

    Args:
        given: a JSON object, or a list of them.
        shape: the collection's fields.
        partial: whether rows may leave out fields, which then keep their values.

    Raises:
        InvalidArgument: a value is invalid; the message names the row, the field and what is valid.
    """
    listed = [given] if isinstance(given, dict) else given
    if not isinstance(listed, list) or not listed:
        raise InvalidArgument("data must be an object, or a list of at least one object")
    made = [_row(row, shape, where=f"row {position}", partial=partial) for position, row in enumerate(listed)]
    key = shape.primary
    if key is not None and key.generated and len({key.name in row for row in made}) > 1:
        raise InvalidArgument(f"either every row gives the automatic primary key `{key.name}` or none does")
    return made


def _row(row: object, shape: CollectionShape, *, where: str, partial: bool) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise InvalidArgument(f"{where}: expected an object, got {_kind_of(row)}")
    made = {}
    for name, value in row.items():
        field = shape.fields.get(name)
        if field is not None:
            made[name] = _of_field(value, field, f"{where}, field `{name}`")
        elif name in shape.structs:
            made[name] = value
        elif name == DYNAMIC or not shape.dynamic:
            names = ", ".join(f"`{each}`" for each in (*shape.fields, *sorted(shape.structs)))
            raise InvalidArgument(f"{where}: the collection has no field `{name}`; it has {names}")
        else:
            made[name] = value
    missing = [each.name for each in shape.fields.values() if not (each.optional or each.generated or each.name in row)]
    if missing and not partial:
        raise InvalidArgument(f"{where}: field `{missing[0]}` is missing")
    return made


def _of_field(value: object, field: Field, where: str) -> Any:
    if value is None:
        if not field.optional:
            raise InvalidArgument(f"{where} must not be null")
        return None
    if field.kind == DataType.Array:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        return [_scalar(each, field.element, f"{where}[{position}]") for position, each in enumerate(value)]
    if field.kind in _VECTOR_READERS:
        return _VECTOR_READERS[DataType(field.kind)](value, field.dimension, where)
    return _scalar(value, field.kind, where)


def _scalar(value: object, kind: int, where: str) -> Any:
    reader = _SCALAR_READERS.get(kind)
    if reader is None:
        raise InvalidArgument(f"{where}: values of type {type_name(kind)} cannot be given as JSON; use an SDK")
    return reader(value, kind, where)


def _boolean(value: object, _kind: int, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise _wrong(where, "true or false", value)


def _integer(value: object, kind: int, where: str) -> int:
    lowest, highest = _RANGES[DataType(kind)]
    expected = f"an integer from {lowest} to {highest}"
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(where, expected, value)
    if not lowest <= value <= highest:
        raise InvalidArgument(f"{where}: expected {expected}")
    return value


def _number(value: object, kind: int, where: str) -> float:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise _wrong(where, "a number", value) from None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(where, "a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or (kind != DataType.Double and abs(number) > _FLOAT32_MAX):
        raise InvalidArgument(f"{where}: the number does not fit the type {type_name(kind)}")
    return number


def _text(value: object, _kind: int, where: str) -> str:
    if not isinstance(value, str):
        raise _wrong(where, "text", value)
    return value


def _json(value: object, _kind: int, where: str) -> object:
    if isinstance(value, str):
        try:
            msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            raise InvalidArgument(
                f'{where}: text in a JSON field must be valid JSON; write plain text as "\\"text\\""'
            ) from None
    return value


_SCALAR_READERS: Final[Mapping[int, Callable[[object, int, str], Any]]] = MappingProxyType(
    {
        DataType.Bool: _boolean,
        DataType.Int8: _integer,
        DataType.Int16: _integer,
        DataType.Int32: _integer,
        DataType.Int64: _integer,
        DataType.Float: _number,
        DataType.Double: _number,
        DataType.String: _text,
        DataType.VarChar: _text,
        DataType.Text: _text,
        DataType.Geometry: _text,
        DataType.Timestamptz: _text,
        DataType.JSON: _json,
    }
)


def vectors(given: object, field: Field) -> list[Any]:
    """Return the vectors or texts to search a field with, in the form that the builders take.

    Args:
        given: a list of vectors; a list of texts where a function computes the field's vectors from texts.
        field: the field to search.

    Raises:
        InvalidArgument: a vector is invalid; the message names it and what is valid.
    """
    if not isinstance(given, list) or not given:
        raise InvalidArgument(f"data must be a list of at least one vector for the field `{field.name}`")
    if field.text and all(isinstance(each, str) for each in given):
        return list(given)
    reader = _VECTOR_READERS[DataType(field.kind)]
    return [reader(each, field.dimension, f"data[{position}]") for position, each in enumerate(given)]


def _floats(value: object, dimension: int, where: str, *, kind: DataType = DataType.FloatVector) -> list[float]:
    if not isinstance(value, list):
        raise _wrong(where, f"a list of {dimension} numbers", value)
    if len(value) != dimension or not value:
        raise InvalidArgument(f"{where}: expected {dimension} numbers, the dimension of the field, got {len(value)}")
    return [
        each if type(each) is float and -_FLOAT32_MAX <= each <= _FLOAT32_MAX else _number(each, kind, where)
        for each in value
    ]


def _float16(value: object, dimension: int, where: str) -> bytes:
    if isinstance(value, str):
        return _bytes(value, dimension * 2, where)
    try:
        return struct.pack(f"<{dimension}e", *_floats(value, dimension, where, kind=DataType.Float16Vector))
    except OverflowError:
        raise InvalidArgument(f"{where}: a number does not fit the type Float16Vector") from None


def _bfloat16(value: object, dimension: int, where: str) -> bytes:
    if isinstance(value, str):
        return _bytes(value, dimension * 2, where)
    floats = _floats(value, dimension, where, kind=DataType.BFloat16Vector)
    words = struct.unpack(f"<{dimension}I", struct.pack(f"<{dimension}f", *floats))
    # The upper half of a 32-bit float, rounded to the nearest, ties to even.
    return struct.pack(f"<{dimension}H", *((word + 0x7FFF + ((word >> 16) & 1)) >> 16 for word in words))


def _binary(value: object, dimension: int, where: str) -> bytes:
    length = dimension // 8
    if isinstance(value, str):
        return _bytes(value, length, where)
    return bytes(_small_integers(value, length, where, lowest=0, highest=255))


def _int8(value: object, dimension: int, where: str) -> bytes:
    if isinstance(value, str):
        return _bytes(value, dimension, where)
    return struct.pack(f"<{dimension}b", *_small_integers(value, dimension, where, lowest=-128, highest=127))


def _small_integers(value: object, length: int, where: str, *, lowest: int, highest: int) -> list[int]:
    if not isinstance(value, list) or len(value) != length:
        raise InvalidArgument(f"{where}: expected base64, or a list of {length} integers")
    for each in value:
        if type(each) is not int or not lowest <= each <= highest:
            raise InvalidArgument(f"{where}: expected integers from {lowest} to {highest}")
    return value


def _bytes(value: str, length: int, where: str) -> bytes:
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument(f"{where}: expected {length} bytes in base64") from None
    if len(raw) != length:
        raise InvalidArgument(f"{where}: expected {length} bytes in base64, got {len(raw)}")
    return raw


def _sparse(value: object, _dimension: int, where: str) -> dict[int, float]:
    """Read `{"7": 0.5}` or `{"indices": [7], "values": [0.5]}`."""
    if not isinstance(value, dict):
        raise _wrong(where, "an object of index to number", value)
    made: dict[int, float] = {}
    for given, number in _sparse_pairs(value, where):
        index = _sparse_index(given, where)
        if index in made:
            raise InvalidArgument(f"{where}: the index {index} is repeated")
        made[index] = _number(number, DataType.Float, where)
    return dict(sorted(made.items()))


def _sparse_index(given: object, where: str) -> int:
    index = int(given) if isinstance(given, str) and _INDEX.fullmatch(given) else given
    if type(index) is not int or not 0 <= index <= _LAST_INDEX:
        raise InvalidArgument(f"{where}: an index of a sparse vector is an integer from 0 to {_LAST_INDEX}")
    return index


def _sparse_pairs(value: dict[str, Any], where: str) -> Iterable[tuple[object, object]]:
    if set(value) != {"indices", "values"}:
        return value.items()
    indices, numbers = value["indices"], value["values"]
    if not isinstance(indices, list) or not isinstance(numbers, list) or len(indices) != len(numbers):
        raise InvalidArgument(f"{where}: indices and values must be lists of one length")
    return zip(indices, numbers, strict=True)


_VECTOR_READERS: Final[Mapping[int, Callable[[object, int, str], Any]]] = MappingProxyType(
    {
        DataType.BinaryVector: _binary,
        DataType.FloatVector: _floats,
        DataType.Float16Vector: _float16,
        DataType.BFloat16Vector: _bfloat16,
        DataType.SparseFloatVector: _sparse,
        DataType.Int8Vector: _int8,
    }
)


def primary_keys(given: object, key: Field) -> list[Any]:
    """Return primary keys, converted to the type of their field.

    Args:
        given: one primary key, or a list of them.
        key: the field of the primary key.

    Raises:
        InvalidArgument: a key is of another type; the message names it.
    """
    listed = given if isinstance(given, list) else [given]
    if not listed:
        raise InvalidArgument("at least one primary key is needed")
    return [_scalar(each, key.kind, f"primary key {position}") for position, each in enumerate(listed)]


_ESCAPES: Final = {
    ord(raw): escaped for raw, escaped in zip('\\"\n\r\t', ("\\\\", '\\"', "\\n", "\\r", "\\t"), strict=True)
}


def among(key: Field, keys: Sequence[Any]) -> str:
    """Return the filter expression that the given primary keys satisfy."""
    return f"{key.name} in [{', '.join(map(_literal, keys))}]"


def beyond(key: Field, value: Any) -> str:
    """Return the filter expression of the rows whose primary key is greater than a value."""
    return f"{key.name} > {_literal(value)}"


def _literal(value: Any) -> str:
    return f'"{value.translate(_ESCAPES)}"' if isinstance(value, str) else str(value)


def type_name(kind: int) -> str:
    """Return the name of a type, or its number as text if it is unknown."""
    try:
        return DataType(kind).name
    except ValueError:
        return str(kind)


def _wrong(where: str, expected: str, value: object) -> InvalidArgument:
    return InvalidArgument(f"{where}: expected {expected}, got {_kind_of(value)}")


def _kind_of(value: object) -> str:
    """Return the type of a JSON value, for errors. The value itself is not repeated: it may be long or confidential."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"
