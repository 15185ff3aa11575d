"""Reads what is recorded of a request, field by field.

The rows of the operation table name, for every RPC that is executed here or changes the catalog, the fields that are
recorded and those that are left out. Of our own operations every field is recorded that is no `Secret`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from kiteward.audit.events import NO_DETAILS
from kiteward.domain.errors import PayloadMalformed
from kiteward.domain.identity import Secret
from kiteward.milvus import messages


@dataclass(frozen=True, slots=True)
class Elements:
    """A repeated message of which each element is recorded as a row of its own.

    Attributes:
        path: where it stands.
        fields: what is recorded of an element -> its field.
    """

    path: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Converted:
    """A field that is recorded in another form.

    Attributes:
        path: where it stands.
        read: returns what is recorded of its value.
    """

    path: str
    read: Callable[[Any], Any]


Recorded = str | Elements | Converted
Reader = Callable[[Any], Any]
Readers = tuple[tuple[str, Reader], ...]


def paths_of(place: Recorded) -> list[str]:
    """Return the fields that are recorded at a place, by their paths from the request on."""
    match place:
        case Elements():
            return [f"{place.path}.{field}" for field in place.fields.values()]
        case Converted():
            return [place.path]
        case _:
            return [place]


_CONFIDENTIAL: Final = re.compile(
    r"passw|secret|token|credential|external_spec|(api|access|private|account|encryption|cipher)[._-]?key",
    re.IGNORECASE,
)
"""Names of properties and parameters whose values are not recorded."""

_UNTOLD: Final = "(not recorded)"
_SCHEMA: Final = type(messages.DescribeCollectionResponse().schema)


def _plain(value: Any) -> Any:
    """Return a value of a message as JSON has it; confidential ones are replaced."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "extend"):
        return [_plain(each) for each in value]
    if hasattr(value, "items"):
        return {str(name): _told(str(name), each) for name, each in value.items()}
    fields = {field.name: each for field, each in value.ListFields()}
    if fields.keys() == {"key", "value"}:
        return {"key": fields["key"], "value": _told(str(fields["key"]), fields["value"])}
    return {name: _told(name, each) for name, each in fields.items()}


def _told(name: str, value: Any) -> Any:
    return _UNTOLD if _CONFIDENTIAL.search(name) else _plain(value)


def decoded_schema(encoded: bytes) -> Any:
    """Return an encoded schema as JSON has it; of one that cannot be read, its size."""
    try:
        return _plain(_SCHEMA.FromString(encoded))
    except Exception:  # noqa: BLE001  the engine is going to refuse what cannot be read
        return {"bytes": len(encoded)}


def uri_without_secrets(given: str) -> str:
    """Return a URI without what may open it: a user and a password, a query."""
    try:
        parts = urlsplit(given)
    except ValueError:
        return _UNTOLD
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


AT_ONCE: Final = 16 * 1024
"""Bytes of a request up to which its details are read between two other requests, or at all if it changes nothing."""


def read_details(operation: str, readers: Readers, payload: bytes, message: Any = None) -> Mapping[str, Any]:
    """Return what is recorded of a request to an RPC; a value that is the protocol's default is left out.

    Args:
        operation: the RPC.
        readers: what reads it, of its row.
        payload: the request; one that cannot be read has no details.
        message: the same, where it has been decoded already.
    """
    if message is None:
        try:
            message = messages.decode(operation, payload)
        except PayloadMalformed:
            return NO_DETAILS
    return _given(message, readers)


def readers_of(recorded: Mapping[str, Recorded], descriptor: Any) -> Readers:
    """Return what reads each place of a message, with the name that its value is recorded under."""
    return tuple((name, _reader_of(place, descriptor)) for name, place in recorded.items())


def details_of(arguments: msgspec.Struct) -> Mapping[str, Any]:
    """Return what is recorded of a request to one of our own operations: what was given, without secrets."""
    return {
        field.encode_name: msgspec.to_builtins(value)
        for field in msgspec.structs.fields(arguments)
        if not isinstance(value := getattr(arguments, field.name), Secret) and value != _default(field)
    }


def result_of(outcome: msgspec.Struct, left_out: frozenset[str]) -> Mapping[str, Any]:
    """Return what is recorded of the outcome of one of our own operations: what the server made, without secrets.

    Args:
        outcome: what the operation returned.
        left_out: fields that the change did not make.
    """
    values = ((field, getattr(outcome, field.name)) for field in msgspec.structs.fields(outcome))
    return {
        field.encode_name: "issued" if isinstance(value, Secret) else msgspec.to_builtins(value)
        for field, value in values
        if value is not None and field.encode_name not in left_out
    }


def _default(field: "msgspec.structs.FieldInfo") -> Any:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


def _given(message: Any, readers: Readers) -> dict[str, Any]:
    details = {}
    for name, read in readers:
        value = read(message)
        if value is not None:
            details[name] = value
    return details


def _reader_of(place: Recorded, descriptor: Any) -> Reader:
    """Return what reads a place of a message: its value, or None where nothing was given."""
    match place:
        case Elements():
            read_rows, row = _value_at(place.path, descriptor)
            readers = readers_of(place.fields, row.message_type)
            return lambda message: [_given(each, readers) for each in read_rows(message)] or None
        case Converted():
            read_encoded, _ = _value_at(place.path, descriptor)
            return lambda message: place.read(value) if (value := read_encoded(message)) else None
    read, field = _value_at(place, descriptor)
    if field.has_presence and "." not in place and field.message_type is None:
        # The field has presence: an empty value differs from none.
        return lambda message: _plain(read(message)) if message.HasField(place) else None
    return lambda message: _plain(value) if (value := read(message)) else None


def _value_at(path: str, descriptor: Any) -> tuple[Reader, Any]:
    """Return what reads the value at a path, a list if it leads through a repeated message, and its field."""
    name, _, below = path.partition(".")
    field = descriptor.fields_by_name[name]
    if not below:
        return attrgetter(name), field
    read, last = _value_at(below, field.message_type)
    if field.is_repeated:
        return lambda message: [read(each) for each in getattr(message, name)], last
    return (attrgetter(path) if isinstance(read, attrgetter) else lambda message: read(getattr(message, name))), last
