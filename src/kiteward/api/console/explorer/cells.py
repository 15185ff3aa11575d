"""Values of rows as text: of bounded length in tables, in full on the page of a row.

Whatever is stored is shown as text. What would not be seen, or would turn other text around, is spelled out.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiteward.api.console.request import ConsoleRequest
from kiteward.milvus.collection_fields import VECTORS, CollectionShape, DataType, Field

DYNAMIC_COLUMN: Final = "$meta"
"""The column of all values under names of no field."""

MOST_CHARACTERS: Final = 120
"""The longest text in a cell of a table."""

_MOST_NUMBERS: Final = 4
_HIDDEN: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_BREAKS: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value.

    Attributes:
        kind: `null`, `number`, `text`, `json` or `vector`.
        text: the value, shortened in tables.
        full: the whole value; empty where `text` is.
        size: what it consists of, where it is shown: numbers of a vector, characters of a long text.
    """

    kind: str
    text: str
    full: str = ""
    size: str = ""


def brief(request: ConsoleRequest, value: Any, field: Field | None) -> Cell:
    """Return a value for a table.

    Args:
        request: its language is that of the size.
        value: as `kiteward.milvus.json_rows` returns it.
        field: its field; None for values under names of no field.
    """
    if value is None:
        return Cell("null", "null")
    if field is not None and field.kind in VECTORS:
        return Cell("vector", _brief_vector(value), size=_size(request, value, field))
    text = _spelled(as_text(value, field), lines=False)
    kind = "number" if isinstance(value, int | float) and not isinstance(value, bool) else _kind(value, field)
    if len(text) <= MOST_CHARACTERS:
        return Cell(kind, text)
    return Cell(kind, f"{text[:MOST_CHARACTERS]}…", size=request.text("explorer.characters", count=f"{len(text):,}"))


def in_full(request: ConsoleRequest, value: Any, field: Field | None) -> Cell:
    """Return a value for the page of its row: the start of it, and all of it where that is longer."""
    short = brief(request, value, field)
    if value is None:
        return short
    full = _spelled(_pretty(value, field), lines=True)
    return Cell(short.kind, short.text if short.size else full, full if short.size else "", short.size)


def columns(shape: CollectionShape) -> list[str]:
    """Return the columns that a table of rows can have, the primary key first."""
    key = shape.primary
    first = [key.name] if key else []
    others = [name for name in (*shape.fields, *sorted(shape.structs)) if name not in first]
    return [*first, *others, *([DYNAMIC_COLUMN] if shape.dynamic else [])]


def usual_columns(shape: CollectionShape) -> list[str]:
    """Return the columns that a table has unless others are chosen: all but vectors."""
    return [name for name in columns(shape) if name not in shape.fields or shape.fields[name].kind not in VECTORS]


def values_of(row: Mapping[str, Any], names: Iterable[str], shape: CollectionShape) -> list[Any]:
    """Return the values of a row in the order of its columns."""
    return [dynamic_values(row, shape) if name == DYNAMIC_COLUMN else row.get(name) for name in names]


def dynamic_values(row: Mapping[str, Any], shape: CollectionShape) -> dict[str, Any] | None:
    """Return the values of a row under names of no field, or None if there are none."""
    made = {name: value for name, value in row.items() if name not in shape.fields and name not in shape.structs}
    return made or None


def as_text(value: Any, field: Field | None) -> str:
    """Return a value as text, in full: strings and the JSON of JSON fields as they are, other values as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and field is not None and field.element == DataType.JSON:
        return f"[{', '.join(map(str, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _pretty(value: Any, field: Field | None) -> str:
    if field is not None and field.kind == DataType.JSON and isinstance(value, str):
        try:
            return json.dumps(json.loads(value), ensure_ascii=False, indent=2)
        except (ValueError, RecursionError):
            return value
    if isinstance(value, dict) and (field is None or field.kind not in VECTORS):
        return json.dumps(value, ensure_ascii=False, indent=2)
    return as_text(value, field)


def _brief_vector(value: Any) -> str:
    if isinstance(value, str):
        return value if len(value) <= MOST_CHARACTERS // 3 else f"{value[: MOST_CHARACTERS // 3]}…"
    more = ", …" if len(value) > _MOST_NUMBERS else ""
    if isinstance(value, dict):
        pairs = [f"{index}: {number}" for index, number in list(value.items())[:_MOST_NUMBERS]]
        return f"{{{', '.join(pairs)}{more}}}"
    return f"[{', '.join(map(str, value[:_MOST_NUMBERS]))}{more}]"


def _size(request: ConsoleRequest, value: Any, field: Field) -> str:
    if isinstance(value, str):
        return request.text("explorer.dimension", count=field.dimension)
    return request.text("explorer.numbers" if isinstance(value, dict) else "explorer.dimension", count=len(value))


def _kind(value: Any, field: Field | None) -> str:
    structured = isinstance(value, list | dict) or (field is not None and field.kind == DataType.JSON)
    return "json" if structured else "text"


def _spelled(text: str, *, lines: bool) -> str:
    """Return a text whose invisible characters are spelled out, line breaks too unless `lines` keeps them."""
    text = _HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    if lines:
        return text.replace("\r", "\\r")
    for character, spelling in _BREAKS.items():
        text = text.replace(character, spelling)
    return text


def ranked(values: Sequence[Any], *, descending: bool = False) -> list[int]:
    """Return the positions of values in order: numbers, texts, others as text, or the reverse; nulls always last."""

    def rank(position: int) -> tuple[int, Any]:
        value = values[position]
        if isinstance(value, int | float):
            return (2, "") if math.isnan(value) else (0, value)
        return (1, value) if isinstance(value, str) else (2, as_text(value, None))

    there = [position for position, value in enumerate(values) if value is not None]
    absent = [position for position, value in enumerate(values) if value is None]
    return [*sorted(there, key=rank, reverse=descending), *absent]
