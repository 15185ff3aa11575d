"""Reads the details of a request for the audit trail, field by field.

For every RPC that is executed here or changes the catalog, its row in the operation table names the fields that are
recorded and those that are left out. Of our own operations, every field is recorded that is not a `Secret`.
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
    """A repeated message of which each element is recorded.

    Attributes:
        path: the path of the field.
        fields: name of a recorded value -> field of the element.
    """

    path: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Converted:
    """A field that is recorded in another form.

    Attributes:
        path: the path of the field.
        read: returns the recorded form of its value.
    """

    path: str
    read: Callable[[Any], Any]


Recorded = str | Elements | Converted
Reader = Callable[[Any], Any]
Readers = tuple[tuple[str, Reader], ...]


def paths_of(place: Recorded) -> list[str]:
    """Return the paths of the fields that are recorded for an entry of `recorded`, from the request on."""
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

_HIDDEN: Final = "(not recorded)"
_SCHEMA: Final = type(messages.DescribeCollectionResponse().schema)


def _plain(value: Any) -> Any:
    """Return a value of a message as JSON; confidential ones are replaced."""
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "extend"):
        return [_plain(each) for each in value]
    if hasattr(value, "items"):
        return {str(name): _recorded_value(str(name), each) for name, each in value.items()}
    fields = {field.name: each for field, each in value.ListFields()}
    if fields.keys() == {"key", "value"}:
        return {"key": fields["key"], "value": _recorded_value(str(fields["key"]), fields["value"])}
    return {name: _recorded_value(name, each) for name, each in fields.items()}


def _recorded_value(name: str, value: Any) -> Any:
    return _HIDDEN if _CONFIDENTIAL.search(name) else _plain(value)


def decoded_schema(encoded: bytes) -> Any:
    """Return an encoded schema as JSON, or its size if it cannot be decoded."""
    try:
        return _plain(_SCHEMA.FromString(encoded))
    except Exception:  # noqa: BLE001  the engine refuses what cannot be decoded
        return {"bytes": len(encoded)}


def uri_without_secrets(given: str) -> str:
    """Return a URI without the parts that may grant access: user, password, query and fragment."""
    try:
        parts = urlsplit(given)
    except ValueError:
        return _HIDDEN
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


AT_ONCE: Final = 16 * 1024
"""Most bytes of a request whose details are read on the event loop. Of larger ones, only changes have details."""


def read_details(operation: str, readers: Readers, payload: bytes, message: Any = None) -> Mapping[str, Any]:
    """Return the details of a request to an RPC for the audit trail, without values that are the protocol's defaults.

    Args:
        operation: the RPC.
        readers: the readers of its row.
        payload: the request; it has no details if it cannot be decoded.
        message: the decoded request, where it exists already.
    """
    if message is None:
        try:
            message = messages.decode(operation, payload)
        except PayloadMalformed:
            return NO_DETAILS
    return _given(message, readers)


def readers_of(recorded: Mapping[str, Recorded], descriptor: Any) -> Readers:
    """Return a reader for each recorded field of a message, by the name under which its value is recorded."""
    return tuple((name, _reader_of(place, descriptor)) for name, place in recorded.items())


def details_of(arguments: msgspec.Struct) -> Mapping[str, Any]:
    """Return the details of a request to one of our own operations: the given arguments, without secrets."""
    return {
        field.encode_name: msgspec.to_builtins(value)
        for field in msgspec.structs.fields(arguments)
        if not isinstance(value := getattr(arguments, field.name), Secret) and value != _default(field)
    }


def result_of(outcome: msgspec.Struct, left_out: frozenset[str]) -> Mapping[str, Any]:
    """Return what is recorded of the outcome of one of our own operations, without secrets.

    Args:
        outcome: what the operation returned.
        left_out: fields that do not report the change itself.
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
    """Return a reader of a field: it returns the value, or None where the request does not give one."""
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
    """Return a reader of the value at a path, a list if the path has a repeated message, and the field's descriptor."""
    name, _, below = path.partition(".")
    field = descriptor.fields_by_name[name]
    if not below:
        return attrgetter(name), field
    read, last = _value_at(below, field.message_type)
    if field.is_repeated:
        return lambda message: [read(each) for each in getattr(message, name)], last
    return (attrgetter(path) if isinstance(read, attrgetter) else lambda message: read(getattr(message, name))), last
