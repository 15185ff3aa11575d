"""Finds everything that is wrong in the form of a file, each fault with its place."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kiteward.domain.suggestions import did_you_mean
from kiteward.iam.policy_files.document import VERSION, PolicyDocument

Path = tuple[str | int, ...]
"""The place of a value in a file: keys of maps, and positions in lists."""

_MOST_LISTED: Final = 12
"""Most words that a fault lists as those that would be right."""

_FITTING: Final[Mapping[type, type | tuple[type, ...]]] = {
    msgspec.inspect.StrType: str,
    msgspec.inspect.EnumType: str,
    msgspec.inspect.IntType: int,
    msgspec.inspect.FloatType: (int, float),
    msgspec.inspect.BoolType: bool,
    msgspec.inspect.ListType: list,
    msgspec.inspect.DictType: Mapping,
    msgspec.inspect.StructType: Mapping,
}
"""The kinds of types that a file is made of, each with what its values are. Another kind has to be added here."""


@dataclass(frozen=True, slots=True)
class FormFault:
    """What is wrong in a file.

    Attributes:
        path: the place.
        message: what is wrong, and what would be right.
    """

    path: Path
    message: str


def text_of(path: Path) -> str:
    """Return a place as text, such as `roles.reader.grants[2]`; that of the whole file is empty."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def read(values: object) -> tuple[PolicyDocument | None, list[FormFault]]:
    """Return what a file means, made from plain values, and what is wrong in it.

    Returns:
        The file, None where anything is wrong; and the faults.
    """
    faults = list(_faults(values, _document_type(), ()))
    if not faults and isinstance(values, Mapping) and values["version"] != VERSION:
        faults = [FormFault(("version",), f"must be {VERSION}: this is the only version that is known here")]
    if faults:
        return None, faults
    return msgspec.convert(values, PolicyDocument), []


@functools.cache
def _document_type() -> msgspec.inspect.Type:
    return msgspec.inspect.type_info(PolicyDocument)


def _faults(value: object, kind: msgspec.inspect.Type, path: Path) -> Iterator[FormFault]:
    while isinstance(kind, msgspec.inspect.Metadata):
        kind = kind.type
    if value is None:
        yield FormFault(path, f"has no value: {_wanted(kind)} is needed, or leave it out")
    elif not _fits(value, kind):
        yield FormFault(path, f"must be {_wanted(kind)}, not {_found(value)}")
    elif isinstance(kind, msgspec.inspect.StructType) and isinstance(value, Mapping):
        yield from _in_struct(value, kind, path)
    elif isinstance(kind, msgspec.inspect.DictType) and isinstance(value, Mapping):
        for name, each in value.items():
            yield from _faults(each, kind.value_type, (*path, name))
    elif isinstance(kind, msgspec.inspect.ListType) and isinstance(value, list):
        yield from _in_list(value, kind, path)
    elif isinstance(kind, msgspec.inspect.EnumType):
        known = [str(each.value) for each in kind.cls]
        if value not in known:
            yield FormFault(path, f"`{value}` is not one of {', '.join(known)}{did_you_mean(str(value), known)}")


def _in_list(value: Sequence[object], kind: msgspec.inspect.ListType, path: Path) -> Iterator[FormFault]:
    if len(value) < (kind.min_length or 0):
        yield FormFault(path, "must not be empty")
    for position, each in enumerate(value):
        yield from _faults(each, kind.item_type, (*path, position))


def _in_struct(value: Mapping[Any, object], kind: msgspec.inspect.StructType, path: Path) -> Iterator[FormFault]:
    fields = {field.encode_name: field for field in kind.fields}
    for name, each in value.items():
        if name in fields:
            yield from _faults(each, fields[name].type, (*path, name))
        else:
            meant = did_you_mean(name, fields) or f": known here are {_listed(fields)}"
            yield FormFault((*path, name), f"is unknown{meant}")
    for name, field in fields.items():
        if field.required and name not in value:
            yield FormFault(path, f"lacks `{name}`")


def _fits(value: object, kind: msgspec.inspect.Type) -> bool:
    if isinstance(value, bool):
        return isinstance(kind, msgspec.inspect.BoolType)
    return isinstance(value, _FITTING[type(kind)])


def _wanted(kind: msgspec.inspect.Type) -> str:
    if isinstance(kind, msgspec.inspect.EnumType):
        return f"one of {', '.join(each.value for each in kind.cls)}"
    return {
        "StrType": "text (in quotes where it looks like a number, true, false or null)",
        "IntType": "a whole number",
        "FloatType": "a number",
        "BoolType": "true or false",
        "ListType": "a list ([] for none)",
        "DictType": "a map ({} for none)",
        "StructType": "a map",
    }[type(kind).__name__]


def _found(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return {bool: "true or false", int: "a number", float: "a number", str: "text"}[type(value)]


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in list(words)[:_MOST_LISTED])
