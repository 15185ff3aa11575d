"""Decodes a body: JSON into the declared type, whatever the content type says (contract 5.1)."""

import functools
import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec

from kiteward.api.rest.status import BODY_MALFORMED, FIELD_MISSING, RestFailure
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.identity import Secret

_B = TypeVar("_B", bound=msgspec.Struct)

MOST_CONTAINERS: Final = 2_000_000
"""Objects and lists in one body at most: each takes three bytes to send and seventy bytes of memory."""

_NOT_JSON: Final = "can only accept json format request"
_MISSING: Final = re.compile(r"Object missing required field `(?P<field>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_PLACE: Final = re.compile(r" - at `\$\.(?P<path>[^`]+)`")
_RAW_NULL: Final = b"null"
_NOTHING: Final = frozenset({b"null", b"false", b"0", b'""', b"[]", b"{}"})
_EMPTY_RAW: Final = frozenset({b"", b"null", b"[]", b"{}"})


def decode(kind: type[_B], raw: bytes | bytearray) -> _B:
    """Return the decoded body.

    A field that a body does not know is refused: it is most likely misspelt. At the top level it passes if it asks for
    nothing (`null`, `false`, `""`, 0, an empty list or object). As in Milvus, a top-level field that is `null` counts
    as not given, and a body that is `null` as `{}`.

    Args:
        kind: the declared type.
        raw: the bytes of the body.

    Raises:
        RestFailure: 1801 for a body that is not JSON of the declared type, 1802 for a required field that is missing or
            empty. The message names the field, never a value.
    """
    if not raw.strip():
        raise RestFailure(BODY_MALFORMED, f"{_NOT_JSON}, the request body should be nil, however {{}} is valid")
    if raw.strip() == _RAW_NULL:
        raw = b"{}"
    if raw.count(b"{") + raw.count(b"[") > MOST_CONTAINERS:
        raise RestFailure(BODY_MALFORMED, f"{_NOT_JSON}, error: it holds more than {MOST_CONTAINERS} objects and lists")
    try:
        raw.decode()  # all of it: handlers decode the parts that stay raw here, and must not fail then
        body = _decode(kind, raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _failure(kind, error) from None
    except RecursionError:
        raise RestFailure(BODY_MALFORMED, f"{_NOT_JSON}, error: it is nested too deeply") from None
    empty = [*_empty(body)]
    if empty:
        raise _missing(kind, *empty)
    return body


def _decode(kind: type[_B], raw: bytes | bytearray) -> _B:
    decoder: msgspec.json.Decoder[_B] = _decoder(kind)
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        if "got `null`" not in str(error) and "unknown field" not in str(error):
            raise
    known = {spelled for _, spelled, _ in _fields(kind)}
    given = {
        name: value
        for name, value in _MEMBERS.decode(raw).items()
        if bytes(value) != _RAW_NULL and (name in known or bytes(value) not in _NOTHING)
    }
    return decoder.decode(_ENCODER.encode(given))


@functools.cache
def _decoder(kind: type[_B]) -> msgspec.json.Decoder[_B]:
    return msgspec.json.Decoder(kind, dec_hook=_read_secret)


_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER: Final = msgspec.json.Encoder()


def _read_secret(kind: type, value: object) -> Any:
    """Wrap a secret when it is read; bodies have no other types that msgspec does not support."""
    if kind is not Secret:
        raise NotImplementedError(f"a body cannot hold {kind.__name__}")
    if not isinstance(value, str):
        raise ValueError(f"Expected `str`, got `{_NAMES.get(type(value), 'object')}`")  # noqa: TRY004  msgspec reports it with the path
    return Secret(value)


_NAMES: Final = {type(None): "null", bool: "bool", int: "int", float: "float", list: "array"}


def _failure(kind: type[msgspec.Struct], error: Exception) -> RestFailure:
    found = _MISSING.fullmatch(str(error))
    if found is not None:
        path = f"{found['path']}.{found['field']}" if found["path"] else found["field"]
        return _missing(kind, path)
    place = _PLACE.search(str(error))
    field = place["path"] if place is not None else ""
    return RestFailure(BODY_MALFORMED, f"{_NOT_JSON}, error: {error}", reason=ErrorCode.PAYLOAD_MALFORMED, field=field)


def _missing(kind: type[msgspec.Struct], *paths: str) -> RestFailure:
    """Return the failure in the words of Milvus, which capitalises field names."""
    faults = []
    for path in paths:
        names = [f"{name[:1].upper()}{name[1:]}" for name in path.split(".")]
        faults.append(
            f"Key: '{kind.__name__}.{'.'.join(names)}' "
            f"Error:Field validation for '{names[-1]}' failed on the 'required' tag"
        )
    return RestFailure(
        FIELD_MISSING,
        f"missing required parameters, error: {'; '.join(faults)}",
        reason=ErrorCode.ARGUMENT_MISSING,
        field=paths[0] if len(paths) == 1 else "",
    )


def _empty(value: object, path: str = "") -> Iterator[str]:
    """Yield the paths of required fields that are given but empty."""
    if isinstance(value, msgspec.Struct):
        for name, spelled, required in _fields(type(value)):
            held = getattr(value, name)
            here = f"{path}.{spelled}" if path else spelled
            if required and _is_empty(held):
                yield here
            else:
                yield from _empty(held, here)
    elif isinstance(value, list) and value and isinstance(value[0], msgspec.Struct):
        for position, each in enumerate(value):
            yield from _empty(each, f"{path}[{position}]")


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, bool], ...]:
    return tuple((each.name, each.encode_name, each.required) for each in msgspec.structs.fields(kind))


def _is_empty(value: object) -> bool:
    if isinstance(value, msgspec.Raw):
        return bytes(value).translate(None, b" \t\r\n") in _EMPTY_RAW
    return not isinstance(value, msgspec.Struct) and not value
