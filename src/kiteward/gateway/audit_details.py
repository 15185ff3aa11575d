"""Reads the details of a request for the audit trail, field by field.

For every RPC that is executed here or changes the catalog, its row in the operation table names the fields that are
recorded and those that are left out. Of our own operations, every field is recorded that is not a `Secret`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, Generic, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec

from kiteward.audit.events import NO_DETAILS
from kiteward.domain.errors import PayloadMalformed
from kiteward.domain.identity import Secret
from kiteward.milvus import messages

Json: TypeAlias = "str | int | float | Sequence[Json] | Mapping[str, Json] | None"
"""A value that is recorded."""

_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Elements:
    """A repeated message, or a map, of which each element is recorded.

    Attributes:
        path: the path of the field.
        fields: name of a recorded value -> field of the element.
    """

    path: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Converted(Generic[_V]):
    """A field that is recorded in another form.

    Attributes:
        path: the path of the field.
        kind: the type of its value.
        read: returns the recorded form of its value.
    """

    path: str
    kind: type[_V]
    read: Callable[[_V], Json]

    def recorded(self, value: object) -> Json:
        """Return the recorded form of a value of the field, or None for none.

        Raises:
            TypeError: the field holds values of another type.
        """
        if not isinstance(value, self.kind):
            raise TypeError(f"`{self.path}` holds no {self.kind.__name__}")
        return self.read(value) if value else None


Recorded = str | Elements | Converted[str] | Converted[bytes]
Reader = Callable[[messages.ProtocolMessage], Json]
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
    r"passw|secret|token|credential|authorization|integration_id|external_spec|(api|access|private|account|encryption|cipher)[._-]?key",
    re.IGNORECASE,
)
"""Names of properties and parameters whose values are not recorded."""

NOT_RECORDED: Final = "(not recorded)"
"""What is recorded in the place of a value that may be confidential."""
_SCHEMA: Final = type(messages.DescribeCollectionResponse().schema)


def _plain(value: object) -> Json:
    """Return a value of a message as JSON; confidential ones are replaced."""
    match value:
        case str() | int() | float():
            return value
        case bytes():
            return value.hex()
        case Mapping():
            return {str(name): _recorded_value(str(name), each) for name, each in value.items()}
        case Sequence():
            return [_plain(each) for each in value]
        case messages.ProtocolMessage():
            return _plain_message(value)
        case _:
            raise TypeError(f"no message holds a {type(value).__name__}")


def _plain_message(message: messages.ProtocolMessage) -> Json:
    fields = {field.name: each for field, each in message.ListFields()}
    if fields.keys() == {"key", "value"}:
        return {"key": _plain(fields["key"]), "value": _recorded_value(str(fields["key"]), fields["value"])}
    return {name: _recorded_value(name, each) for name, each in fields.items()}


def _recorded_value(name: str, value: object) -> Json:
    return NOT_RECORDED if _CONFIDENTIAL.search(name) else _plain(value)


def decoded_schema(encoded: bytes) -> Json:
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
        return NOT_RECORDED
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


AT_ONCE: Final = 16 * 1024
"""Most bytes of a request whose details are read on the event loop. Of larger ones, only changes have details."""


def read_details(
    operation: str, readers: Readers, payload: bytes, message: messages.ProtocolMessage | None = None
) -> Mapping[str, Json]:
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


def readers_of(recorded: Mapping[str, Recorded], descriptor: messages.ProtocolDescriptor) -> Readers:
    """Return a reader for each recorded field of a message, by the name under which its value is recorded."""
    return tuple((name, _reader_of(place, descriptor)) for name, place in recorded.items())


def details_of(arguments: msgspec.Struct) -> Mapping[str, Json]:
    """Return the details of a request to one of our own operations: the given arguments, without secrets."""
    return {
        field.encode_name: msgspec.to_builtins(value)
        for field in msgspec.structs.fields(arguments)
        if not isinstance(value := getattr(arguments, field.name), Secret) and value != _default(field)
    }


def result_of(outcome: msgspec.Struct, left_out: frozenset[str]) -> Mapping[str, Json]:
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


def _default(field: "msgspec.structs.FieldInfo") -> object:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


def _given(message: messages.ProtocolMessage, readers: Readers) -> dict[str, Json]:
    details: dict[str, Json] = {}
    for name, read in readers:
        value = read(message)
        if value is not None:
            details[name] = value
    return details


def _reader_of(place: Recorded, descriptor: messages.ProtocolDescriptor) -> Reader:
    """Return a reader of a field: it returns the value, or None where the request does not give one."""
    match place:
        case Elements():
            kind = _message_type(_field_at(place.path, descriptor))
            readers = readers_of(place.fields, kind)
            if kind.GetOptions().map_entry:
                read_map = _map_at(place.path)
                return lambda message: (
                    [{"key": key, "value": value} for key, value in read_map(message).items()] or None
                )
            read_rows = _elements_at(place.path)
            return lambda message: [_given(each, readers) for each in read_rows(message)] or None
        case Converted():
            read_encoded = _value_at(place.path, descriptor)
            return lambda message: place.recorded(read_encoded(message))
    read, field = _value_at(place, descriptor), _field_at(place, descriptor)
    if field.has_presence and "." not in place and field.message_type is None:
        # The field has presence: an empty value differs from none.
        return lambda message: _plain(read(message)) if message.HasField(place) else None
    return lambda message: _plain(value) if (value := read(message)) else None


def _elements_at(path: str) -> Callable[[messages.ProtocolMessage], Sequence[messages.ProtocolMessage]]:
    """Return a reader of the repeated message at a path through single messages."""
    return attrgetter(path)


def _map_at(path: str) -> Callable[[messages.ProtocolMessage], Mapping[str, str]]:
    """Return a reader of the map of texts at a path through single messages."""
    return attrgetter(path)


def _value_at(path: str, descriptor: messages.ProtocolDescriptor) -> Callable[[messages.ProtocolMessage], object]:
    """Return a reader of the value at a path, a list if the path has a repeated message."""
    name, _, below = path.partition(".")
    field = descriptor.fields_by_name[name]
    if not below:
        return attrgetter(name)
    read = _value_at(below, _message_type(field))
    if field.is_repeated:
        return lambda message: [read(each) for each in getattr(message, name)]
    return attrgetter(path) if isinstance(read, attrgetter) else lambda message: read(getattr(message, name))


def _field_at(path: str, descriptor: messages.ProtocolDescriptor) -> messages.ProtocolField:
    """Return the descriptor of the field at a path."""
    name, _, below = path.partition(".")
    field = descriptor.fields_by_name[name]
    return _field_at(below, _message_type(field)) if below else field


def _message_type(field: messages.ProtocolField) -> messages.ProtocolDescriptor:
    if field.message_type is None:
        raise ValueError(f"`{field.full_name}` holds no messages")
    return field.message_type
